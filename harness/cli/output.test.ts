import { expect, test } from 'vitest';
import type { RequirementResult } from '../rpc/protocol.ts';
import { Console, type Output } from './output.ts';

const result = (id: string): RequirementResult => ({
  id,
  candidate: 'references',
  outcome: 'passed',
  startedAt: '2026-01-01T00:00:00.000Z',
  durationMs: 1500,
  evidence: [],
});

/** What was written, without colours; `\r` begins a line that is written over. */
function written(act: (output: Console) => void, options: Partial<Output> = {}): string {
  let text = '';
  const write = (part: string): void => {
    text += part;
  };
  act(new Console({ write, ...options }));
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the colours of a terminal
  return text.replace(/\x1b\[\d*[mK]/g, '');
}

const someRun = (output: Console): void => {
  const { onResult } = output.of({ planned: 2, several: false });
  output.progress('cluster', 'ready after 8.0 s');
  output.progress('TR-07', 'waits until 12:00:00 (75 s): exp + 60 s');
  onResult(result('TR-01'));
  onResult(result('TR-07'));
};

test('elsewhere than on a terminal: a plain line for everything', () => {
  expect(
    written(someRun)
      .split('\n')
      .map((line) => line.replace(/^ *[\d.]+ s {2}/, '')),
  ).toEqual([
    'cluster ready after 8.0 s',
    'TR-07 waits until 12:00:00 (75 s): exp + 60 s',
    'TR-01 passed (1.5 s)',
    'TR-07 passed (1.5 s)',
    '',
  ]);
});

test('on a terminal: what requirements wait for stands in a last line, which is gone at the end', () => {
  const lines = written(someRun, { isTTY: true, columns: 50 }).split(/[\r\n]+/);
  expect(lines).toContain('0 of 2 done: TR-07 waits until 12:00:00 (75 s): exp + 60 s'.slice(0, 49));
  expect(lines).toContain('1 of 2 done: TR-07 waits until 12:00:00 (75 s): exp + 60 s'.slice(0, 49));
  expect(lines.at(-2)).toMatch(/TR-07 passed \(1\.5 s\)$/);
  expect(lines.at(-1)).toBe('');
});

test('a long reason is told once, and what shares it names that requirement', () => {
  const why = `incompatible pair: a-client and keycloak: ${'the client declares this and that; '.repeat(10)}`;
  const lines = written((output) => {
    for (const id of ['TR-20', 'TR-21', 'TR-22']) {
      output.result({ ...result(id), outcome: 'not applicable', reason: why });
    }
    output.result({ ...result('TR-23'), outcome: 'not applicable', reason: 'short' });
    output.result({ ...result('TR-24'), outcome: 'not applicable', reason: 'short' });
  }).split('\n');
  expect(lines.filter((line) => line.includes(why.trimEnd()))).toHaveLength(1);
  expect(lines[1]).toMatch(/TR-21 not applicable \(1\.5 s\): incompatible pair: .{61}… \(as TR-20\)$/);
  expect(lines[4]).toMatch(/: short$/);
});

test('no token is printed whole', () => {
  const token = `eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJodHRwczovL2EifQ.${'s'.repeat(86)}`;
  expect(written((output) => output.progress('cluster', token))).not.toContain('s'.repeat(86));
});

test('on a terminal: how long is left, by the longest requirement that is not done yet', () => {
  const lines = written(
    (output) => {
      const { onResult } = output.of({
        planned: 3,
        several: false,
        expected: [
          ['TR-01', 5],
          ['TR-07', 80],
          ['TR-08', 30],
        ],
      });
      output.progress('TR-07', 'waits');
      onResult(result('TR-07'));
      output.progress('TR-08', 'waits');
    },
    { isTTY: true, columns: 60 },
  ).split(/[\r\n]+/);
  expect(lines).toContain('0 of 3 done, about 80 s left: TR-07 waits');
  expect(lines.at(-1)).toBe('1 of 3 done, about 30 s left: TR-08 waits');
});
