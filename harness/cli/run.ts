import type { Command } from 'commander';
import { InvalidArgumentError, Option } from 'commander';
import { loadCatalogue } from '../catalogue/catalogue.ts';
import { describeError, UsageError } from '../core/errors.ts';
import { redact } from '../core/redact.ts';
import { setTimeoutFactor } from '../core/time-limits.ts';
import type { WarmEnvironment } from '../environment/warm.ts';
import type { ClusterKind } from '../kubernetes/cluster-data.ts';
import type { Baseline } from '../report/baseline.ts';
import type { Report } from '../report/report.ts';
import { roleDefinition } from '../roles/index.ts';
import type { ClockKind, IdentityProviderKind } from '../rpc/protocol.ts';
import type { Lack } from '../run/live/preflight.ts';
import { checkCombination, referencesCandidate, select, targetsCandidate } from '../run/plan.ts';
import type { RunOptions, Session } from '../run/session.ts';
import { parseShard, planDigest, rowsOfShard, type Shard } from '../run/shards.ts';
import { loadTarget, type Target } from '../targets/load.ts';
import { loadSettings, type Settings } from '../targets/settings.ts';
import { EventStream } from './events.ts';
import { EXIT } from './exit.ts';
import { registryOption, setRegistry } from './images.ts';
import { Console } from './output.ts';
import { progressPrinter } from './progress.ts';

export interface EnvironmentFlags {
  cluster: ClusterKind;
  context?: string;
  /** Absent: by the cluster. */
  idp?: IdentityProviderKind;
  clock?: ClockKind;
  set: Record<string, string>;
  settings?: string;
  registry?: string;
  yes?: boolean;
  timeoutFactor: number;
  env?: string | true;
  watch?: boolean;
}

export interface RunFlags extends EnvironmentFlags {
  requirement: string[];
  report: string;
  keep?: boolean;
  json?: boolean;
  baseline?: string;
  target: string[];
  namespace?: string[];
  whatWorks?: boolean;
  shard?: string;
  publish?: string;
  strict?: boolean;
  assignedUids?: boolean;
}

/** `NAME=value`, as often as it is given. */
export function collectValue(word: string, previous: Record<string, string>): Record<string, string> {
  const [name = '', ...value] = word.split('=');
  if (name === '' || value.length === 0) {
    throw new InvalidArgumentError('Give it as NAME=value.');
  }
  return { ...previous, [name]: value.join('=') };
}

export function collect(value: string, previous: string[]): string[] {
  if (value.trim() === '') {
    throw new InvalidArgumentError('The value is empty.');
  }
  return [...previous, ...value.split(',')];
}

export function shardOption(): Option {
  return new Option(
    '--shard <index/count>',
    'run only this part of the plan, for example 1/3; every machine splits alike',
  );
}

/** For a cluster that is slow: what a check asks of the implementation stays as it is. */
export function timeoutFactorOption(): Option {
  return new Option(
    '--timeout-factor <number>',
    'multiply the time limits of the harness itself; the bounds of checks do not change',
  )
    .argParser(Number)
    .default(1);
}

/** Options that say what is run against, and how: the same for every command that runs the suites. */
export function addEnvironmentOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--set <name=value>', 'value for `${set.name}` in a target file; repeatable')
        .argParser(collectValue)
        .default({}, 'none'),
    )
    .addOption(
      new Option('--cluster <kind>', 'k3s: start a cluster; kubeconfig: use the live cluster of KUBECONFIG')
        .choices(['k3s', 'kubeconfig'])
        .default('k3s'),
    )
    .option('--context <name>', 'kubeconfig context (default: the current one)')
    .option('--settings <file>', 'settings for objects created on a live cluster: labels, limits, tolerations, …')
    .addOption(
      new Option('--namespace <name>', 'use only this existing namespace of a live cluster; repeatable')
        .argParser(collect)
        .default([], 'namespaces of its own'),
    )
    .addOption(registryOption())
    .option('--what-works', 'evaluate what a live cluster has everything for; report the rest as not applicable')
    .option('--yes', 'do not ask for confirmation before using a live cluster whose context was not named')
    .addOption(timeoutFactorOption())
    .addOption(
      new Option(
        '--idp <kind>',
        'identity provider of the references (default: keycloak; embedded, as a pod, with --cluster kubeconfig)',
      ).choices(['keycloak', 'embedded']),
    )
    .addOption(
      new Option(
        '--clock <kind>',
        'accelerated: tokens expire within seconds; real: within 600 s (default: accelerated; real with --cluster kubeconfig)',
      ).choices(['accelerated', 'real']),
    );
}

