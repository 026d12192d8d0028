import { loadCatalogue } from '../catalogue/catalogue.ts';
import { UsageError } from '../core/errors.ts';
import { setTimeoutFactor } from '../core/time-limits.ts';
import type { WarmEnvironment } from '../environment/warm.ts';
import type { Baseline } from '../report/baseline.ts';
import { roleDefinition } from '../roles/index.ts';
import type { Candidate } from '../rpc/candidate.ts';
import type { ClockKind } from '../rpc/protocol.ts';
import { ACROSS_CLUSTERS } from '../run/live/peer-needs.ts';
import { checkCombination, referencesCandidate, select, targetsCandidate } from '../run/plan.ts';
import type { RunOptions } from '../run/session.ts';
import { parseShard, rowsOfShard, type Shard } from '../run/shards.ts';
import { loadTarget, type Target } from '../targets/load.ts';
import { loadSettings, type Settings } from '../targets/settings.ts';
import { setRegistry } from './images.ts';
import type { EnvironmentFlags } from './options.ts';

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

/** What a run was asked for: everything that can be known before anything is started. */
export interface RunRequest {
  candidate: Candidate;
  targets: Target[];
  clock: ClockKind;
  settings: Settings | undefined;
  namespaces: string[];
  shard: Shard | undefined;
  /** Of what is selected, the rows of the shard. */
  only: RunOptions['only'];
  baseline: Baseline | undefined;
  warm: WarmEnvironment | undefined;
}

/** @throws UsageError for wrong use, before anything is loaded or started */
export async function readRequest(suites: string[], flags: RunFlags): Promise<RunRequest> {
  const clock = flags.clock ?? (flags.cluster === 'kubeconfig' ? 'real' : 'accelerated');
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
  checkPeerContext(flags, candidate);
  const baseline = await baselineOf(flags.baseline);
  const warm = await warmOf(flags, clock, targets);
  return { candidate, targets, clock, settings, namespaces, shard, only, baseline, warm };
}

/** The options of the session that the request is carried out by. */
export function optionsOf(
  { targets, clock, settings, namespaces, only, warm }: RunRequest,
  suites: string[],
  flags: RunFlags,
): RunOptions {
  return {
    mode: 'run',
    suites,
    requirements: flags.requirement,
    cluster: flags.cluster,
    ...(flags.context === undefined ? {} : { context: flags.context }),
    ...(flags.peerContext === undefined ? {} : { peerContext: flags.peerContext }),
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
}

/** @throws UsageError for a second cluster that has no first one, or that nothing would be asked of */
function checkPeerContext({ cluster, peerContext }: RunFlags, { planned }: Candidate): void {
  if (peerContext === undefined) {
    return;
  }
  if (cluster !== 'kubeconfig') {
    throw new UsageError('--peer-context is about live clusters (--cluster kubeconfig)');
  }
  if (!planned.some((id) => ACROSS_CLUSTERS.includes(id))) {
    throw new UsageError(
      `--peer-context is for requirements of identity providers (${ACROSS_CLUSTERS.join(', ')}), and none of them is planned`,
    );
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
