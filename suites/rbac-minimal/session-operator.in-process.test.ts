/**
 * What operators ask of an API server, in this process: an API server without a cluster that holds them to their rules.
 */
import { expect, test } from 'vitest';
import { type Finding, textOf } from '../../harness/core/findings.ts';
import {
  observeDocumentedRights,
  observeMissingRights,
  observeSmallestRole,
} from '../../harness/roles/session-operator/scenarios/permissions.ts';
import type { Candidate } from '../../harness/rpc/candidate.ts';
import { inProcess, REFERENCES, twinCandidate } from '../session-routing/in-process.ts';
import { declaresSensitiveRights, documentsKnownVerbs, staysInItsNamespace } from './job-runner.checks.ts';
import {
  documentsOnlyWhatItUses,
  reportsRefusals,
  worksUnderItsRules,
  worksUnderTheSmallestRole,
} from './session-operator.checks.ts';

const IN_TIME = { timeout: 180_000 };

/** The requirements that a candidate does not meet, with the first finding of each. */
async function failures(candidate: Candidate, isThorough: boolean): Promise<Record<string, string>> {
  const found = await inProcess(candidate, async (t) => {
    const work = await observeDocumentedRights(t);
    const smallest = isThorough ? await observeSmallestRole(t) : undefined;
    const missing = isThorough ? await observeMissingRights(t) : undefined;
    const all: Record<string, Finding[]> = {
      'RB-20o': worksUnderItsRules(work),
      'RB-21o':
        smallest === undefined ? [] : [...documentsOnlyWhatItUses(smallest), ...worksUnderTheSmallestRole(smallest)],
      'RB-22o': declaresSensitiveRights(work),
      'RB-23o': documentsKnownVerbs(work),
      'RB-24o': missing === undefined ? [] : reportsRefusals(missing),
      'RB-26o': staysInItsNamespace(work),
    };
    return all;
  });
  return Object.fromEntries(
    Object.entries(found).flatMap(([id, [first]]) => (first === undefined ? [] : [[id, textOf(first)]])),
  );
}

test.concurrent('the reference meets all of them', IN_TIME, async () => {
  expect(await failures(REFERENCES, true)).toEqual({});
});

// What waits longest begins first.
test.concurrent.each([
  ['operator-refusals-as-empty', ['RB-24o'], true],
  ['operator-documents-surplus-rights', ['RB-21o'], true],
  ['operator-asks-beyond-its-role', ['RB-20o'], false],
  ['operator-lists-all-namespaces', ['RB-20o', 'RB-26o'], false],
  ['operator-documents-a-wildcard', ['RB-22o'], false],
  ['operator-documents-an-unknown-verb', ['RB-23o'], false],
])('the twin %s fails %j', IN_TIME, async (name, ids, isThorough) => {
  expect(Object.keys(await failures(twinCandidate(name), isThorough))).toEqual(ids);
});