/** `conformance run`: evaluates the references, or a target in their place. */
export function registerRun(program: Command): void {
  const command = program
    .command('run')
    .description('Set up everything, run the suites, write the report and print the verdict.')
    .argument('[suite...]', 'suite names (default: all)')
    .addOption(
      new Option('--target <file>', 'target file of an implementation under test; repeatable, one per role')
        .argParser(collect)
        .default([], 'the references'),
    );
  addEnvironmentOptions(command)
    .addOption(
      new Option('--requirement <id>', 'run only this requirement; repeatable').argParser(collect).default([], 'all'),
    )
    .option('--strict', 'not conformant if a SHOULD is not kept; by default only a MUST decides')
    .addOption(shardOption())
    .option('--report <folder>', 'folder for the report', 'reports/latest')
    .option('--baseline <file>', 'known failures: exit with 0 if nothing else fails (see `conformance baseline`)')
    .option('--json', 'print events as JSON on standard output, one per line; everything else goes to standard error')
    .option('--env [name]', 'use the environment that `conformance up` holds, with namespaces of its own')
    .option('--watch', 'run again when a target file, or a file that it names, changes; goes with --env')
    .option('--publish <name>', 'in a pod: store the report in ConfigMaps of this name for `conformance collect`')
    .option('--keep', 'leave the environment running for debugging')
    // For the project's own tests: a cluster that assigns uids to pods, as OpenShift does.
    .addOption(new Option('--assigned-uids').hideHelp())
    .action(async (suites: string[], flags: RunFlags) => {
      process.exitCode = await (flags.watch === true ? runAgain(suites, flags) : run(suites, flags));
      if (flags.keep === true) {
        // The logs and the ends of containers are followed for as long as they run, and these are kept.
        process.exit();
      }
    });
}

/** Runs, and runs again after each change of the targets, until a signal ends it. */
async function runAgain(suites: string[], flags: RunFlags): Promise<number> {
  if (flags.env === undefined || flags.target.length === 0) {
    throw new UsageError(
      '--watch goes with --env and --target: without them every run would start an environment of its own',
    );
  }
  const { changeOf, filesOf } = await import('./watch.ts');
  const files = filesOf(flags.target.map((file) => loadTarget(file, flags.set)));
  for (;;) {
    // What is wrong with a target file is told, and may be mended in the next moment.
    await run(suites, flags).catch((error: unknown) => process.stderr.write(`error: ${describeError(error)}\n`));
    process.stderr.write(`waiting for a change of ${files.length} files (Ctrl-C ends it)\n`);
    process.stderr.write(`${await changeOf(files)} has changed\n`);
  }
}

/** @throws UsageError for settings that cannot be read, or that nothing would obey */
function settingsFor({ settings, cluster }: RunFlags): Settings | undefined {
  if (settings === undefined) {
    return undefined;
  }
  if (cluster !== 'kubeconfig') {
    throw new UsageError('--settings applies only to a live cluster (--cluster kubeconfig)');
  }
  return loadSettings(settings);
}

/** @throws UsageError for a shard that cannot be, and for a baseline: a part does not say what is new in the whole */
function shardFor({ shard, baseline }: RunFlags): Shard | undefined {
  if (shard === undefined) {
    return undefined;
  }
  if (baseline !== undefined) {
    throw new UsageError('--shard does not go with --baseline: give the baseline to `conformance merge`');
  }
  return parseShard(shard);
}

