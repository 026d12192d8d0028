import { expect, test } from 'vitest';
import { resultOf } from '../../report-builders.ts';
import { proofIn } from './proof.ts';

const failing = (text: string) => resultOf('SM-06', 'failed', { findings: [{ cause: text, count: 1, texts: [text] }] });

test('the line of a list that a finding quotes is its proof, others are not', () => {
  const line = 'exec agent ["false"] → 200 {"exitCode":0}';
  const { lines } = proofIn([line, 'exec agent ["true"] → 200 {"exitCode":0}', 'short'], failing(`wrong: ${line}`));
  expect(lines).toEqual([line]);
});

test('a record of an instant that a finding names is its proof, however deep it is', () => {
  const at = '2026-03-02T09:00:00.123Z';
  const other = { at: '2026-03-02T09:00:01.123Z', path: '/b' };
  const { records } = proofIn({ calls: { failed: [{ at, path: '/a' }, other] } }, failing(`/a was requested at ${at}`));
  expect(records).toEqual([{ at, path: '/a' }]);
});
