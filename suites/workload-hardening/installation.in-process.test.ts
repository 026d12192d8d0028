/**
 * WH-07m and WH-07o in this process: manifests as the references and their twins have them, with an API server that
 * takes everything.
 */
import { describe, expect, test } from 'vitest';
import { textOf } from '../../harness/core/findings.ts';
import { observeInstallation as observeManager } from '../../harness/roles/session-manager/scenarios/installation.ts';
import { observeInstallation as observeOperator } from '../../harness/roles/session-operator/scenarios/installation.ts';
import type { Candidate } from '../../harness/rpc/candidate.ts';
import type { RequirementContext } from '../../harness/rpc/context.ts';
import { inProcess, REFERENCES, twinCandidate } from '../session-routing/in-process.ts';
import { isInstalledSafely } from './job-runner.checks.ts';

async function findingsOf<R extends Parameters<typeof isInstalledSafely>[0]>(
  candidate: Candidate,
  observe: (t: RequirementContext) => Promise<R>,
): Promise<string> {
  const record = await inProcess(candidate, observe);
  return isInstalledSafely(record).map(textOf).join('\n');
}

describe.each([
  {
    role: 'session manager',
    findings: (candidate: Candidate) => findingsOf(candidate, observeManager),
    twins: [
      ['manager-deployed-as-root', 'runs as root'],
      ['manager-deployed-without-probes', 'neither a liveness nor a readiness probe'],
      ['manager-credential-as-literal', 'SESSION_MANAGER_TOKEN'],
      ['manager-two-replicas', 'it has 2 replicas; documented: 1'],
    ],
  },
  {
    role: 'session operator',
    findings: (candidate: Candidate) => findingsOf(candidate, observeOperator),
    twins: [
      ['operator-deployed-as-root', 'runs as root'],
      ['operator-deployed-without-probes', 'neither a liveness nor a readiness probe'],
      ['operator-credential-as-literal', 'EDGE_API_TOKEN'],
      ['operator-one-replica', 'it has 1 replicas; documented: 2'],
    ],
  },
])('a $role', ({ findings, twins }) => {
  test('the reference is installed as documented', async () => {
    expect(await findings(REFERENCES)).toBe('');
  });

  test.each(twins)('%s: %s', async (name, words) => {
    expect(await findings(twinCandidate(name))).toContain(words);
  });
});
