import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type CoreV1Event, KubeConfig, Watch } from '@kubernetes/client-node';
import pc from 'picocolors';
import { startVitest } from 'vitest/node';
import { loadCatalogue } from '../../catalogue/catalogue.ts';
import { describeError, HarnessError } from '../../core/errors.ts';
import { RUN_OBJECT_LABEL } from '../../core/names.ts';
import type { Outcome } from '../../core/outcome.ts';
import { redact, wholeTokensIn } from '../../core/redact.ts';
import { sweepDeadRuns } from '../../environment/containers.ts';
import { createClusterHandle } from '../../kubernetes/cluster-handle.ts';
import { HARNESS_USER, kubeConfigOfHarness, refusedBeyondControls } from '../../kubernetes/harness-rights.ts';
import { reportSchema } from '../../report/report.ts';
import { type RoleDefinition, roleDefinition } from '../../roles/index.ts';
import type { IdentityProviderKind } from '../../rpc/protocol.ts';
import { executeWithRerun } from '../../run/execute.ts';
import { isProven } from '../../run/kill-matrix.ts';
import { unmeasured } from '../../run/live/measured.ts';
import { needsOf } from '../../run/live/needs.ts';
import { DEFAULT_OPTIONS, Session } from '../../run/session.ts';
import { EXIT } from '../exit.ts';
import { Console } from '../output.ts';
import { progressPrinter } from '../progress.ts';
import { renderMatrix, runProof } from '../prove.ts';
import { ensureSetUp } from '../setup.ts';
import { rowsUnderAssignedUids } from './assigned-uids.ts';
import { grouped, NOTHING, type Tally, tallyOf } from './tally.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));

interface Part {
  name: string;
  run: () => Promise<Tally>;
}

/** One after the other; parts of one line mostly wait, or need no engine, and go side by side. */
const PARTS: Part[][] = [
  [{ name: 'references with Keycloak', run: () => references('keycloak') }],
  [
    {
      name: 'references with the embedded provider, under assigned uids',
      run: () =>
        references('embedded', {
          // One environment for both: what every provider must grant its client is asked of pods with assigned uids.
          requirements: [
            ...new Set([...idsOf((role) => role.usesIdentityProvider('run')), ...rowsUnderAssignedUids()]),
          ],
          flags: ['--assigned-uids'],
        }),
    },
    { name: 'a live cluster', run: live },
  ],
  [{ name: 'a sample of the twins', run: twins }],
];

/** Runs the project's own tests and returns the exit code; the last line says `N passed, N failed`. */
export async function runOwnTests(unitOnly: boolean): Promise<number> {
  const units: Part = { name: 'unit tests', run: () => unit(unitOnly ? ['unit*'] : ['unit*', 'in-process*']) };
  if (!unitOnly) {
    await ensureSetUp({ onProgress: progressPrinter(process.stderr) });
  }
  const groups = unitOnly ? [[units]] : [[units, { name: 'broken-off runs', run: brokenOff }], ...PARTS];
  const done: Awaited<ReturnType<typeof timed>>[] = [];
  for (const parts of groups) {
    done.push(...(await Promise.all(parts.map(timed))));
  }
  const lines = done.flatMap(({ name, passed, wrong, again, seconds }) => [
    `${name}: ${passed} passed, ${wrong.length} failed, ${seconds.toFixed(0)} s`,
    ...grouped(again).map((what) => `  re-run in isolation: ${redact(what)}`),
    ...grouped(wrong).map((what) => `  ${pc.red('wrong')} ${redact(what)}`),
  ]);
  const passed = done.reduce((sum, part) => sum + part.passed, 0);
  const failed = done.reduce((sum, part) => sum + part.wrong.length, 0);
  process.stdout.write(`\n${lines.join('\n')}\n\n${passed} passed, ${failed} failed\n`);
  return failed === 0 && passed > 0 ? EXIT.conformant : EXIT.notConformant;
}

/**
 * One part that cannot be run is a failure, and no reason to leave out the others. One whose environment broke under it
 * is done once more, whole, and the last lines say so and why: nothing is known of what it should have tested.
 */
