import { type Catalogue, loadCatalogue } from '../catalogue/catalogue.ts';
import { describeError } from '../core/errors.ts';
import { RUN_OBJECT_LABEL } from '../core/names.ts';
import { isRed } from '../core/outcome.ts';
import { scattered } from '../core/scattered.ts';
import { STALLED } from '../core/starvation.ts';
import { describeSwept, sweepDeadRuns } from '../environment/containers.ts';
import { Environment, type EnvironmentOptions } from '../environment/environment.ts';
import { enterRun, keepRun, leaveRun, newRunId } from '../environment/live-runs.ts';
import type { WarmEnvironment } from '../environment/warm.ts';
import type { ClusterKind } from '../kubernetes/cluster-data.ts';
import type { Role } from '../role-data/index.ts';
import { roleDefinition } from '../roles/index.ts';
import type { Candidate } from '../rpc/candidate.ts';
import type {
  ClockKind,
  ClockSettings,
  IdentityProviderKind,
  RequirementResult,
  WorkerSettings,
} from '../rpc/protocol.ts';
import { type ControlServer, claimHandlers, startControlServer } from '../rpc/server.ts';
import type { Target } from '../targets/load.ts';
import type { Settings } from '../targets/settings.ts';
import { attachTo } from './attached-environment.ts';
import { type Lack, lackingOf } from './live/lacks.ts';
import { type Needs, needsOf } from './live/needs.ts';
import { preflight } from './live/preflight.ts';
import {
  checkCombination,
  observationOf,
  referencesCandidate,
  type Selection,
  select,
  targetsCandidate,
  twinCandidates,
} from './plan.ts';
import { callsByName, ownEnvironment, type RunEnvironment } from './run-environment.ts';
import { Scheduler } from './scheduler.ts';

export interface RunOptions extends Selection {
  /** `run` evaluates the references, `prove` the twins. */
  mode: 'run' | 'prove';
  cluster: ClusterKind;
  context?: string;
  /** Context of a second live cluster, whose tokens the providers must refuse. */
  peerContext?: string;
  /** What the objects that are made on a live cluster need to have. */
  settings?: Settings;
  /** Namespaces of a live cluster that the run is kept to; none: it makes its own. */
  namespaces?: string[];
  /** Leaves out what a live cluster lacks something for. */
  whatWorks?: boolean;
  identityProvider: IdentityProviderKind;
  clock: ClockKind;
  /** Leaves the environment running for debugging. */
  keep: boolean;
  /** The implementations under test; none = the references. */
  targets?: Target[];
  /** Of what is selected, only these rows. */
  only?: PlannedRow[];
  /** An environment that was started before (`conformance up`), in the place of one of the run's own. */
  warm?: WarmEnvironment;
  /** The harness's own cluster assigns uids to pods, as OpenShift does. */
  assignedUids?: boolean;
}

export const DEFAULT_OPTIONS: RunOptions = {
  mode: 'run',
  cluster: 'k3s',
  identityProvider: 'keycloak',
  clock: 'accelerated',
  keep: false,
};

/**
 * The lives and frequencies of the two clocks in seconds. Where rotation times are evaluated a token lives 60 s: the
 * kubelet's jitter is 10 s. A token client's tokens live shorter, so that its run crosses two rotations and an expiry.
 * The real clock has Kubernetes' minimum and the kubelet's default.
 */
export const CLOCKS: Record<ClockKind, ClockSettings> = {
  accelerated: { kind: 'accelerated', lifetimeSeconds: 60, clientLifetimeSeconds: 25, syncFrequencySeconds: 1 },
  real: { kind: 'real', lifetimeSeconds: 600, clientLifetimeSeconds: 600, syncFrequencySeconds: 60 },
};

/** One requirement of one candidate. */
export interface PlannedRow {
  candidate: string;
  id: string;
}

