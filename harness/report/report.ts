import { z } from 'zod';
import { OUTCOMES } from '../core/outcome.ts';
import { permissionsSchema } from '../kubernetes/permissions.ts';
import { matrixSchema } from '../probes/matrix.ts';
import { timelineEventSchema } from '../probes/timeline.ts';
import { ROLES } from '../role-data/index.ts';
import { requestsSchema } from '../rpc/requests.ts';
import { incompatibilitySchema } from './incompatibilities.ts';

const instant = z.iso.datetime().describe('RFC 3339, UTC');
const text = z.string().trim().min(1);
const count = z.int().nonnegative();

export const knownFailureSchema = z.strictObject({
  requirement: text,
  reason: text.describe('why it fails, and why that is borne for now'),
  link: z.url({ protocol: /^https?$/ }).describe('where it is being worked on'),
  owner: text.describe('who sees to it'),
  expires: z.iso.date().describe('the last day on which it is borne, YYYY-MM-DD, UTC'),
});

const causeSchema = z.strictObject({
  cause: z.string().describe('the sentence, with … wherever the findings differ'),
  count: z.int().positive().describe('how many findings are of this cause'),
  texts: z
    .array(z.string())
    .describe('each of them that is worded differently; beyond the first fifty they are only counted'),
});

const resultSchema = z.strictObject({
  id: z.string(),
  level: z.enum(['MUST', 'SHOULD', 'MAY']),
  role: z.enum(ROLES),
  suite: z.string(),
  statement: z.string().optional().describe('what the implementation must do, a whole sentence'),
  source: z.array(z.string()).optional().describe('where the requirement is from: RFC section or document'),
  rationale: z.string().optional().describe('why it matters'),
  observed: z.string().optional().describe('how the harness looks'),
  remedy: z.string().optional().describe('how to fix an implementation that fails it'),
  outcome: z.enum(OUTCOMES),
  reason: z.string().optional().describe('why, for every outcome but passed'),
  findings: z.array(causeSchema).optional().describe('everything that was found wrong, by cause'),
  disturbedBefore: z
    .string()
    .optional()
    .describe(
      'it was evaluated a second time, alone: what kept the harness from evaluating it the first time, ' +
        'or why that verdict was in doubt',
    ),
  startedAt: instant,
  durationMs: z.number().nonnegative(),
  evidence: z
    .array(
      z.strictObject({
        label: z.string(),
        at: instant,
        data: z.unknown().optional(),
        sameAs: z.string().optional().describe('in the place of data: the result that has the same under this label'),
      }),
    )
    .describe('what was seen; the signature of every token is cut off'),
});

/** The report of one run: a versioned interface. Every renderer works from this document alone. */
export const reportSchema = z
  .strictObject({
    apiVersion: z.literal('conformance/v1'),
    tool: z.strictObject({
      name: z.string(),
      version: z.string(),
      node: z.string(),
      commit: z.string().optional().describe('of the sources that ran, where they were a clone'),
    }),
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
      role: z.enum(ROLES).optional().describe('absent where the references are evaluated in every role'),
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
    invocation: z
      .strictObject({
        program: z.string().describe('how the command line was started'),
        options: z
          .array(z.string())
          .describe('options of `run` that change what is evaluated; values of --set that may be secrets are `…`'),
      })
      .optional()
      .describe('how to evaluate once more in the same way'),
    environment: z
      .record(z.string(), z.unknown())
      .describe('what the parts say of themselves, read and not copied from flags'),
    requests: z
      .array(requestsSchema)
      .describe(
        'requests to each component, as far as they were recorded; what was evaluated once more is not counted',
      ),
    clock: z.strictObject({
      kind: z.enum(['accelerated', 'real']),
      lifetimeSeconds: z.number(),
      clientLifetimeSeconds: z.number(),
      syncFrequencySeconds: z.number(),
    }),
    sources: z
      .record(z.string(), z.string())
      .optional()
      .describe('where the sources of the results can be read, as far as they have an address'),
    shard: z
      .strictObject({
        index: z.int().positive().describe('from 1'),
        count: z.int().positive(),
        planDigest: z
          .string()
          .regex(/^[0-9a-f]{64}$/)
          .describe('SHA-256 over the whole plan; the same in all parts of one run'),
        planned: z.array(z.string()).describe('ids of the whole plan'),
      })
      .optional()
      .describe(
        'what part of a plan this is (`run --shard`); absent where it is all of it. The verdict is of the part',
      ),
    strict: z.literal(true).optional().describe('a SHOULD that is not kept counts as a MUST (`run --strict`)'),
    planned: z.array(z.string()),
    results: z.array(resultSchema),
    timeline: z.array(timelineEventSchema).describe('what happened to each token that was seen, in the order of time'),
    matrix: matrixSchema
      .optional()
      .describe('every provider with every token; absent where no requirement of it was planned'),
    permissions: z
      .array(permissionsSchema)
      .optional()
      .describe(
        'rights at the API server: documented, used, missing, surplus; absent where no requirement of them was planned',
      ),
    incompatibilities: z
      .array(incompatibilitySchema)
      .optional()
      .describe('pairs of good parts that cannot work together: neither has failed; absent where there is none'),
    baseline: z
      .strictObject({
        file: z.string(),
        known: z.array(knownFailureSchema).describe('entries that explain a failure of this run'),
        unexpected: z.array(z.string()).describe('failures of a MUST (strict: or a SHOULD) that no entry explains'),
        problems: z.array(z.string()).describe('entries that are stale or have expired'),
      })
      .optional()
      .describe('known failures that the run was held against: they change its exit code, never its verdict'),
    faults: z.array(z.string()).describe('what went wrong in the harness outside of any requirement'),
    summary: z.record(z.enum(OUTCOMES), count),
    conformant: z.boolean(),
    harnessError: z.boolean().optional().describe('true: the harness failed, so that there is no verdict'),
    reasons: z.array(z.string()).describe('why not conformant; empty where it is'),
  })
  .meta({ id: 'https://kube-agent-conformance.dev/report/v1', title: 'Report of a conformance run' });

export type Report = z.infer<typeof reportSchema>;
export type ReportResult = z.infer<typeof resultSchema>;

/** The schema as JSON Schema (draft 2020-12), as it is published in harness/report/report.schema.json. */
export function reportJsonSchema(): Record<string, unknown> {
  return z.toJSONSchema(reportSchema, { target: 'draft-2020-12' });
}