async function timed({ name, run }: Part): Promise<Tally & { name: string; seconds: number }> {
  const begun = performance.now();
  const once = (): Promise<Tally> =>
    run().catch((error: unknown) => ({
      ...NOTHING,
      faults: [`harness error: ${describeError(error)}`],
    }));
  const first = await once();
  const { faults: before } = first;
  for (const what of before) {
    process.stderr.write(`${pc.red('fault')} ${redact(what)}; the part is run once more\n`);
  }
  const tally = before.length === 0 ? first : await once();
  const wrong = [...tally.wrong, ...tally.faults];
  for (const what of wrong) {
    process.stderr.write(`${pc.red('wrong')} ${redact(what)}\n`);
  }
  return {
    name,
    ...tally,
    wrong,
    again: [...before.map((what) => `all of it: ${what}`), ...tally.again],
    seconds: (performance.now() - begun) / 1000,
  };
}

async function unit(project: string[]): Promise<Tally> {
  process.stderr.write(`${pc.bold('unit tests')}\n`);
  const vitest = await startVitest([], {
    root: ROOT,
    project,
    run: true,
    watch: false,
    reporters: ['default'],
  });
  const modules = vitest.state.getTestModules();
  const cases = modules.flatMap((module) => [...module.children.allTests()]);
  const failed = cases.flatMap((testCase) => {
    const { state, errors } = testCase.result();
    return state === 'failed' ? [`${testCase.fullName}: ${errors?.[0]?.message}`] : [];
  });
  const passed = cases.filter((testCase) => testCase.result().state === 'passed').length;
  // A file that does not load, or an error outside of any test, is a failure too.
  const broken = [
    ...modules.flatMap((module) => module.errors().map(({ message }) => `${module.moduleId}: ${message}`)),
    ...vitest.state.getUnhandledErrors().map(describeError),
  ];
  await vitest.close();
  process.exitCode = 0;
  return { ...NOTHING, passed, wrong: [...failed, ...broken] };
}

/** Ids of the requirements that bind some roles, in one suite or in all. */
function idsOf(isBound: (role: RoleDefinition) => boolean, suite?: string): string[] {
  return loadCatalogue()
    .requirements.filter((row) => isBound(roleDefinition(row.role)) && (suite === undefined || row.suite === suite))
    .map(({ id }) => id);
}

const OF_EVERY_PROVIDER: Record<string, { outcome: Outcome; why: string }> = {
  'TR-37': { outcome: 'not applicable', why: 'the reference reads its token file at every exchange (TR-22)' },
};

/** True verdicts about references that are not `passed`, each with why; every other requirement must pass on them. */
const TRUE_VERDICTS: Record<IdentityProviderKind, Record<string, { outcome: Outcome; why: string }>> = {
  keycloak: {
    ...OF_EVERY_PROVIDER,
    'AI-13a': { outcome: 'failed', why: 'Keycloak 26.7.4 ignores `crit` (RFC 7515 section 4.1.11)' },
  },
  embedded: OF_EVERY_PROVIDER,
};

/**
 * The suites on the references, by the command line as a user has it. Every requirement must come to its true verdict,
 * the report must be as its schema says, and no artefact of the run may hold a token that is whole.
 *
 * @param more.requirements ids; absent: all
 * @param more.flags of the command line
 */
