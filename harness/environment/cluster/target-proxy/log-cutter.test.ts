import { expect, test } from 'vitest';
import { logCutter } from './log-cutter.ts';

function passed(cutAt: (chunk: Buffer) => number | undefined, chunks: string[]): string {
  let text = '';
  for (const chunk of chunks) {
    const at = cutAt(Buffer.from(chunk));
    text += chunk.slice(0, at);
    if (at !== undefined) {
      return text;
    }
  }
  return `${text}, whole`;
}

test('a log ends after its bytes, across chunks', () => {
  expect(passed(logCutter({ kind: 'cut-log', bytes: 5 }), ['one\n', 'two\n'])).toBe('one\nt');
  expect(passed(logCutter({ kind: 'cut-log', bytes: 8 }), ['one\n', 'two\n'])).toBe('one\ntwo\n, whole');
});

test('a log ends in the middle of a text, wherever chunks begin', () => {
  const cutter = () => logCutter({ kind: 'cut-log', within: 'twofold' });
  expect(passed(cutter(), ['one twofold three'])).toBe('one two');
  expect(passed(cutter(), ['one twofo', 'ld three'])).toBe('one twofo');
  expect(passed(cutter(), ['one t', 'wofold three'])).toBe('one two');
  expect(passed(cutter(), ['one', ' three'])).toBe('one three, whole');
});
