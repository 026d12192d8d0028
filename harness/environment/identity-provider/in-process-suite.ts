/** For the suites' tests of what they ask of identity providers. */
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { loadCatalogue } from '../../catalogue/catalogue.ts';
import type { Outcome } from '../../core/outcome.ts';
import { applicable, type Bodies, evaluateInProcess, type InProcessProvider, type Setting } from './in-process.ts';

const catalogue = loadCatalogue();

/** Ids of requirements that take long: evaluated only for the twins that must fail them. */
export const expensive = catalogue.requirements.flatMap(({ id, expensive: isExpensive }) =>
  isExpensive === true ? [id] : [],
);

export interface SuiteOptions {
  /** Declarations by which the fault of a variant shows, where the first one does not show it. */
  shownBy: Record<string, number[]>;
  /** The outcome by which a variant shows, where that is not `failed`. */
  outcome?: Record<string, Outcome>;
}

/**
 * The tests that every such suite has: the reference passes each row, and each twin of the catalogue that needs no
 * container fails exactly the rows that name it.
 *
 * @param bodies of the suite's requirements
 * @returns evaluates them for a provider of the caller's
 */
export function testInProcess(
  bodies: Bodies,
  { shownBy, outcome = {} }: SuiteOptions,
): (started: InProcessProvider, setting?: Setting) => Promise<Record<string, string>> {
  // Seconds of work in all: how long they take is the machine's affair.
  vi.setConfig({ testTimeout: 120_000 });
  beforeAll(() => void vi.useFakeTimers({ toFake: ['Date'] }));
  afterAll(() => void vi.useRealTimers());
  const setTime = (instant: Date): void => void vi.setSystemTime(instant);
  const evaluate = (started: InProcessProvider, setting?: Setting): Promise<Record<string, string>> =>
    evaluateInProcess({ bodies, setTime }, started, setting);

  const twins = catalogue.twins.flatMap(({ name, mustFail, ...twin }) =>
    'identityProvider' in twin && twin.identityProvider.kind !== 'keycloak' && mustFail.some((id) => bodies.has(id))
      ? [{ name, mustFail, ...twin.identityProvider }]
      : [],
  );

  test('the reference passes every row', async () => {
    expect(bodies.size).toBeGreaterThanOrEqual(7);
    expect(await evaluate({ kind: 'embedded' })).toEqual({});
  });

  test.for(twins)('$name is red exactly where it must be', async ({ kind, variant = '', mustFail }) => {
    const outcomes = await evaluate(
      { kind, variant: variant === '' ? undefined : variant },
      {
        // By the first declaration alone, where the fault shows by it: most do, and time is short.
        declarations: shownBy[variant] ?? [0],
        leftOut: expensive.filter((id) => !mustFail.includes(id)),
      },
    );
    expect(Object.keys(applicable(outcomes)).sort()).toEqual(mustFail.filter((id) => bodies.has(id)).sort());
    expect(Object.values(outcomes)).toContain(outcome[variant] ?? 'failed');
  });

  return evaluate;
}
