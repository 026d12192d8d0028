/**
 * WH-07m in this process: manifests as the reference and its twins have them, with an API server that takes everything.
 */
import { expect, test } from 'vitest';
import { loadCatalogue } from '../../harness/catalogue/catalogue.ts';
import { textOf } from '../../harness/core/findings.ts';
import { observeInstallation } from '../../harness/roles/session-manager/scenarios/installation.ts';
import type { Candidate } from '../../harness/rpc/candidate.ts';
import { inProcess } from '../session-routing/in-process.ts';
import { isInstalledSafely } from './job-runner.checks.ts';

async function findings(candidate: Candidate): Promise<string> {
  const record = await inProcess(candidate, observeInstallation);
  return isInstalledSafely(record).map(textOf).join('\n');
}

test('the reference is installed as documented', async () => {
  expect(await findings({ kind: 'references', name: 'references', planned: [] })).toBe('');
});

test.each([
  ['manager-deployed-as-root', 'runs as root'],
  ['manager-deployed-without-probes', 'neither a liveness nor a readiness probe'],
  ['manager-credential-as-literal', 'SESSION_MANAGER_TOKEN'],
  ['manager-two-replicas', 'it has 2 replicas; documented: 1'],
])('%s: %s', async (name, words) => {
  const twin = loadCatalogue().twins.find((one) => one.name === name);
  if (twin === undefined) {
    throw new Error(`no twin ${name}`);
  }
  expect(await findings({ kind: 'twin', name, twin, planned: [] })).toContain(words);
});
