import { expect, test } from 'vitest';
import { UsageError } from '../../core/errors.ts';
import { renderBenchmark, workOf } from './index.ts';
import { figuresOf, measure, spreadOf } from './measure.ts';

test('the median of an odd and of an even number of runs', () => {
  expect(spreadOf([3, 1, 2])).toEqual({ min: 1, median: 2, max: 3 });
  expect(spreadOf([4, 1, 2, 3])).toEqual({ min: 1, median: 2.5, max: 4 });
});

test('a command is measured by the clock and by the processors; one that fails says how', async () => {
  const spin = 'const until = Date.now() + 300; while (Date.now() < until);';
  const measured = await measure([process.execPath, '--eval', spin]);
  expect(measured.seconds).toBeGreaterThan(0.29);
  expect(measured.processorSeconds).toBeGreaterThan(0.2);
  await expect(measure([process.execPath, '--eval', 'console.error("no engine"); process.exit(3)'])).rejects.toThrow(
    /ended with 3:\nno engine/,
  );
});

test('figures stand beside those that were recorded', () => {
  const of = (seconds: number) => ({ certify: figuresOf([{ seconds, processorSeconds: 2 * seconds }]) });
  const before = { at: '2026-01-01T00:00:00Z', machine: 'two processors', figures: of(200) };
  const table = renderBenchmark({ at: '2026-01-02T00:00:00Z', machine: 'this one', figures: of(100) }, before);
  expect(table).toContain('certify  100 s   100–100  200 s       200 s     -50 %');
  expect(table).toContain('recorded 2026-01-01 on two processors');
});

test('work is what is named, or all that is not on request, but for what is skipped', () => {
  const names = (named: string[], skip: string[] = []): string[] => workOf(named, skip).map(({ name }) => name);
  expect(names([])).not.toContain('prove');
  expect(names([], ['unit'])).toEqual(names([]).filter((name) => name !== 'unit'));
  expect(names(['prove'])).toEqual(['prove']);
  expect(() => names(['certfy'])).toThrow(UsageError);
  expect(() => names([], ['certfy'])).toThrow(/unknown work certfy; known: certify, /);
});

test('the critical path of a run stands below the table', () => {
  const paths = { certify: { setUp: 11, steps: [{ id: 'TR-22', seconds: 80 }], cleanUp: 4.5, shortest: 95.5 } };
  const table = renderBenchmark({ at: '2026-01-02T00:00:00Z', machine: 'this one', figures: {}, paths });
  expect(table).toContain(
    'critical path of certify: set-up 11 s, TR-22 80 s, clean-up 4.5 s; 95.5 s were the shortest',
  );
});
