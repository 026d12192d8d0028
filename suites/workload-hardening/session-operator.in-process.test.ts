/**
 * WH-07o in this process: manifests as the reference and its twins have them, with an API server that takes everything.
 */
import { expect, test } from 'vitest';
import { loadCatalogue } from '../../harness/catalogue/catalogue.ts';
import { textOf } from '../../harness/core/findings.ts';
import { observeInstallation } from '../../harness/roles/session-operator/scenarios/installation.ts';
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
  ['operator-deployed-as-root', 'runs as root'],
  ['operator-deployed-without-probes', 'neither a liveness nor a readiness probe'],
  ['operator-credential-as-literal', 'EDGE_API_TOKEN'],
  ['operator-one-replica', 'it has 1 replicas; documented: 2'],
])('%s: %s', async (name, words) => {
  const twin = loadCatalogue().twins.find((one) => one.name === name);
  if (twin === undefined) {
    throw new Error(`no twin ${name}`);
  }
  expect(await findings({ kind: 'twin', name, twin, planned: [] })).toContain(words);
});