async function references(
  identityProvider: IdentityProviderKind,
  { requirements = [], flags = [] }: { requirements?: string[]; flags?: string[] } = {},
): Promise<Tally> {
  const title = ['the suites on the references, identity provider', identityProvider, ...flags].join(' ');
  process.stderr.write(`\n${pc.bold(title)}\n`);
  const folder = mkdtempSync(join(tmpdir(), 'kube-agent-conformance-'));
  try {
    const named = requirements.flatMap((id) => ['--requirement', id]);
    const written = await commandLine(['run', '--idp', identityProvider, '--report', folder, ...flags, ...named]);
    const artefacts: Record<string, string> = { ...written, ...readFiles(folder) };
    const report = reportSchema.parse(JSON.parse(artefacts['report.json'] ?? ''));
    const { wrong, ...tally } = tallyOf(
      report.planned,
      report.results,
      (id) => TRUE_VERDICTS[identityProvider][id]?.outcome ?? 'passed',
    );
    const leaks = Object.entries(artefacts).flatMap(([name, text]) =>
      wholeTokensIn(text).map((token) => `${name} holds a whole token: ${token}`),
    );
    return { ...tally, wrong: [...wrong, ...leaks], faults: [...tally.faults, ...report.faults] };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Runs the command line as a process of its own; what it writes is shown, and given. */
async function commandLine(words: string[]): Promise<Record<'stdout' | 'stderr', string>> {
  const child = spawn(process.execPath, [MAIN, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = once(child, 'exit');
  const written = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      written[name] += text;
      process.stderr.write(text);
    });
  }
  await ended;
  return written;
}

function readFiles(folder: string): Record<string, string> {
  return Object.fromEntries(
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => statSync(join(folder, name)).isFile())
      .map((name) => [name, readFileSync(join(folder, name), 'utf8')]),
  );
}

/** Images that the nodes of a cluster begin to pull, by the events of their kubelets, until it is stopped. */
async function watchPulls(kubeConfig: string): Promise<{ images: Set<string>; stop(): void }> {
  const config = new KubeConfig();
  config.loadFromString(kubeConfig);
  const images = new Set<string>();
  const controller = await new Watch(config).watch(
    '/api/v1/events',
    { fieldSelector: 'reason=Pulling' },
    (_type: string, { message = '' }: CoreV1Event) => {
      const [, image] = /^Pulling image "(.+)"$/.exec(message) ?? [];
      if (image !== undefined) {
        images.add(image);
      }
    },
    () => undefined,
  );
  return { images, stop: () => controller.abort() };
}

/**
 * The driver for live clusters, against a cluster that it knows by its kubeconfig alone, with the rights that are
 * documented for it and no others. What passes there is what needs nothing of the harness's own clusters; the rest must
 * say that it is not applicable, nothing but the documented controls may have been refused, and no namespace may be
 * left.
 */
async function live(): Promise<Tally> {
  process.stderr.write(`\n${pc.bold('a live cluster, known by its kubeconfig alone')}\n`);
  const output = new Console();
  // A token client takes two rotations on the real clock: a quarter of an hour.
  const requirements = [
    ...idsOf(({ looksUpNames }) => looksUpNames !== true, 'audience-isolation'),
    ...idsOf(({ isReachedByKubeconfig }) => isReachedByKubeconfig === true, 'rbac-minimal'),
  ];
  const needs = needsOf(loadCatalogue().requirements.filter(({ id }) => requirements.includes(id)));
  const applicable = needs.requirements.map(({ id }) => id);
  const host = new Session({ ...DEFAULT_OPTIONS, clock: 'real', requirements: ['RB-01'] }, output.progress);
  const folder = mkdtempSync(join(tmpdir(), 'kube-agent-conformance-'));
  const { KUBECONFIG: before } = process.env;
  try {
    await host.start();
    const [candidate] = host.candidates;
    if (candidate === undefined) {
      throw new HarnessError('nothing is planned');
    }
    const { kubeConfig, workloadImage } = await host.environment.calls.cluster({}, candidate);
    const pulled = await watchPulls(kubeConfig);
    process.env.KUBECONFIG = join(folder, 'kubeconfig');
    process.env.KUBE_AGENT_CONFORMANCE_NODE_IMAGE = workloadImage;
    writeFileSync(process.env.KUBECONFIG, await kubeConfigOfHarness(kubeConfig), { mode: 0o600 });
    const session = new Session(
      { ...DEFAULT_OPTIONS, cluster: 'kubeconfig', identityProvider: 'embedded', clock: 'real', requirements },
      output.progress,
    );
    const { faults } = await executeWithRerun(session, output.of({ planned: session.planned.length, several: false }));
    pulled.stop();
    const listed = new Set(session.needs.images.map(({ reference }) => reference));
    const left = (
      await createClusterHandle({ ...(await host.environment.calls.cluster({}, candidate)) }).core.listNamespace({
        labelSelector: `${RUN_OBJECT_LABEL}=${session.runId}`,
      })
    ).items.length;
    const { wrong, ...tally } = tallyOf(
      session.planned.map(({ id }) => id),
      session.results,
      (id) => (applicable.includes(id) ? 'passed' : 'not applicable'),
    );
    const records =
      (await host.environment.calls.auditRecords({ requester: { user: HARNESS_USER } }, candidate)).records ?? [];
    const refused = refusedBeyondControls(records);
    process.stderr.write(`${records.length} requests of ${HARNESS_USER} to the API server\n`);
    return {
      ...tally,
      wrong: [
        ...wrong,
        ...refused,
        ...unmeasured(session.environment.asked(), loadCatalogue().requirements),
        ...(left === 0 ? [] : [`${left} namespaces are left`]),
        ...[...pulled.images]
          .filter((image) => !listed.has(image))
          .map((image) => `the image ${image} was pulled, which conformance images does not list`),
      ],
      faults: [...tally.faults, ...faults],
    };
  } finally {
    if (before === undefined) {
      delete process.env.KUBECONFIG;
    } else {
      process.env.KUBECONFIG = before;
    }
    delete process.env.KUBE_AGENT_CONFORMANCE_NODE_IMAGE;
    rmSync(folder, { recursive: true });
    await host.stop();
  }
}