/** Looks before the first requirement what a live cluster lacks. @returns whether the run is to go on */
async function isFit(session: Session, { whatWorks = false }: RunFlags, output: Console): Promise<boolean> {
  const begun = performance.now();
  let lacks: Lack[];
  try {
    lacks = await session.preflight();
  } catch (error) {
    await session.stop();
    throw error;
  }
  const seconds = ((performance.now() - begun) / 1000).toFixed(1);
  if (lacks.length === 0) {
    output.progress('preflight', `nothing is missing (${seconds} s)`);
    return true;
  }
  const { renderLacks } = await import('../run/live/preflight.ts');
  const title = `This cluster lacks for the harness (${seconds} s):`;
  process.stderr.write(`${redact([title, ...renderLacks(lacks)].join('\n'))}\n`);
  if (whatWorks) {
    session.leaveOut(lacks);
    return true;
  }
  await session.stop();
  process.stderr.write('no verdict: harness error; --what-works evaluates what nothing is missing for\n');
  return false;
}

/** Runs and returns the exit code. */
export async function run(suites: string[], flags: RunFlags): Promise<number> {
  const clock = flags.clock ?? (flags.cluster === 'kubeconfig' ? 'real' : 'accelerated');
  // Wrong use is told before anything is loaded or started.
  setTimeoutFactor(flags.timeoutFactor);
  setRegistry(flags.registry);
  checkCombination({ cluster: flags.cluster, clock });
  const requirements = select(loadCatalogue(), { suites, requirements: flags.requirement });
  const targets = flags.target.map((file) => loadTarget(file, flags.set));
  const candidate = targets.length > 0 ? targetsCandidate(targets, requirements) : referencesCandidate(requirements);
  const shard = shardFor(flags);
  const only = shard === undefined ? undefined : rowsOfShard(loadCatalogue(), [candidate], shard);
  const settings = settingsFor(flags);
  const { namespace: namespaces = [] } = flags;
  if (namespaces.length > 0 && flags.cluster !== 'kubeconfig') {
    throw new UsageError('--namespace is about a live cluster (--cluster kubeconfig)');
  }
  const baseline = await baselineOf(flags.baseline);
  // Loaded here, so that the small commands start at once.
  const [
    { buildReport },
    { tellGitHub },
    { invocationOf },
    { applyBaseline, isAsExpected },
    { consoleSummary },
    { verdictOf },
    { writeReport },
    { executeWithRerun },
    { DEFAULT_OPTIONS, Session },
    { ensureSetUp },
  ] = await Promise.all([
    import('../report/build.ts'),
    import('../report/github.ts'),
    import('../report/invocation.ts'),
    import('../report/baseline.ts'),
    import('../report/renderers/console.ts'),
    import('../report/verdict.ts'),
    import('../report/write.ts'),
    import('../run/execute.ts'),
    import('../run/session.ts'),
    import('./setup.ts'),
  ]);
  const warm = await warmOf(flags, clock, targets);
  const output = new Console();
  const events = flags.json === true ? new EventStream((text) => process.stdout.write(text)) : undefined;
  const options: RunOptions = {
    ...DEFAULT_OPTIONS,
    suites,
    requirements: flags.requirement,
    cluster: flags.cluster,
    ...(flags.context === undefined ? {} : { context: flags.context }),
    ...(settings === undefined ? {} : { settings }),
    ...(namespaces.length === 0 ? {} : { namespaces }),
    whatWorks: flags.whatWorks === true,
    identityProvider: flags.idp ?? (flags.cluster === 'kubeconfig' ? 'embedded' : 'keycloak'),
    clock,
    keep: flags.keep === true,
    assignedUids: flags.assignedUids === true,
    ...(warm === undefined ? {} : { warm }),
    ...(targets.length === 0 ? {} : { targets }),
    ...(only === undefined ? {} : { only }),
  };
  const session = new Session(options, (part, message) => {
    output.progress(part, message);
    events?.progress(part, message);
  });
  events?.begin(session);
  if (flags.cluster === 'kubeconfig') {
    const { announceCluster } = await import('./live.ts');
    await announceCluster(
      flags,
      namespaces.length > 0 ? namespaces.join(', ') : `kac-${session.runId}-* (made and removed by the run)`,
    );
    if (!(await isFit(session, flags, output))) {
      return EXIT.harnessError;
    }
  }
  if (session.needsEngine) {
    await ensureSetUp({ onProgress: progressPrinter(process.stderr) });
  }
  for (const target of targets) {
    await roleDefinition(target.role).install?.(target, (message) => output.progress(target.name, message));
  }
  const expected = new Map(session.catalogue.requirements.map(({ id, expectedSeconds }) => [id, expectedSeconds ?? 0]));
  const progress = output.of({
    planned: session.planned.length,
    several: false,
    ...(clock === 'accelerated' ? { expected: session.planned.map(({ id }) => [id, expected.get(id) ?? 0]) } : {}),
  });
  const execution = await executeWithRerun(session, events === undefined ? progress : events.beside(progress));
  const evaluated = buildReport(session, execution, invocationOf(flags), flags.strict);
  const built: Report =
    shard === undefined
      ? evaluated
      : {
          ...evaluated,
          shard: { ...shard, planDigest: planDigest([candidate], options), planned: candidate.planned },
        };
  const known = baseline === undefined ? undefined : applyBaseline(baseline, built);
  const report: Report = known === undefined ? built : { ...built, baseline: known };
  const files = writeReport(flags.report, report);
  if (flags.publish !== undefined) {
    const { publishReport } = await import('./in-cluster/publish.ts');
    await publishReport(flags.report, {
      name: flags.publish,
      shard: shard?.index ?? 1,
      context: flags.context,
      settings,
    });
  }
  const verdict = verdictOf(report);
  events?.end(report, files);
  const terminal = events === undefined ? process.stdout : process.stderr;
  tellGitHub(report, files, (text) => terminal.write(text));
  terminal.write(
    redact(consoleSummary(report, { columns: terminal.isTTY ? terminal.columns : undefined, folder: flags.report })),
  );
  if (verdict.harnessError) {
    return EXIT.harnessError;
  }
  return (known === undefined ? verdict.conformant : isAsExpected(report, known))
    ? EXIT.conformant
    : EXIT.notConformant;
}

