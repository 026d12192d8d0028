import { expect, it } from 'vitest';
import { progressPrinter } from './progress.ts';

const step = { part: 'image node', step: 'compile node' } as const;

function printer(isTTY: boolean) {
  const written: string[] = [];
  let time = 0;
  const print = progressPrinter({ write: (text) => written.push(text), isTTY, columns: 60 }, () => time);
  return { written, print, pass: (ms: number) => (time += ms) };
}

it('prints plain lines at the begin, every ten seconds and at the end', () => {
  const { written, print, pass } = printer(false);
  print({ ...step, phase: 'begin' });
  for (let count = 1; count <= 25; count += 1) {
    pass(1000);
    print({ ...step, phase: 'advance', detail: `${count} packages`, elapsedMs: count * 1000 });
  }
  print({ ...step, phase: 'end', elapsedMs: 25_000 });
  expect(written).toEqual([
    'image node: compile node\n',
    'image node: compile node (10 packages), 10.0 s\n',
    'image node: compile node (20 packages), 20.0 s\n',
    'image node: compile node, 25.0 s: done\n',
  ]);
});

it('writes one line over on a terminal, never longer than it is wide', () => {
  const { written, print } = printer(true);
  print({ ...step, phase: 'begin' });
  print({ ...step, phase: 'advance', detail: 'x'.repeat(200), elapsedMs: 10 });
  print({ ...step, phase: 'end', elapsedMs: 10 });
  expect(written.slice(0, -1).every((text) => text.startsWith('\r\x1b[2K') && text.length <= 60 + 5)).toBe(true);
  expect(written.at(-1)).toMatch(/compile node, 0\.0 s\n$/);
});
