import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { UsageError } from '../core/errors.ts';
import { OUTCOMES, type Outcome } from '../core/outcome.ts';
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

const fixture = (path: string): string => fileURLToPath(new URL(`../../fixtures/${path}`, import.meta.url));

/** What is recorded: the role of the targets, and where their runs are kept. */
export const RECORDED = {
  provider: { role: 'identity-provider', file: fixture('identity-providers/recorded.json') },
  sdk: { role: 'token-client', file: fixture('targets/token-clients/recorded.json') },
} as const;
export type RecordedKind = keyof typeof RECORDED;

const causesSchema = z.record(z.string(), z.record(z.string(), z.string()));

/**
 * Where in the source of the version that was run the causes of its red rows are: target → requirement → file, line and
 * what stands there.
 */
export function causesOf(kind: RecordedKind): Record<string, Record<string, string>> {
  const { file } = RECORDED[kind];
  return kind === 'sdk' ? causesSchema.parse(JSON.parse(readFileSync(join(dirname(file), 'causes.json'), 'utf8'))) : {};
}

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
    .replaceAll(/\b(additional-issuer)-[0-9a-f]{8}\b/g, '$1')
    .replaceAll(/\S*kube-agent-conformance-client-[^/\s]*/g, '…')
    .replaceAll(/\d{4}-\d{2}-\d{2}T[\d:.]+Z/g, 'some time')
    .replaceAll(/\beyJ[\w-]+(\.[\w-]*)*/g, '(a token)');
  return steady.length > LONGEST_REASON ? `${steady.slice(0, LONGEST_REASON - 1)}…` : steady;
}

/**
 * What is kept of a report.
 *
 * @throws UsageError for a report without a verdict, or of another role
 */
export function recordOf(kind: RecordedKind, report: Report): Recorded {
  const { role } = RECORDED[kind];
  const { target, environment, startedAt, clock, results, harnessError } = report;
  const described = environmentSchema.safeParse(environment);
  if (target.role !== role || !described.success) {
    throw new UsageError(`only a report on a target of the role ${role} can be recorded`);
  }
  const [cluster, provider] = [described.data.clusters[0], described.data.identityProviders[0]];
  if (harnessError === true) {
    throw new UsageError(`the run on ${target.name} ended with a harness error: run it again before it is recorded`);
  }
  const targetFile = target.files?.find((file) => file.role === role);
  const version = kind === 'provider' ? `${provider?.kind} ${provider?.version}` : targetFile?.version;
  return recordedSchema.parse({
    target: target.name,
    version,
    date: startedAt.slice(0, 10),
    kubernetes: cluster?.kubernetesVersion,
    clock: clock.kind,
    results: keptResults(results),
  });
}

/** What is kept of results, by the ids of their requirements. */
export function keptResults(
  results: readonly { id: string; outcome: Outcome; reason?: string | undefined }[],
): Recorded['results'] {
  return Object.fromEntries(
    results
      .toSorted((a, b) => a.id.localeCompare(b.id))
      .map(({ id, outcome, reason }) => [
        id,
        { outcome, ...(reason === undefined ? {} : { reason: firstFinding(reason) }) },
      ]),
  );
}

/**
 * Keeps records in a file, with their results in the order of their ids: each takes the place of an earlier one of the
 * same target.
 */
export function keep(file: string, records: Recorded[]): void {
  const names = new Set(records.map(({ target }) => target));
  const sorted = records.map((record) => ({
    ...record,
    results: Object.fromEntries(Object.entries(record.results).toSorted(([a], [b]) => a.localeCompare(b))),
  }));
  const all = [...readRecorded(file).filter(({ target }) => !names.has(target)), ...sorted];
  all.sort((a, b) => a.target.localeCompare(b.target));
  writeFileSync(file, `${JSON.stringify(all, null, 2)}\n`);
}