/** The environment of `--env`, before anything is started. */
async function warmOf(
  { env, cluster, keep }: RunFlags,
  clock: ClockKind,
  targets: readonly Target[],
): Promise<WarmEnvironment | undefined> {
  if (env === undefined) {
    return undefined;
  }
  if (cluster !== 'k3s' || keep === true) {
    throw new UsageError('--env goes neither with --cluster kubeconfig nor with --keep');
  }
  const { warmCalled } = await import('../environment/warm.ts');
  const warm = warmCalled(env === true ? 'default' : env);
  if (warm.clock !== clock) {
    throw new UsageError(`the environment "${warm.name}" runs on the ${warm.clock} clock: give --clock ${warm.clock}`);
  }
  for (const target of targets) {
    const needsSlot = Object.keys(roleDefinition(target.role).environmentOptions?.(target) ?? {}).length > 0;
    if (needsSlot && !warm.targets.includes(target.digest)) {
      throw new UsageError(
        `the environment "${warm.name}" was not started for ${target.file}: conformance down ${warm.name}, then conformance up ${warm.name} --target ${target.file}`,
      );
    }
  }
  return warm;
}

/** The baseline of a run, read before anything is started; what has expired is said at once. */
export async function baselineOf(file: string | undefined): Promise<Baseline | undefined> {
  if (file === undefined) {
    return undefined;
  }
  const { expiredEntries, readBaseline } = await import('../report/baseline.ts');
  const baseline = readBaseline(
    file,
    loadCatalogue().requirements.map(({ id }) => id),
  );
  for (const problem of expiredEntries(baseline)) {
    process.stderr.write(`${file}: ${problem}\n`);
  }
  return baseline;
}