/** What a run evaluates, with {@link RunOptions.only} taken into account. */
export function candidatesOf(catalogue: Catalogue, options: RunOptions): Candidate[] {
  const candidates = selectedCandidates(catalogue, options);
  const { only } = options;
  if (only === undefined) {
    return candidates;
  }
  const isAsked = (candidate: string, id: string): boolean =>
    only.some((row) => row.candidate === candidate && row.id === id);
  return candidates
    .map((candidate) => ({ ...candidate, planned: candidate.planned.filter((id) => isAsked(candidate.name, id)) }))
    .filter(({ planned }) => planned.length > 0);
}

function selectedCandidates(catalogue: Catalogue, options: RunOptions): Candidate[] {
  if (options.mode === 'prove') {
    return twinCandidates(catalogue, options);
  }
  const requirements = select(catalogue, options);
  const { targets = [] } = options;
  return [targets.length === 0 ? referencesCandidate(requirements) : targetsCandidate(targets, requirements)];
}

export type ProgressListener = (part: string, message: string) => void;

/** One run: its plan, its environment, its results. Lives in the main process; there is one at a time. */
export class Session {
  readonly runId: string;
  readonly options: RunOptions;
  readonly catalogue: Catalogue;
  readonly candidates: Candidate[];
  readonly startedAt = new Date();
  readonly results: RequirementResult[] = [];
  readonly scheduler = new Scheduler();
  readonly environment: RunEnvironment;
  readonly #listener: ProgressListener;
  #started: Promise<WorkerSettings> | undefined;
  #control: ControlServer | undefined;
  #lacking: Record<string, string> = {};
  #warm: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  #breakOff: (why: string) => void = () => undefined;

  /** The session whose environment this one uses. */
  readonly #earlier: Session | undefined;
  #isRerun = false;

  /**
   * @param earlier a session of the same options whose environment goes on: it alone stops it
   * @throws UsageError for an option, suite, id or twin that does not fit, before anything is started
   */
  constructor(
    options: RunOptions,
    onProgress: ProgressListener,
    catalogue: Catalogue = loadCatalogue(),
    earlier?: Session,
  ) {
    checkCombination(options);
    this.runId = earlier?.runId ?? newRunId();
    this.#earlier = earlier;
    this.options = options;
    this.catalogue = catalogue;
    this.#listener = onProgress;
    this.candidates = candidatesOf(catalogue, options);
    const expected = new Map(catalogue.requirements.map(({ id, expectedSeconds = 0 }) => [id, expectedSeconds]));
    for (const candidate of this.candidates) {
      for (const id of candidate.planned) {
        this.scheduler.register(candidate, id, expected.get(id) ?? 0);
      }
    }
    this.environment = earlier?.environment ?? this.#environmentOf(options, onProgress);
  }

  #environmentOf({ warm }: RunOptions, onProgress: ProgressListener): RunEnvironment {
    return warm === undefined ? ownEnvironment(this.#newEnvironment(onProgress)) : attachTo(warm, this.runId);
  }

