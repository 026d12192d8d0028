import type { Command } from 'commander';
import { Option } from 'commander';
import { describeError, UsageError } from '../core/errors.ts';
import { redact } from '../core/redact.ts';
import { stopOnSignal } from '../core/signals.ts';
import type { Report } from '../report/report.ts';
import { roleDefinition } from '../roles/index.ts';
import type { Execution } from '../run/execute.ts';
import type { Lack } from '../run/live/lacks.ts';
import type { Session } from '../run/session.ts';
import { planDigest } from '../run/shards.ts';
import { loadTarget } from '../targets/load.ts';
import { EventStream } from './events.ts';
import { EXIT } from './exit.ts';
import { addEnvironmentOptions, requirementOption, shardOption, targetOption } from './options.ts';
import { Console } from './output.ts';
import { progressPrinter } from './progress.ts';
import { optionsOf, type RunFlags, type RunRequest, readRequest } from './run-request.ts';

/** `conformance run`: evaluates the references, or a target in their place. */
export function registerRun(program: Command): void {
  const command = program
    .command('run')
    .description('Set up everything, run the suites, write the report and print the verdict.')
    .argument('[suite...]', 'suite names (default: all)')
    .addOption(targetOption());
  addEnvironmentOptions(command)
    .addOption(requirementOption('run only this requirement; repeatable'))
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
    // An error in a target file is reported, and may be fixed in the next moment.
    await run(suites, flags).catch((error: unknown) => process.stderr.write(`error: ${describeError(error)}\n`));
    process.stderr.write(`waiting for a change of ${files.length} files (Ctrl-C ends it)\n`);
    process.stderr.write(`${await changeOf(files)} has changed\n`);
  }
}

/** Runs and returns the exit code. */
export async function run(suites: string[], flags: RunFlags): Promise<number> {
  const request = await readRequest(suites, flags);
  const output = new Console();
  const events = flags.json === true ? new EventStream((text) => process.stdout.write(text)) : undefined;
  // What is heavy is loaded only now, here and below: the small commands start at once.
  const { Session } = await import('../run/session.ts');
  const session = new Session(optionsOf(request, suites, flags), (part, message) => {
    output.progress(part, message);
    events?.progress(part, message);
  });
  events?.begin(session);
  const execution = await whileAttached(session, async () =>
    (await prepare(session, request, flags, output)) ? execute(session, request, output, events) : undefined,
  );
  if (execution === undefined) {
    return EXIT.harnessError;
  }
  const report = await reportOf(session, execution, request, flags);
  await deliver(report, request, flags, events);
  return exitCodeOf(report);
}

/**
 * On a live cluster the preflight makes a namespace before there are suites that remove it in the end: whatever comes
 * between them removes it, too.
 */
export async function whileAttached<T>(session: Pick<Session, 'options' | 'stop'>, act: () => Promise<T>): Promise<T> {
  if (session.options.cluster !== 'kubeconfig') {
    return act();
  }
  // The suites have listeners of their own in the place of these.
  const release = stopOnSignal(() => session.stop());
  try {
    return await act();
  } catch (error) {
    await session.stop();
    throw error;
  } finally {
    release();
  }
}

/**
 * Asks about the live cluster, sets up what is missing on this machine, and installs the targets.
 *
 * @returns whether the run is to go on
 */
async function prepare(
  session: Session,
  { targets, namespaces }: RunRequest,
  flags: RunFlags,
  output: Console,
): Promise<boolean> {
  if (flags.cluster === 'kubeconfig') {
    const { announceCluster } = await import('./live.ts');
    await announceCluster(
      flags,
      namespaces.length > 0 ? namespaces.join(', ') : `kac-${session.runId}-* (made and removed by the run)`,
    );
    if (!(await isFit(session, flags, output))) {
      return false;
    }
  }
  if (session.needsEngine) {
    const { ensureSetUp } = await import('./setup.ts');
    await ensureSetUp({ onProgress: progressPrinter(process.stderr) });
  }
  for (const target of targets) {
    await roleDefinition(target.role).install?.(target, (message) => output.progress(target.name, message));
  }
  return true;
}

/** Looks before the first requirement for what a live cluster lacks. @returns whether the run is to go on */
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
  const { endsRun, idsOf, lackingOf, renderLacks } = await import('../run/live/lacks.ts');
  const title = `This cluster lacks for the harness (${seconds} s):`;
  process.stderr.write(`${redact([title, ...renderLacks(lacks)].join('\n'))}\n`);
  const { needs } = session;
  if (whatWorks || !endsRun(lacks, needs)) {
    session.leaveOut(lacks);
    const leftOut = idsOf(needs).filter((id) => lackingOf(lacks)[id] !== undefined).length;
    const of = `${leftOut} of ${idsOf(needs).length} requirements`;
    process.stderr.write(`The run goes on without what needs that: ${of} will be not applicable.\n`);
    return true;
  }
  await session.stop();
  process.stderr.write('no verdict: harness error; --what-works evaluates what nothing is missing for\n');
  return false;
}

async function execute(
  session: Session,
  { clock }: RunRequest,
  output: Console,
  events: EventStream | undefined,
): Promise<Execution> {
  const { executeWithRerun } = await import('../run/execute.ts');
  const expected = new Map(session.catalogue.requirements.map(({ id, expectedSeconds }) => [id, expectedSeconds ?? 0]));
  const progress = output.of({
    planned: session.planned.length,
    several: false,
    ...(clock === 'accelerated' ? { expected: session.planned.map(({ id }) => [id, expected.get(id) ?? 0]) } : {}),
  });
  return executeWithRerun(session, events === undefined ? progress : events.beside(progress));
}

/** The report, with the shard that it is of, and held against the baseline. */
async function reportOf(
  session: Session,
  execution: Execution,
  { candidate, shard, baseline }: RunRequest,
  flags: RunFlags,
): Promise<Report> {
  const { buildReport } = await import('../report/build.ts');
  const { invocationOf } = await import('../report/invocation.ts');
  const evaluated = buildReport(session, execution, invocationOf(flags), flags.strict);
  const report: Report =
    shard === undefined
      ? evaluated
      : {
          ...evaluated,
          shard: { ...shard, planDigest: planDigest([candidate], session.options), planned: candidate.planned },
        };
  if (baseline === undefined) {
    return report;
  }
  const { applyBaseline } = await import('../report/baseline.ts');
  return { ...report, baseline: applyBaseline(baseline, report) };
}

/** Writes the report into its folder, and reports it wherever that is asked for. */
async function deliver(
  report: Report,
  { shard, settings }: RunRequest,
  flags: RunFlags,
  events: EventStream | undefined,
): Promise<void> {
  const { writeReport } = await import('../report/write.ts');
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
  events?.end(report, files);
  const { tellGitHub } = await import('../report/github.ts');
  const { consoleSummary } = await import('../report/renderers/console.ts');
  const terminal = events === undefined ? process.stdout : process.stderr;
  tellGitHub(report, files, (text) => terminal.write(text));
  terminal.write(
    redact(consoleSummary(report, { columns: terminal.isTTY ? terminal.columns : undefined, folder: flags.report })),
  );
}

async function exitCodeOf(report: Report): Promise<number> {
  const { isAsExpected } = await import('../report/baseline.ts');
  const { verdictOf } = await import('../report/verdict.ts');
  const { harnessError, conformant } = verdictOf(report);
  if (harnessError) {
    return EXIT.harnessError;
  }
  const isGood = report.baseline === undefined ? conformant : isAsExpected(report, report.baseline);
  return isGood ? EXIT.conformant : EXIT.notConformant;
}
