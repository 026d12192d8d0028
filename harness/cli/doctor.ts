import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import pc from 'picocolors';
import { RUN_LABEL } from '../core/names.ts';
import { command, which } from '../environment/engine/command.ts';
import type { Engine } from '../environment/engine/engine.ts';
import { type Host, readHost } from '../environment/engine/host.ts';
import { lookForEngine } from '../environment/engine/index.ts';
import { evaluateInotify, readInotify } from '../environment/engine/inotify.ts';
import { planEngine } from '../environment/engine/plan.ts';
import { cacheFolder, freeBytes, megabytes } from '../environment/images/cache.ts';
import { imageStates } from '../environment/images/index.ts';
import { reasonOf } from '../environment/images/registry.ts';
import { checkGo } from '../environment/images/tools.ts';
import { isFromHere, liveRuns } from '../environment/live-runs.ts';
import { mismatch, stripsTypes } from './dependencies.mjs';

/** One line of the examination. */
export type Diagnosis = {
  readonly name: string;
  /** `missing` keeps a run from starting at once; `advice` does not. */
  readonly state: 'ok' | 'missing' | 'advice';
  readonly value: string;
  /** How to fix it; absent when it is ok. */
  readonly fix?: string;
};

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const SETUP = 'npm run setup';
/** Below this a set of images cannot be built, bytes. */
const ROOM = 4e9;
/** Small, and on the registry that most images come from. */
const PROBED_IMAGE = 'node:24-slim';
const REGISTRY_DEADLINE = 5_000;

/** Looks at everything that a run needs. Touches nothing. */
export async function examine(): Promise<Diagnosis[]> {
  const host = await readHost();
  const { engine, silent } = await lookForEngine();
  const images = engine === undefined ? [] : await imageFindings(engine);
  // Compilers are wanted only to make what is not there yet.
  const building = images.length === 0 || images.some(({ state }) => state === 'missing');
  return [
    nodeFinding(),
    await dependenciesFinding(),
    await programFinding('npm', ['--version'], 'missing', 'install npm; it comes with Node.js'),
    engine === undefined ? engineMissing(host, silent) : engineFinding(engine),
    ...hostFindings(host, engine),
    ...(await inotifyFindings(engine)),
    ...(engine === undefined ? [] : [await registryFinding(engine, building)]),
    ...images,
    await goFinding(building),
    await programFinding(
      'mvn',
      ['-v'],
      'advice',
      `${SETUP} installs it on Debian and Ubuntu; elsewhere install Maven 3`,
      building,
    ),
    ...(await diskFindings(engine)),
    ...(engine === undefined ? [] : [await leftoversFinding(engine)]),
  ];
}

function nodeFinding(): Diagnosis {
  const { node } = process.versions;
  return stripsTypes(node)
    ? { name: 'node', state: 'ok', value: node }
    : {
        name: 'node',
        state: 'missing',
        value: node,
        fix: 'run `npm run conformance -- doctor`, which installs a newer Node',
      };
}

async function dependenciesFinding(): Promise<Diagnosis> {
  const read = async (path: string) => {
    const text = await readFile(`${ROOT}${path}`, 'utf8').catch(() => undefined);
    return text === undefined ? undefined : JSON.parse(text);
  };
  const lock = await read('package-lock.json');
  const why = lock === undefined ? undefined : mismatch(lock, await read('node_modules/.package-lock.json'));
  if (why === undefined) {
    return { name: 'dependencies', state: 'ok', value: 'as in package-lock.json' };
  }
  return { name: 'dependencies', state: 'missing', value: why, fix: 'npm ci' };
}

