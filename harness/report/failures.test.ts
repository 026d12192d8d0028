import { expect, test } from 'vitest';
import { groupByCause, shapeOf } from '../core/causes.ts';
import { causesOf, failuresOf, followsFrom, repeatCommand, sentenceOf, whatToDo } from './failures.ts';
import { reportOf, resultOf } from './report-builders.ts';

test('findings that differ in times, numbers and digests are one cause; statuses and ids tell causes apart', () => {
  expect(groupByCause(['call 3 was late by 1.2 s', 'call 14 was late by 0.4 s', 'no pod'])).toEqual([
    { cause: 'call … was late by … s', count: 2, texts: ['call 3 was late by 1.2 s', 'call 14 was late by 0.4 s'] },
    { cause: 'no pod', count: 1, texts: ['no pod'] },
  ]);
  expect(groupByCause(['answered 401', 'answered 403', 'see TR-04', 'see TR-05'])).toHaveLength(4);
  expect(shapeOf('pod agent-7d9f4 (uid 3c6a81e2-0b1c) ended.')).toBe('pod … (uid …) ended.');
});

test('none of a thousand findings is lost from the count; fifty are kept', () => {
  const [cause] = groupByCause(Array.from({ length: 1000 }, (_, index) => `call ${index + 1000} failed`));
  expect([cause?.count, cause?.texts.length]).toEqual([1000, 50]);
});

test('failures: MUST before SHOULD, failed before not testable; what shares a reason stands at the place of its heaviest', () => {
  const groups = failuresOf({
    results: [
      resultOf('A-1', 'failed', { level: 'SHOULD', reason: 'slow by 3 s' }),
      resultOf('A-2', 'not testable', { reason: 'no pod 1' }),
      resultOf('A-3', 'passed'),
      resultOf('A-4', 'failed', { reason: 'wrong' }),
      resultOf('A-5', 'not testable', { level: 'SHOULD', reason: 'no pod 2' }),
      resultOf('A-6', 'disabled'),
      resultOf('A-7', 'disabled', { level: 'MAY' }),
      resultOf('A-8', 'harness error'),
    ],
  });
  expect(groups.map(({ results }) => results.map(({ id }) => id))).toEqual([['A-4'], ['A-2', 'A-5'], ['A-6'], ['A-1']]);
  expect(groups[1]?.cause).toBe('no pod …');
});

test('what follows from another failure names it', () => {
  const results = [
    resultOf('TX-10', 'failed'),
    resultOf('TX-12', 'not testable', { reason: 'a good token is refused, see TX-10 and TX-11' }),
    resultOf('TX-11', 'passed'),
  ];
  expect(results.map((result) => followsFrom(result, { results }))).toEqual([[], ['TX-10'], []]);
});

test('a statement is a whole sentence', () => {
  expect(sentenceOf('refuses the old token')).toBe('The implementation refuses the old token.');
  expect(sentenceOf('The cluster refuses it.')).toBe('The cluster refuses it.');
});

test('a reason of several lines is several findings', () => {
  expect(causesOf(resultOf('A-1', 'failed', { reason: 'accepted no audience\naccepted another issuer' }))).toHaveLength(
    2,
  );
});

test('the command that repeats a requirement, as a shell takes it', () => {
  const report = reportOf([resultOf('TR-01', 'failed')], {
    invocation: { program: 'npx kube-agent-conformance', options: ['--target', "my agent's.yaml", '--clock', 'real'] },
  });
  expect(repeatCommand(report, 'TR-01')).toBe(
    "npx kube-agent-conformance run --target 'my agent'\\''s.yaml' --clock real --requirement TR-01",
  );
});

test('what is not testable has to be made testable before its remedy is of use', () => {
  const remedy = 'Handle the rejection.';
  expect(whatToDo({ outcome: 'failed', remedy })).toEqual([['How to fix it', remedy]]);
  expect(whatToDo({ outcome: 'not testable', remedy })).toEqual([
    ['How to fix it', expect.stringContaining('Make what is missing work first')],
    ['If it fails then', remedy],
  ]);
  expect(whatToDo({ outcome: 'failed' })).toEqual([]);
});
