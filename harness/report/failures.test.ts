import { expect, test } from 'vitest';
import { groupByCause, shapeOf } from '../core/causes.ts';
import { quoting } from '../core/quotation.ts';
import {
  causesOf,
  failuresOf,
  firstFinding,
  followsFrom,
  idsByLevel,
  prerequisites,
  repeatCommand,
  sentenceOf,
  sourcesByKind,
  whatToDo,
} from './failures.ts';
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

test('what a product printed makes one group of a failure and of what it keeps from being tested', () => {
  const printed = (namespace: string) => `not allowed in namespace kac-a93757009abc87-${namespace}: list events`;
  const blocked = quoting('the job runner does not accept work', printed('2-b'));
  const started = quoting('with exactly the documented Role bound, the runner refused to start', printed('3-a'));
  const results = [
    resultOf('RB-21', 'not testable', { level: 'SHOULD', role: 'job-runner', reason: blocked }),
    resultOf('RB-24', 'not testable', { role: 'job-runner', reason: blocked }),
    resultOf('RB-20', 'failed', {
      role: 'job-runner',
      reason: 'in one line',
      findings: [{ cause: started, count: 1, texts: [started] }],
    }),
  ];
  const [group, ...others] = failuresOf({ results });
  expect(others).toEqual([]);
  expect(group?.results.map(({ id }) => id)).toEqual(['RB-20', 'RB-24', 'RB-21']);
  expect(group && idsByLevel(group)).toEqual([
    ['MUST', ['RB-20', 'RB-24']],
    ['SHOULD', ['RB-21']],
  ]);
  expect(group?.results.map(firstFinding)[0]).toBe(
    'with exactly the documented Role bound, the runner refused to start. ' +
      'It printed: “not allowed in the runner’s namespace: list events”',
  );
  const [, second] = results;
  expect(second && followsFrom(second, { results })).toEqual(['RB-20']);
  expect(whatToDo({ outcome: 'not testable' }, ['RB-20'])[0]?.[1]).toMatch(
    /^Fix RB-20 first; this was blocked by it\./,
  );
});

test('within a level, what opens a door is first and what is only documented wrongly last', () => {
  const of = (id: string, statement: string) => resultOf(id, 'failed', { statement, reason: id });
  const results = [
    of('A-1', 'The runner documents no rule that it never uses.'),
    of('A-2', 'The runner reports the exit code.'),
    of('A-3', 'The manager lets no unauthenticated caller on the network run commands.'),
  ];
  expect(failuresOf({ results }).flatMap((group) => group.results.map(({ id }) => id))).toEqual(['A-3', 'A-2', 'A-1']);
});

test('what was withheld is asked for, and the prerequisites name it', () => {
  const report = reportOf([], {
    invocation: { program: 'npm run conformance --', options: ['--target', 'a.yaml', '--set', 'clientSecret=…'] },
    tool: { name: 'kube-agent-conformance', version: '0.1.0', node: 'v24.0.0', commit: '0123456789ab' },
  });
  expect(repeatCommand(report, 'TR-01')).toContain("--set 'clientSecret=<your value of clientSecret>'");
  const text = prerequisites(report).join('\n');
  expect(text).toMatch(/kube-agent-conformance 0\.1\.0, commit 0123456789ab: a clone/);
  expect(text).toMatch(/target file of the run: `a\.yaml`/);
  expect(text).toMatch(/value of `clientSecret`: it is not in the report/);
});

test('sources are standards, promises of products, or rules of the suite', () => {
  expect(sourcesByKind(['OpenCode Manager, Kubernetes integration', 'project', 'RFC 9700 section 2.6'])).toEqual([
    ['', ['RFC 9700 section 2.6']],
    ['the behaviour promised by ', ['OpenCode Manager, Kubernetes integration']],
    ['', ['a rule of the suite itself']],
  ]);
});