/**
 * A run that is broken off: after Ctrl-C nothing is left, after kill -9 the next start finds it all and removes it.
 */
async function brokenOff(): Promise<Tally> {
  process.stderr.write(`\n${pc.bold('aborted runs')}\n`);
  const tally: Tally = { ...NOTHING, wrong: [] };
  for (const [signal, leavesContainers] of [
    ['SIGINT', false],
    ['SIGKILL', true],
  ] as const) {
    await breakOff(signal);
    const { containers, networks } = await sweepDeadRuns();
    const again = await sweepDeadRuns();
    const right = containers > 0 === leavesContainers && again.containers + again.networks === 0;
    const what = `${signal}: ${containers} containers and ${networks} networks were left, ${again.containers} after a sweep`;
    process.stderr.write(`${what}\n`);
    if (right) {
      tally.passed += 1;
    } else {
      tally.wrong.push(what);
    }
  }
  return tally;
}

/** Starts a run as a process of its own and sends it a signal when its cluster is ready. */
async function breakOff(signal: 'SIGINT' | 'SIGKILL'): Promise<void> {
  const report = mkdtempSync(join(tmpdir(), 'kube-agent-conformance-'));
  const child = spawn(process.execPath, [MAIN, 'run', '--requirement', 'TR-07', '--report', report], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ended = once(child, 'exit');
  try {
    for await (const line of createInterface({ input: child.stderr })) {
      if (line.includes('TR-07')) {
        child.kill(signal);
      }
    }
    await ended;
  } finally {
    child.kill('SIGKILL');
    rmSync(report, { recursive: true });
  }
}

/**
 * The twins that are proven in every test: all of the roles that need no pods, and the first of each other role in each
 * suite. All of them take twenty minutes on two cores: `npm run prove`.
 */
function sampleOfTwins(): string[] {
  const seen = new Set<string>();
  return loadCatalogue()
    .twins.filter(({ role, suite }) => {
      const isFirst = !seen.has(`${role} ${suite}`);
      seen.add(`${role} ${suite}`);
      return isFirst || roleDefinition(role).needsNoPods === true;
    })
    .map(({ name }) => name);
}

/** Each twin is a test of its own: it passes when the twin failed exactly where it must. */
async function twins(): Promise<Tally> {
  process.stderr.write(`\n${pc.bold('twins')}\n`);
  const { matrix, faults } = await runProof({ twins: sampleOfTwins(), bystanders: 'reached' });
  process.stdout.write(`\n${renderMatrix(matrix)}`);
  const unproven = matrix.twins
    .filter((twin) => !isProven({ twins: [twin], survivors: [] }))
    .map(({ name, surprises }) => {
      const each = surprises.map(({ id, outcome, reason }) => `${id} ${outcome}: ${reason}`);
      return `the twin ${name}: ${each.join('; ')}`;
    });
  return { ...NOTHING, passed: matrix.twins.length - unproven.length, wrong: unproven, faults };
}
