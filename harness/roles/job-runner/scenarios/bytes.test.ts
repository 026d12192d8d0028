import { expect, test } from 'vitest';
import { asText, fitting, LENGTHS } from './bytes.ts';

test('bytes that are no UTF-8 are one replacement character, however a decoder counts them', () => {
  expect(asText(Buffer.from([0x61, 0xff, 0xfe, 0x62]))).toBe('a\uFFFDb');
  expect(asText('a\uFFFD\uFFFD\uFFFDb')).toBe('a\uFFFDb');
  expect(asText(Buffer.from('任'))).toBe('任');
});

test('a runner that documents to read less gets fewer of the long lines', () => {
  expect(fitting([100, 65_536, 200_000])).toEqual([100, 65_536, 200_000]);
  expect(fitting([100, 65_536, 200_000], 200_000)).toEqual([100, 65_536]);
  expect(fitting(LENGTHS)).toEqual(LENGTHS);
  expect(fitting(LENGTHS, 1_048_576)).toEqual(LENGTHS.slice(0, -1));
});