  #newEnvironment(onProgress: ProgressListener): Environment {
    const { options } = this;
    return new Environment({
      runId: this.runId,
      cluster: options.cluster,
      ...(options.context === undefined ? {} : { context: options.context }),
      ...(options.peerContext === undefined ? {} : { peerContext: options.peerContext }),
      ...(options.settings === undefined ? {} : { settings: options.settings }),
      ...(options.namespaces === undefined ? {} : { namespaces: options.namespaces }),
      identityProvider: options.identityProvider,
      clock: this.clock,
      evaluatesTwins: options.mode === 'prove',
      networkPolicies: options.mode !== 'prove' && this.#asksForNetworkPolicies(),
      assignedUids: options.assignedUids === true,
      ...slotsOf(options.targets ?? []),
      onProgress,
    });
  }

  #asksForNetworkPolicies(): boolean {
    const planned = new Set(this.planned.map(({ id }) => id));
    return this.catalogue.requirements.some(
      ({ id, preconditions }) => preconditions?.cluster?.includes('network-policies') === true && planned.has(id),
    );
  }

  get clock(): ClockSettings {
    const clock = CLOCKS[this.options.clock];
    const targets = [
      ...(this.options.targets ?? []),
      ...this.candidates.flatMap((one) => ('targets' in one ? (one.targets ?? []) : [])),
    ];
    const lives = targets.map((target) => roleDefinition(target.role).clientLifetimeSeconds?.(target, clock) ?? 0);
    return { ...clock, clientLifetimeSeconds: Math.max(clock.clientLifetimeSeconds, ...lives) };
  }

  /** Ids planned over all candidates, with their candidate. */
  get planned(): PlannedRow[] {
    return this.candidates.flatMap(({ name, planned }) => planned.map((id) => ({ candidate: name, id })));
  }

  /** Roles that have something planned. */
  get plannedRoles(): Role[] {
    const planned = new Set(this.planned.map(({ id }) => id));
    return [...new Set(this.catalogue.requirements.filter(({ id }) => planned.has(id)).map(({ role }) => role))];
  }

  /** Suites that have something planned. */
  get plannedSuites(): string[] {
    const planned = new Set(this.planned.map(({ id }) => id));
    return this.catalogue.suites.filter((suite) =>
      this.catalogue.requirements.some((row) => row.suite === suite && planned.has(row.id)),
    );
  }

  /** False where everything runs on a live cluster. */
  get needsEngine(): boolean {
    return this.options.cluster === 'k3s' && this.options.warm === undefined;
  }

  /** What the requirements of this session need of a live cluster. */
  get needs(): Needs {
    const planned = new Set(this.planned.map(({ id }) => id));
    return needsOf(
      this.catalogue.requirements.filter(({ id }) => planned.has(id)),
      {
        targets: this.options.targets ?? [],
        namespaces: this.options.namespaces ?? [],
        peer: this.options.peerContext !== undefined,
        identityProvider: this.options.identityProvider,
      },
    );
  }

  /** Finds out what the live cluster lacks for the harness, before anything is evaluated; see run/live/preflight.ts. */
  async preflight(): Promise<Lack[]> {
    const [candidate] = this.candidates;
    if (candidate === undefined || this.options.cluster !== 'kubeconfig') {
      return [];
    }
    enterRun(this.runId);
    const { namespaces: given = [] } = this.options;
    const [data, { peer }] = await Promise.all([
      this.environment.calls.cluster({}, candidate),
      this.environment.calls.peerCluster({}, candidate),
    ]);
    const lacks = await preflight({
      data,
      ...(peer === undefined ? {} : { peer }),
      needs: this.needs,
      namespace: async (podSecurity) =>
        (
          await this.environment.calls.namespace(
            {
              purpose: podSecurity === 'restricted' ? 'preflight' : `preflight ${podSecurity}`,
              podSecurity,
              owner: 'preflight',
            },
            candidate,
          )
        ).name,
      ...(given.length === 0 ? {} : { given }),
      onProgress: (message) => this.#listener('preflight', message),
    });
    await this.environment.calls.giveBackNamespaces({ owner: 'preflight' }, candidate);
    return lacks;
  }

  /** Leaves out what the cluster lacks something for: it ends as not applicable, with why. */
  leaveOut(lacks: readonly Lack[]): void {
    this.#lacking = lackingOf(lacks);
  }

  /**
   * Sweeps what dead runs left, then opens the control server and begins to start the environment; once, whoever asks.
   */
  start(): Promise<WorkerSettings> {
    this.#started ??= this.#start();
    return this.#started;
  }

  async #start(): Promise<WorkerSettings> {
    const { environment } = this;
    if (this.#earlier === undefined) {
      await this.#enter();
    }
    const called = (name: string): Candidate | undefined =>
      this.candidates.find((candidate) => candidate.name === name);
    this.#control = await startControlServer({
      ...claimHandlers(),
      ...callsByName(environment.calls, this.candidates),
      admission: async ({ id, observation }: { id: string; observation?: string }, name: string) => {
        const candidate = called(name);
        // How many candidates the machine has room for shows when they have something to work with.
        await this.#warm;
        if (candidate !== undefined) {
          await this.scheduler.admit(candidate, id, observation);
        }
        return {};
      },
      progress: async ({ id, message }: { id: string; message: string }, name: string) => {
        this.#listener(this.candidates.length === 1 ? id : `${id} [${name}]`, message);
        return {};
      },
    });
    const lacking = { ...this.#beyondLiveClusters(), ...this.#lacking };
    // What is evaluated of nobody is not started: the rights to it are not asked for either.
    const evaluated = new Set(this.planned.map(({ id }) => id).filter((id) => lacking[id] === undefined));
    const roles = new Set(this.catalogue.requirements.filter(({ id }) => evaluated.has(id)).map(({ role }) => role));
    const definitions = [...roles].map(roleDefinition);
    this.#warm = environment.warmUp({
      identityProvider: definitions.some((definition) => definition.usesIdentityProvider(this.options.mode)),
      images: [...new Set(definitions.flatMap(({ nodeImages = [] }) => nodeImages))],
    });
    return {
      url: this.#control.url,
      secret: this.#control.secret,
      clock: this.clock,
      ownCluster: this.options.cluster === 'k3s',
      candidates: this.candidates,
      lacking,
      whatWorks: this.options.whatWorks === true,
      sharesNamespaces: (this.options.namespaces ?? []).length > 0,
      isRerun: this.#isRerun,
      suites: this.plannedSuites,
      requirements: Object.fromEntries(
        this.catalogue.requirements.map(({ id, role, suite, observation, preconditions = {} }) => [
          id,
          { role, suite, ...(observation === undefined ? {} : { observation }), preconditions },
        ]),
      ),
    };
  }

  /** What cannot be evaluated on any live cluster, and why: nothing is observed for it there. */
  #beyondLiveClusters(): Record<string, string> {
    return this.options.cluster === 'kubeconfig'
      ? Object.fromEntries(this.needs.notApplicable.map(({ id, reason }) => [id, reason]))
      : {};
  }

  async #enter(): Promise<void> {
    enterRun(this.runId);
    if (this.needsEngine) {
      const swept = await sweepDeadRuns();
      if (swept.runs.length > 0) {
        this.#listener('clean-up', describeSwept(swept));
      }
    }
    if (this.options.cluster === 'k3s') {
      await this.environment.watch((message) => this.#breakOff(message));
    }
  }

  /** Is told when a part of the environment is gone, so that there is no sense in going on. */
  onBroken(tell: (why: string) => void): void {
    // It is told by the session that started the environment.
    (this.#earlier ?? this).#breakOff = tell;
  }

  /**
   * One requirement of a candidate is done. After its last one, what it alone used is taken away: others are evaluated
   * beside it.
   */
  leave(candidate: Candidate): void {
    if (!this.scheduler.done(candidate) || this.candidates.length === 1) {
      return;
    }
    this.environment.release(candidate).catch((error: unknown) => {
      this.#listener(candidate.name, `what it used could not be taken away: ${describeError(error)}`);
    });
  }

  /** What was planned and the harness itself could not evaluate, or never came to. */
  get unevaluated(): PlannedRow[] {
    return this.planned.filter(({ candidate, id }) => {
      const result = this.results.find((one) => one.id === id && one.candidate === candidate);
      return result === undefined || result.outcome === 'harness error';
    });
  }

  /** Of {@link unevaluated}, what this machine disturbed, or was never come to. */
  get disturbed(): PlannedRow[] {
    return this.unevaluated.filter(({ candidate, id }) => {
      const result = this.results.find((one) => one.id === id && one.candidate === candidate);
      return result === undefined || result.reason?.startsWith(STALLED) === true;
    });
  }

  /**
   * What was called red while the machine was short of processors (starvation.ts), and is not known to be (a twin must
   * fail what names it). A processor that is not there looks like a target that does not answer, in more ways than a
   * harness can foresee.
   */
  get suspect(): PlannedRow[] {
    return this.results
      .filter(({ id, candidate, outcome, doubt }) => {
        const twin = this.catalogue.twins.find(({ name }) => name === candidate);
        return isRed(outcome) && doubt !== undefined && twin?.mustFail.includes(id) !== true;
      })
      .map(({ id, candidate }) => ({ candidate, id }));
  }

  /**
   * The same, those together that are evaluated from one observation of a candidate; in an order in which the first few
   * are of all suites.
   */
  get suspectByObservation(): PlannedRow[][] {
    const observations = Map.groupBy(this.suspect, ({ candidate, id }) => {
      const row = this.catalogue.requirements.find((requirement) => requirement.id === id);
      return `${candidate} ${row === undefined ? id : observationOf(row)}`;
    });
    return scattered([...observations], ([observation]) => observation).map(([, rows]) => rows);
  }

  /** Whether any of these rows, which were evaluated a second time, was red the first time and is not any more. */
  wasInDoubtForNothing(rows: readonly PlannedRow[]): boolean {
    return rows.some(({ candidate, id }) => {
      const result = this.results.find((one) => one.id === id && one.candidate === candidate);
      return result?.disturbedBefore !== undefined && !isRed(result.outcome);
    });
  }

  /**
   * A session for some rows of this one, evaluated with nothing alongside.
   *
   * @param where `here`: in the environment of this one, which goes on; `anew`: in one of its own, where a part of this
   *   one is broken
   */
  rerun(rows: PlannedRow[], where: 'here' | 'anew'): Session {
    const options = { ...this.options, only: rows };
    const session = new Session(options, this.#listener, this.catalogue, where === 'here' ? this : undefined);
    session.#lacking = this.#lacking;
    session.#isRerun = true;
    return session;
  }

  /**
   * Takes the results of a second session for {@link unevaluated} and {@link suspect} rows in the place of the first
   * ones; they say so.
   */
  mergeRerun(again: RequirementResult[]): void {
    for (const result of again) {
      const index = this.results.findIndex(({ id, candidate }) => id === result.id && candidate === result.candidate);
      const before = this.results[index];
      const marked = { ...result, disturbedBefore: describeBefore(before) };
      if (before === undefined) {
        this.results.push(marked);
      } else {
        this.results[index] = marked;
      }
    }
  }

  /** No worker asks any more; the environment goes on. */
  async closeControl(): Promise<void> {
    await this.#control?.close();
  }

  /** Ends everything that the run started, unless it is to be kept. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    await this.closeControl();
    if (this.#earlier !== undefined) {
      return;
    }
    if (this.options.keep) {
      const [candidate] = this.candidates;
      const cluster = candidate === undefined ? undefined : await this.environment.calls.cluster({}, candidate);
      const file = keepRun(this.runId, cluster?.owned === true ? cluster.kubeConfig : '');
      if (cluster?.owned === false) {
        const label = `${RUN_OBJECT_LABEL}=${this.runId}`;
        this.#listener('clean-up', `the namespaces of the run are kept (kubectl get namespaces -l ${label})`);
        return;
      }
      this.#listener('clean-up', `the environment is kept: KUBECONFIG=${file}; \`conformance clean\` removes it`);
      return;
    }
    await this.environment.stop();
    leaveRun(this.runId);
  }
}

/**
 * The session of this process. Vitest loads its config, the global set-up and the reporter each as a module graph of
 * its own, so that a module variable would not be shared between them.
 */
const KEY = Symbol.for('kube-agent-conformance.session');

export function currentSession(): Session | undefined {
  return (globalThis as { [KEY]?: Session })[KEY];
}

export function setCurrentSession(session: Session | undefined): void {
  (globalThis as { [KEY]?: Session | undefined })[KEY] = session;
}

function describeBefore(before: RequirementResult | undefined): string {
  if (before === undefined) {
    return 'it was not executed';
  }
  const { outcome, reason = outcome, doubt } = before;
  return isRed(outcome) ? `${outcome} ${doubt}: ${reason}` : reason;
}

/**
 * What the targets put into the slots that the environment itself fills, and what they ask of the reference in the
 * other one.
 */
export function slotsOf(targets: Target[]): Partial<EnvironmentOptions> {
  return Object.assign({}, ...targets.map((target) => roleDefinition(target.role).environmentOptions?.(target) ?? {}));
}
