import { createHash } from 'node:crypto';
import { z } from 'zod';
import { countsAgainst } from '../failures.ts';
import type { Report } from '../report.ts';
import { verdictOf } from '../verdict.ts';
import type { CanonicalPlan } from './plan.ts';

/** in-toto, "Predicate type: Test Result", version 0.1. */
export const TEST_RESULT = 'https://in-toto.io/attestation/test-result/v0.1';

export const sha256 = (content: string | Buffer): string => createHash('sha256').update(content).digest('hex');

const digest = z.strictObject({ sha256: z.string().regex(/^[0-9a-f]{64}$/) });
const descriptor = z.strictObject({ name: z.string(), digest });

export const statementSchema = z.strictObject({
  _type: z.literal('https://in-toto.io/Statement/v1'),
  subject: z.array(descriptor).min(1),
  predicateType: z.literal(TEST_RESULT),
  predicate: z.strictObject({
    result: z.enum(['PASSED', 'WARNED', 'FAILED']),
    configuration: z.array(descriptor),
    passedTests: z.array(z.string()),
    warnedTests: z.array(z.string()),
    failedTests: z.array(z.string()),
  }),
});

export type Statement = z.infer<typeof statementSchema>;

/**
 * What a report says as a test result. A requirement that fails and is no MUST is a warning; what does not apply is in
 * no list.
 *
 * @param plan what had to be planned
 */
export function predicateOf(report: Report, plan: CanonicalPlan): Statement['predicate'] {
  const against = report.results.filter(countsAgainst);
  const ids = (results: Report['results']): string[] => results.map(({ id }) => id).sort();
  const warned = against.filter(({ level }) => level !== 'MUST');
  const { conformant } = verdictOf(report);
  return {
    result: conformant ? (warned.length > 0 ? 'WARNED' : 'PASSED') : 'FAILED',
    configuration: [
      { name: 'plan', digest: { sha256: plan.digest } },
      { name: 'catalogue', digest: { sha256: report.catalogue.digest } },
      ...(report.target.files ?? []).map(({ name, digest: target }) => ({
        name: `target ${name}`,
        digest: { sha256: target },
      })),
    ],
    passedTests: ids(report.results.filter(({ outcome }) => outcome === 'passed')),
    warnedTests: ids(warned),
    failedTests: ids(against.filter(({ level }) => level === 'MUST')),
  };
}

/** The statement about the files of a bundle. */
export function statementOf(files: Record<string, string>, report: Report, plan: CanonicalPlan): Statement {
  return {
    _type: 'https://in-toto.io/Statement/v1',
    subject: Object.entries(files).map(([name, content]) => ({ name, digest: { sha256: sha256(content) } })),
    predicateType: TEST_RESULT,
    predicate: predicateOf(report, plan),
  };
}
