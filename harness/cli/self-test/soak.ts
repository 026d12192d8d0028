/**
 * Kills runs on the cluster of KUBECONFIG at a random moment, each by SIGKILL, and looks whether `conformance clean`
 * leaves anything of them:
 *
 *   npm run soak -- --runs 20 -- rbac-minimal
 *
 * What is after `--` is the selection of each run, and any option of it.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { HarnessError } from '../../core/errors.ts';
import { RUN_OBJECT_LABEL } from '../../core/names.ts';
import { attachKubeconfig } from '../../environment/cluster/kubeconfig.ts';
import { createClusterHandle } from '../../kubernetes/cluster-handle.ts';
import { EXIT } from '../exit.ts';

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));

/** Where a run makes objects that carry its label and do not go with another one. */
const WHERE = [
  '/api/v1/namespaces',
  '/apis/rbac.authorization.k8s.io/v1/clusterroles',
  '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings',
  '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies',
];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string', default: '20' },
    // A run has made its first objects by then, and not yet removed the last.
    'kill-after': { type: 'string', default: '1-15' },
  },
});
const [earliest = 0, latest = 0] = values['kill-after'].split('-').map(Number);
const selection = positionals.length > 0 ? positionals : ['rbac-minimal'];

/** Names of what runs have left, with their collections. */
async function left(): Promise<string[]> {
  const cluster = await attachKubeconfig({ runId: 'soak', onProgress: () => undefined });
  const handle = createClusterHandle(cluster.data);
  try {
    const found = await Promise.all(
      WHERE.map(async (path) => {
        const response = await handle.request(`${path}?labelSelector=${encodeURIComponent(RUN_OBJECT_LABEL)}`);
        const { items = [] } = (await response.json()) as { items?: { metadata: { name: string } }[] };
        if (!response.ok) {
          throw new HarnessError(`GET ${path} was answered with ${response.status}`);
        }
        return items.map(({ metadata }) => `${path.split('/').at(-1)} ${metadata.name}`);
      }),
    );
    return found.flat();
  } finally {
    await cluster.stop();
  }
}

/** A run as a process, killed after so many seconds. @returns whether it was still at work */
async function killedRun(afterSeconds: number): Promise<boolean> {
  const report = mkdtempSync(join(tmpdir(), 'conformance-soak-'));
  const words = ['run', ...selection, '--cluster', 'kubeconfig', '--yes', '--idp', 'embedded', '--clock', 'real'];
  const child = spawn(process.execPath, [MAIN, ...words, '--report', report], { stdio: 'ignore' });
  const timer = setTimeout(() => child.kill('SIGKILL'), afterSeconds * 1_000);
  try {
    const [, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
    return signal === 'SIGKILL';
  } finally {
    clearTimeout(timer);
    rmSync(report, { recursive: true, force: true });
  }
}

async function clean(): Promise<number | null> {
  const child = spawn(process.execPath, [MAIN, 'clean', '--cluster', 'kubeconfig'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const [code] = (await once(child, 'exit')) as [number | null];
  return code;
}

const before = await left();
if (before.length > 0) {
  throw new HarnessError(`other runs have left something, or are at work: ${before.join(', ')}`);
}
let wrong = 0;
for (let run = 1; run <= Number(values.runs); run += 1) {
  const after = earliest + Math.random() * (latest - earliest);
  const wasKilled = await killedRun(after);
  const abandoned = await left();
  const begun = performance.now();
  const code = await clean();
  const seconds = (performance.now() - begun) / 1_000;
  const remains = await left();
  const isRight = code === EXIT.conformant && remains.length === 0;
  wrong += isRight ? 0 : 1;
  const how = wasKilled ? `killed after ${after.toFixed(1)} s` : 'ended by itself';
  process.stdout.write(
    `run ${run}: ${how}; ${abandoned.length} objects were left, ${remains.length} after clean (exit code ${code}, ${seconds.toFixed(1)} s)${isRight ? '' : ` WRONG: ${remains.join(', ')}`}\n`,
  );
}
process.stdout.write(`${values.runs} runs, ${wrong} left something\n`);
process.exitCode = wrong === 0 ? EXIT.conformant : EXIT.notConformant;
