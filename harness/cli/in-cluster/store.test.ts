import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { configMapsOf, REPORT_LABEL, reportsIn } from './store.ts';

const text = JSON.stringify({ noise: randomBytes(400).toString('hex') });

test('what is put into ConfigMaps comes out of them, in parts and of several shards', () => {
  const first = configMapsOf(text, { name: 'run', shard: 1, partBytes: 100 });
  const second = configMapsOf('{}', { name: 'run', shard: 2 });
  expect(first.length).toBeGreaterThan(2);
  expect(new Set(first.map(({ metadata }) => metadata?.name)).size).toBe(first.length);
  expect(second.map(({ metadata }) => metadata?.labels)).toEqual([{ [REPORT_LABEL]: 'run' }]);
  expect(reportsIn([...second, ...first.toReversed()])).toEqual([
    { shard: 1, text },
    { shard: 2, text: '{}' },
  ]);
});

test('a part that is missing, or another one, is told', () => {
  const maps = configMapsOf(text, { name: 'run', shard: 3, partBytes: 100 });
  expect(() => reportsIn(maps.slice(1))).toThrow(/report of shard 3 there are \d of \d parts/);
  const [first, ...others] = maps;
  const changed = { ...first, binaryData: { 'report.json.gz': Buffer.from('else').toString('base64') } };
  expect(() => reportsIn([changed, ...others])).toThrow(/report of shard 3 cannot be read/);
  const [whole] = configMapsOf('{}', { name: 'run', shard: 1 });
  const { binaryData } = configMapsOf('[]', { name: 'run', shard: 1 })[0] ?? {};
  expect(() => reportsIn([{ ...whole, ...(binaryData === undefined ? {} : { binaryData }) }])).toThrow(
    /digest differs/,
  );
});
