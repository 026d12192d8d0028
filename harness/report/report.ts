import { z } from 'zod';
import { ROLES } from '../catalogue/catalogue.ts';
import { OUTCOMES, type Outcome } from '../core/outcome.ts';
import { matrixSchema } from '../probes/matrix.ts';
import { timelineEventSchema } from '../probes/timeline.ts';
import { requestsSchema } from '../rpc/requests.ts';
import { incompatibilitySchema } from './incompatibilities.ts';

const instant = z.iso.datetime().describe('RFC 3339, UTC');
const count = z.int().nonnegative();

const resultSchema = z.strictObject({
  id: z.string(),
  level: z.enum(['MUST', 'SHOULD', 'MAY']),
  role: z.enum(ROLES),
  suite: z.string(),
  outcome: z.enum(OUTCOMES),
  reason: z.string().optional().describe('why, for every outcome but passed'),
  disturbedBefore: z
    .string()
    .optional()
    .describe(
      'it was judged a second time, alone: what kept the harness from judging it the first time, or why that verdict was in doubt',
    ),
  startedAt: instant,
  durationMs: z.number().nonnegative(),
  evidence: z
    .array(z.strictObject({ label: z.string(), at: instant, data: z.unknown() }))
    .describe('what was seen; the signature of every token is cut off'),
});

/** The report of one run: a versioned interface. Every renderer works from this document alone. */
export const reportSchema = z
  .strictObject({
    apiVersion: z.literal('conformance/v1'),
    tool: z.strictObject({ name: z.string(), version: z.string(), node: z.string() }),
    runId: z.string(),
    startedAt: instant,
    finishedAt: instant,
    catalogue: z.strictObject({
      digest: z
        .string()
        .regex(/^[0-9a-f]{64}$/)
        .describe('SHA-256 over the requirements that were loaded'),
      requirements: count,
    }),
    target: z.strictObject({
      name: z.string(),
      role: z.enum(ROLES).optional().describe('absent where the references are judged in every role'),
      files: z
        .array(
          z.strictObject({
            name: z.string(),
            role: z.enum(ROLES),
            version: z.string().optional(),
            profile: z.string().optional(),
            capabilities: z.array(z.string()),
            digest: z.string().describe('SHA-256 of the target file'),
          }),
        )
        .optional()
        .describe('the target files, where there are any'),
    }),
    environment: z
      .record(z.string(), z.unknown())
      .describe('what the parts say of themselves, read and not copied from flags'),
    requests: z
      .array(requestsSchema)
      .describe('requests to each component, as far as they were recorded; what was judged once more is not counted'),
    clock: z.strictObject({
      kind: z.enum(['accelerated', 'real']),
      lifetimeSeconds: z.number(),
      clientLifetimeSeconds: z.number(),
      syncFrequencySeconds: z.number(),
    }),
    planned: z.array(z.string()),
    results: z.array(resultSchema),
    timeline: z.array(timelineEventSchema).describe('what happened to each token that was seen, in the order of time'),
    matrix: matrixSchema
      .optional()
      .describe('every provider with every token; absent where no requirement of it was planned'),
    incompatibilities: z
      .array(incompatibilitySchema)
      .optional()
      .describe('pairs of good parts that cannot work together: neither has failed; absent where there is none'),
    faults: z.array(z.string()).describe('what went wrong in the harness outside of any requirement'),
    summary: z.record(z.enum(OUTCOMES), count),
    conformant: z.boolean(),
    reasons: z.array(z.string()).describe('why not conformant; empty where it is'),
  })
  .meta({ id: 'https://kube-agent-conformance.dev/report/v1', title: 'Report of a conformance run' });

export type Report = z.infer<typeof reportSchema>;
export type ReportResult = z.infer<typeof resultSchema>;

/** The schema as JSON Schema (draft 2020-12), as it is published in harness/report/report.schema.json. */
export function reportJsonSchema(): Record<string, unknown> {
  return z.toJSONSchema(reportSchema, { target: 'draft-2020-12' });
}

export interface Verdict {
  conformant: boolean;
  /** True when something of the harness failed, so that nothing can be said. */
  harnessError: boolean;
  reasons: string[];
}

/**
 * The verdict over the results of one subject.
 *
 * Conformant means: everything that was planned was executed, no MUST failed or could not be tested or was disabled, the harness made no error,
 * and at least one requirement passed. A SHOULD that failed is reported and does not change the verdict (RFC 2119).
 */
export function judge(planned: string[], results: ReportResult[], faults: string[]): Verdict {
  const reasons: string[] = [];
  const executed = new Set(results.map(({ id }) => id));
  const missing = planned.filter((id) => !executed.has(id));
  if (missing.length > 0) {
    reasons.push(`planned but not executed: ${missing.join(', ')}`);
  }
  const surplus = results.filter(({ id }) => !planned.includes(id)).map(({ id }) => id);
  if (surplus.length > 0) {
    reasons.push(`executed but not planned: ${surplus.join(', ')}`);
  }
  const twice = results.filter(({ id }, index) => results.findIndex((other) => other.id === id) !== index);
  if (twice.length > 0) {
    reasons.push(`more than one result: ${twice.map(({ id }) => id).join(', ')}`);
  }
  const of = (...outcomes: Outcome[]): ReportResult[] => results.filter(({ outcome }) => outcomes.includes(outcome));
  const errors = of('harness error');
  if (errors.length > 0) {
    reasons.push(`harness errors: ${errors.map(({ id }) => id).join(', ')}`);
  }
  reasons.push(...faults.map((fault) => `harness fault: ${fault}`));
  const harnessError = reasons.length > 0;
  const broken = of('failed', 'not testable', 'disabled').filter(({ level }) => level === 'MUST');
  if (broken.length > 0) {
    reasons.push(`MUST not kept: ${broken.map(({ id, outcome }) => `${id} (${outcome})`).join(', ')}`);
  }
  if (of('passed').length === 0) {
    reasons.push('nothing passed: there is nothing to certify');
  }
  return { conformant: reasons.length === 0, harnessError, reasons };
}

export function summarize(results: ReportResult[]): Record<Outcome, number> {
  const summary = Object.fromEntries(OUTCOMES.map((outcome) => [outcome, 0])) as Record<Outcome, number>;
  for (const { outcome } of results) {
    summary[outcome] += 1;
  }
  return summary;
}
