import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { UsageError } from '../core/errors.ts';
import { OUTCOMES } from '../core/outcome.ts';
import type { Report } from '../report/report.ts';

/** What a run of a shipped target file came to, as it is kept in the tree: pages are made of it. */
const recordedSchema = z.strictObject({
  /** Name in the target file. */
  target: z.string(),
  /** The implementation and its version, as the report has it. */
  version: z.string(),
  /** Day of the run. */
  date: z.string().regex(/^\d{4}-\d{2}-\d{2}$/),
  kubernetes: z.string(),
  clock: z.string(),
  /** Outcome of each requirement, by id; `reason` is its first finding. */
  results: z.record(z.string(), z.strictObject({ outcome: z.enum(OUTCOMES), reason: z.string().optional() })),
});

export type Recorded = z.infer<typeof recordedSchema>;

/** Of a report's environment, what is kept. */
const environmentSchema = z.looseObject({
  clusters: z.array(z.looseObject({ kubernetesVersion: z.string() })).min(1),
  identityProviders: z.array(z.looseObject({ kind: z.string(), version: z.string() })).min(1),
});

/** Where the runs of identity providers are kept. */
export const RECORDED_PROVIDERS = fileURLToPath(
  new URL('../../fixtures/identity-providers/recorded.json', import.meta.url),
);

/** The runs that a file keeps, in the order of the targets' names. */
export function readRecorded(file: string): Recorded[] {
  return z.array(recordedSchema).parse(JSON.parse(readFileSync(file, 'utf8')));
}

const LONGEST_REASON = 160;

/** The first finding, short enough for a page, without what differs from run to run. */
function firstFinding(reason: string): string {
  const [line = ''] = reason.split('\n');
  const steady = line
    .replaceAll(/https:\/\/\d+\.\d+\.\d+\.\d+:\d+/g, 'https://additional-issuer')
    .replaceAll(/\b(additional-issuer)-[0-9a-f]{8}\b/g, '$1');
  return steady.length > LONGEST_REASON ? `${steady.slice(0, LONGEST_REASON - 1)}…` : steady;
}

/**
 * What is kept of a report on an identity provider.
 *
 * @throws UsageError for a report without a verdict, or of another role
 */
export function recordOf(report: Report): Recorded {
  const { target, environment, startedAt, clock, results, harnessError } = report;
  const described = environmentSchema.safeParse(environment);
  if (target.role !== 'identity-provider' || !described.success) {
    throw new UsageError('only a report on a target of the role identity-provider can be recorded');
  }
  const [cluster, provider] = [described.data.clusters[0], described.data.identityProviders[0]];
  if (harnessError === true) {
    throw new UsageError(`the run on ${target.name} ended with a harness error: run it again before it is recorded`);
  }
  return recordedSchema.parse({
    target: target.name,
    version: `${provider?.kind} ${provider?.version}`,
    date: startedAt.slice(0, 10),
    kubernetes: cluster?.kubernetesVersion,
    clock: clock.kind,
    results: Object.fromEntries(
      results
        .toSorted((a, b) => a.id.localeCompare(b.id))
        .map(({ id, outcome, reason }) => [
          id,
          { outcome, ...(reason === undefined ? {} : { reason: firstFinding(reason) }) },
        ]),
    ),
  });
}

/** Keeps records in a file: each takes the place of an earlier one of the same target. */
export function keep(file: string, records: Recorded[]): void {
  const names = new Set(records.map(({ target }) => target));
  const all = [...readRecorded(file).filter(({ target }) => !names.has(target)), ...records];
  all.sort((a, b) => a.target.localeCompare(b.target));
  writeFileSync(file, `${JSON.stringify(all, null, 2)}\n`);
}
