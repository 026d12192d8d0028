import { expect, test } from 'vitest';
import { asText, contents, fitting, LENGTHS, loggedLines } from './bytes.ts';

test('bytes that are no UTF-8 are one replacement character, however a decoder counts them', () => {
  expect(asText(Buffer.from([0x61, 0xff, 0xfe, 0x62]))).toBe('a\uFFFDb');
  expect(asText('a\uFFFD\uFFFD\uFFFDb')).toBe('a\uFFFDb');
  expect(asText(Buffer.from('任'))).toBe('任');
});

test('lines that are alike, and blank ones, are looked for where they stand', () => {
  const expected = [
    { what: 'repeats', begins: 'odd 11 ', repeats: 3 },
    { what: 'gaps', begins: 'odd 12 ', blank: 2 },
    { what: 'the end', begins: 'odd 10 ' },
  ];
  expect(loggedLines(contents(), expected).map(({ text }) => text)).toEqual([
    'odd 11 again',
    'odd 12 gap',
    'odd 10 end',
  ]);
  for (const log of ['odd 11 again\nodd 12 gap\n\n\nodd 10 end', 'odd 11 again\n'.repeat(3)]) {
    expect(() => loggedLines(Buffer.from(log), expected)).toThrow(/lacks the line with/);
  }
});

test('of a line that the container runtime broke nothing is expected', () => {
  const expected = [
    { what: 'stderr', begins: 'err 1 ', stream: 'stderr', mayBeBroken: true },
    { what: 'stdout', begins: 'out 1 ', mayBeBroken: true },
  ] as const;
  expect(loggedLines(Buffer.from('out err 1 of 1\n1 of 1\n'), [...expected])).toEqual([]);
  expect(loggedLines(Buffer.from('err 1 of 1\nout 1 of 1\n'), [...expected])).toMatchObject([
    { text: 'err 1 of 1', stream: 'stderr' },
    { text: 'out 1 of 1' },
  ]);
});

test('a runner that documents to read less gets fewer of the long lines', () => {
  expect(fitting([100, 65_536, 200_000])).toEqual([100, 65_536, 200_000]);
  expect(fitting([100, 65_536, 200_000], 200_000)).toEqual([100, 65_536]);
  expect(fitting(LENGTHS)).toEqual(LENGTHS);
  expect(fitting(LENGTHS, 1_048_576)).toEqual(LENGTHS.slice(0, -1));
});