async function programFinding(
  program: string,
  args: string[],
  missing: 'missing' | 'advice',
  fix: string,
  wanted = true,
): Promise<Diagnosis> {
  if ((await which(program)) === undefined) {
    if (!wanted) {
      return { name: program, state: 'ok', value: 'not needed: the images are present' };
    }
    return { name: program, state: missing, value: 'not on PATH', fix };
  }
  const version = await command(program, args).catch(() => 'version unknown');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: Maven colours its version even in a pipe
  return { name: program, state: 'ok', value: (version.split('\n')[0] ?? '').replace(/\x1b\[\d*m/g, '') };
}

function engineFinding(engine: Engine): Diagnosis {
  const whose = engine.ours ? ', started by setup' : '';
  return {
    name: 'engine',
    state: 'ok',
    value: `Docker ${engine.version} at ${engine.endpoint.host} (${engine.endpoint.source}), ${engine.storageDriver}, runtime ${engine.defaultRuntime}${whose}`,
  };
}

function engineMissing(host: Host, silent: Awaited<ReturnType<typeof lookForEngine>>['silent']): Diagnosis {
  const plan = planEngine(host, false, silent.find(({ endpoint }) => endpoint.chosen)?.endpoint.host);
  const first = silent[0];
  return {
    name: 'engine',
    state: 'missing',
    value: first === undefined ? 'none' : `no answer at ${first.endpoint.host}: ${first.reason}`,
    fix: plan.kind === 'refuse' ? plan.fix.join('; ') : SETUP,
  };
}

function hostFindings(host: Host, engine: Engine | undefined): Diagnosis[] {
  if (host.platform !== 'linux') {
    return [];
  }
  const wrapped = engine !== undefined && engine.defaultRuntime !== 'runc';
  const capability: Diagnosis = host.sysResource
    ? { name: 'CAP_SYS_RESOURCE', state: 'ok', value: 'in the bounding set' }
    : engine === undefined || wrapped
      ? { name: 'CAP_SYS_RESOURCE', state: 'ok', value: 'missing, but containers do not need it' }
      : {
          name: 'CAP_SYS_RESOURCE',
          state: 'advice',
          value: 'missing, and the engine uses runc, which needs it',
          fix: 'if privileged containers do not start, register ci/runc-without-sys-resource as the default runtime of the engine',
        };
  return [capability, { name: 'control groups', state: 'ok', value: host.cgroup }];
}

/** The limit counts where containers run: on this host, unless the engine is elsewhere. */
async function inotifyFindings(engine: Engine | undefined): Promise<Diagnosis[]> {
  const inotify = engine === undefined || engine.endpoint.host.startsWith('unix:') ? await readInotify() : undefined;
  if (inotify === undefined) {
    return [];
  }
  const { value, fix } = evaluateInotify(inotify);
  const name = 'inotify';
  return [fix === undefined ? { name, state: 'ok', value } : { name, state: 'advice', value, fix }];
}

/** Asks the engine to ask the registry; nothing is pulled. */
async function registryFinding({ docker }: Engine, wanted: boolean): Promise<Diagnosis> {
  const name = 'registry';
  try {
    await docker.getImage(PROBED_IMAGE).distribution({ abortSignal: AbortSignal.timeout(REGISTRY_DEADLINE) });
    return { name, state: 'ok', value: `answers for ${PROBED_IMAGE}` };
  } catch (error) {
    const value = `unreachable for ${PROBED_IMAGE}: ${reasonOf(error)}`;
    if (!wanted) {
      return { name, state: 'ok', value: `${value} (not needed: the images are present)` };
    }
    return {
      name,
      state: 'advice',
      value,
      fix: 'nothing to do: setup builds the images; a registry mirror for the engine would be faster',
    };
  }
}

async function imageFindings(engine: Engine): Promise<Diagnosis[]> {
  const states = await imageStates(engine.docker);
  return states.map(({ name, present }): Diagnosis => {
    const label = `image ${name}`;
    if (present === undefined) {
      return { name: label, state: 'missing', value: 'not in the engine', fix: SETUP };
    }
    return { name: label, state: 'ok', value: `${present.reference} (${present.digest ?? present.source})` };
  });
}

async function goFinding(wanted: boolean): Promise<Diagnosis> {
  const go = await which('go');
  const fix = 'needed only if no registry answers: put Go 1.25 or newer on PATH';
  if (go === undefined) {
    if (!wanted) {
      return { name: 'go', state: 'ok', value: 'not needed: the images are present' };
    }
    return { name: 'go', state: 'advice', value: 'not on PATH', fix };
  }
  const verdict = checkGo(await command(go, ['version']), await command(go, ['env', 'GOTOOLCHAIN']));
  return verdict.ok
    ? { name: 'go', state: 'ok', value: verdict.version }
    : { name: 'go', state: wanted ? 'advice' : 'ok', value: verdict.problem, ...(wanted ? { fix } : {}) };
}

async function diskFindings(engine: Engine | undefined): Promise<Diagnosis[]> {
  const places = { cache: cacheFolder(), ...(engine?.dataRoot.startsWith('/') ? { engine: engine.dataRoot } : {}) };
  return Promise.all(
    Object.entries(places).map(async ([name, path]): Promise<Diagnosis> => {
      const free = await freeBytes(path);
      const value = `${megabytes(free)} free at ${path}`;
      return free >= ROOM
        ? { name: `disk of ${name}`, state: 'ok', value }
        : { name: `disk of ${name}`, state: 'advice', value, fix: `building images takes up to ${megabytes(ROOM)}` };
    }),
  );
}

async function leftoversFinding({ docker }: Engine): Promise<Diagnosis> {
  const live = liveRuns();
  const containers = await docker.listContainers({ all: true, filters: { label: [RUN_LABEL] } });
  const left = containers.filter(({ Labels }) => {
    const runId = Labels[RUN_LABEL] ?? '';
    return isFromHere(runId) && !live.has(runId);
  });
  return left.length === 0
    ? { name: 'leftovers', state: 'ok', value: `none; ${live.size} runs in progress` }
    : {
        name: 'leftovers',
        state: 'advice',
        value: `${left.length} containers of dead runs`,
        fix: 'conformance clean (the next run does it too)',
      };
}

/** The findings as a table for a terminal. */
export function render(findings: readonly Diagnosis[]): string {
  const width = Math.max(...findings.map(({ name }) => name.length));
  const marks = { ok: pc.green('ok     '), missing: pc.red('missing'), advice: pc.yellow('advice ') };
  const lines = findings.flatMap(({ name, state, value, fix }) => [
    `${marks[state]}  ${name.padEnd(width)}  ${value}`,
    ...(fix === undefined ? [] : [`${' '.repeat(9)}${' '.repeat(width)}  → ${fix}`]),
  ]);
  return `${lines.join('\n')}\n`;
}

/** A finding as `--json` prints it: a versioned interface, in which `fix` keeps its first name. */
function published({ fix, ...finding }: Diagnosis): object {
  return fix === undefined ? finding : { ...finding, mend: fix };
}

/** `conformance doctor`: exit 0 when `run` would start at once, 2 otherwise. */
export function registerDoctor(program: Command): void {
  program
    .command('doctor')
    .description('Check prerequisites and print how to fix what is missing.')
    .option('--json', 'print the findings as JSON')
    .action(async ({ json }: { json?: boolean }) => {
      const findings = await examine();
      const ready = !findings.some(({ state }) => state === 'missing');
      if (json === true) {
        process.stdout.write(`${JSON.stringify({ ready, findings: findings.map(published) }, null, 2)}\n`);
      } else {
        process.stdout.write(
          `${render(findings)}${ready ? 'A run would start immediately.' : 'A run would first set up what is missing.'}\n`,
        );
      }
      process.exitCode = ready ? 0 : 2;
    });
}
