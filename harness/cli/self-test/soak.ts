/**
 * Kills runs on the cluster of KUBECONFIG at a random moment, each by SIGKILL, and looks whether `conformance clean`
 * leaves anything of them, and whether a process or a mount of theirs stays on this host:
 *
 *   npm run soak -- --runs 20 -- rbac-minimal
 *
 * What is after `--` is the selection of each run, and any option of it.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
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
  const words = ['run', '--cluster', 'kubeconfig', '--yes', '--idp', 'embedded', '--clock', 'real', ...selection];
  const child = spawn(process.execPath, [MAIN, ...words, '--report', report], {
    stdio: 'ignore',
    env: { ...process.env, [MARK]: SOAK },
  });
  const timer = new AbortController();
  setTimeout(afterSeconds * 1_000, undefined, { signal: timer.signal }).then(
    () => child.kill('SIGKILL'),
    () => undefined,
  );
  try {
    const [, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
    return signal === 'SIGKILL';
  } finally {
    timer.abort();
    rmSync(report, { recursive: true, force: true });
  }
}

/** In the environment of a run, and so of all that it starts. */
const MARK = 'CONFORMANCE_SOAK';
const SOAK = String(process.pid);

/** What a run starts notices the end of the run by itself, and ends, within this time. */
const ORPHANS_END_MS = 15_000;
const LOOK_EVERY_MS = 500;

/** Command lines of what runs have started and that still runs; nothing where there is no /proc. */
function orphans(): string[] {
  const mark = `${MARK}=${SOAK}`;
  return (existsSync('/proc') ? readdirSync('/proc') : []).flatMap((pid) => {
    try {
      const isOurs = /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(mark);
      return isOurs
        ? [`process ${pid} ${readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()}`]
        : [];
    } catch {
      // It has ended meanwhile, or is somebody else's.
      return [];
    }
  });
}

async function orphansInTheEnd(): Promise<string[]> {
  const deadline = Date.now() + ORPHANS_END_MS;
  while (orphans().length > 0 && Date.now() < deadline) {
    await setTimeout(LOOK_EVERY_MS);
  }
  return orphans();
}

function mounts(): string[] {
  return existsSync('/proc/self/mounts') ? readFileSync('/proc/self/mounts', 'utf8').split('\n') : [];
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
const mountsBefore = new Set(mounts());
let wrong = 0;
for (let run = 1; run <= Number(values.runs); run += 1) {
  const after = earliest + Math.random() * (latest - earliest);
  const wasKilled = await killedRun(after);
  const abandoned = await left();
  const begun = performance.now();
  const code = await clean();
  const seconds = (performance.now() - begun) / 1_000;
  const newMounts = mounts().filter((mount) => !mountsBefore.has(mount));
  const remains = [...(await left()), ...(await orphansInTheEnd()), ...newMounts.map((mount) => `mount ${mount}`)];
  const isRight = code === EXIT.conformant && remains.length === 0;
  wrong += isRight ? 0 : 1;
  const how = wasKilled ? `killed after ${after.toFixed(1)} s` : 'ended by itself';
  process.stdout.write(
    `run ${run}: ${how}; ${abandoned.length} objects were left, ${remains.length} things after clean (exit code ${code}, ${seconds.toFixed(1)} s)${isRight ? '' : ` WRONG: ${remains.join(', ')}`}\n`,
  );
}
process.stdout.write(`${values.runs} runs, ${wrong} left something\n`);
process.exitCode = wrong === 0 ? EXIT.conformant : EXIT.notConformant;
