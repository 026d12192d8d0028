import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Heartbeat } from '../../../fixtures/workloads/lib/heartbeat.ts';
import { Changes } from '../../core/changes.ts';
import { HarnessError, NotTestable } from '../../core/errors.ts';
import type { PolicyRule } from '../../core/policy-rule.ts';
import type { DnsAndTunnelFake } from '../../fakes/dns-and-tunnel/server.ts';
import type { DnsRecordInput, TunnelConfiguration } from '../../fakes/dns-and-tunnel/zone.ts';
import { type Arrival, EdgeTraffic } from '../../fakes/edge-traffic/edge-traffic.ts';
import type { ClusterHandle } from '../../kubernetes/cluster-handle.ts';
import type { RequirementContext, TargetAccess } from '../../rpc/context.ts';
import type { Target } from '../../targets/load.ts';
import type { OperatorExit, StartedReplica } from './driver.ts';
import { startEdge } from './fixture/edge.ts';
import { createObject } from './fixture/objects.ts';
import { Replicas, START_SLACK_SECONDS } from './fixture/replicas.ts';
import { podsRun, SessionPods } from './fixture/session-pods.ts';
import {
  AUTHENTICATION,
  documentedValues,
  INGRESS,
  newEdgeIds,
  putForeign,
  ROUTER,
  urlOf,
} from './fixture/surroundings.ts';
import { ClusterView, Presence } from './fixture/view.ts';
import { middlewaresPath, provideIngressApi } from './ingress-api.ts';
import { emptyRecord, type OperatorRecord, type Session } from './record.ts';
import { referenceProgram, sessionOperatorTarget } from './target.ts';

/** Name of the ServiceAccount that the operator's kubeconfig is for. */
const SERVICE_ACCOUNT = 'session-operator';

export interface LaunchOptions {
  /** Part of the namespace's name, and of nothing else. */
  purpose: string;
  /** Instead of the documented rights. */
  rules?: PolicyRule[];
}

/** A session operator under observation: replicas, sessions, the edge. */
export interface OperatorFixture {
  readonly target: Target<'session-operator'>;
  readonly cluster: ClusterHandle;
  readonly namespace: string;
  readonly edge: DnsAndTunnelFake;
  /** The proxy by which it reaches the API server: what it asked for there, and faults. */
  readonly access: TargetAccess;
  /** Its output so far. */
  readonly lines: OperatorRecord['lines'];
  /** Starts a replica, and waits until it is healthy; false: it is not, in time, or has exited. */
  start(replica?: string): Promise<boolean>;
  /** Starts a replica and does not wait. @param without variables that it is started without */
  launch(replica?: string, without?: string[]): Promise<StartedReplica>;
  /** Sends a signal to a replica and waits for its exit; undefined: it still runs after so many seconds. */
  signal(name: 'SIGTERM' | 'SIGKILL', withinSeconds: number, replica?: string): Promise<OperatorExit | undefined>;
  /** How the last process of a replica ended; undefined: it runs. */
  exitOf(replica: string): OperatorExit | undefined;
  /** What the health of a replica says; undefined: nothing answers. */
  health(replica?: string): Promise<number | undefined>;
  /** A session that is not there yet. */
  session(label: string): Session;
  /** Makes the pod of a session, and its claim where the target has those. */
  begin(session: Session | string): Promise<Session>;
  /** Makes a pod that is no session. */
  bystander(why: string, change: (labels: Record<string, string>) => void, namespace?: string): Promise<void>;
  /** Deletes the pod of a session, and waits until it is gone. */
  end(session: Session): Promise<void>;
  /** Deletes its claim. */
  endClaim(session: Session): Promise<void>;
  /** True where a record, a rule and all documented routes of a session are there. */
  isComplete(session: Session): boolean;
  /** True where a rule and all documented routes of a session are there, whatever its record is. */
  isRouted(session: Session): boolean;
  /**
   * True where nothing of a session is there; its record aside, where that goes with the claim and the claim is there.
   */
  isGone(session: Session): boolean;
  /** Waits until something holds; false when it has not in time: what that means is for the checks to say. */
  until(holds: () => boolean, deadlineSeconds: number): Promise<boolean>;
  /** Looks on for something that must not happen. */
  watchFor(seconds: number): Promise<void>;
  mark(name: string): void;
  /** Puts a record there that is somebody else's. */
  seed(record: DnsRecordInput): void;
  /** Replaces the tunnel's configuration as somebody else would. */
  reconfigure(change: (tunnel: TunnelConfiguration) => void): void;
  /** Makes a request through the edge. */
  ask(session: Session, path: string, as: { signedIn: boolean; label: string; host?: string }): Promise<Arrival>;
}

/** What was seen, and how a scenario can be told. */
export interface Launched<R> {
  record: OperatorRecord;
  result: R;
}

/**
 * Prepares a namespace, an edge and the way of requests, gives them to `act`, and ends whatever that started.
 *
 * @returns what `act` gave, and everything that was seen
 */
export function withSessionOperator<R>(
  t: RequirementContext,
  options: LaunchOptions,
  act: (fixture: OperatorFixture) => Promise<R>,
): Promise<Launched<R>> {
  return t.withNamespace(`operator ${options.purpose}`, 'restricted', (namespace) =>
    launch(t, namespace, options, act),
  );
}

async function launch<R>(
  t: RequirementContext,
  namespace: string,
  options: LaunchOptions,
  act: (fixture: OperatorFixture) => Promise<R>,
): Promise<Launched<R>> {
  const target = sessionOperatorTarget(t);
  const [cluster, workFolder] = await Promise.all([
    t.cluster(),
    mkdtemp(join(tmpdir(), 'conformance-session-operator-')),
  ]);
  await provideIngressApi(cluster, namespace);
  const fixture = new Fixture(t, target, cluster, namespace, workFolder, options);
  try {
    await fixture.open();
    const result = await act(fixture);
    return { record: await fixture.close(), result };
  } finally {
    await fixture.close();
    await rm(workFolder, { recursive: true, force: true });
  }
}

/** Starts a replica. @throws NotTestable where nothing can be said of the operator, since it does not become healthy */
export async function startHealthy(fixture: OperatorFixture, replica = 'a'): Promise<void> {
  if (await fixture.start(replica)) {
    return;
  }
  const { file, healthPath, startSeconds, start } = fixture.target;
  const exit = fixture.exitOf(replica);
  const what =
    exit === undefined
      ? `did not become healthy at \`healthPath\` ${healthPath} within ${startSeconds + START_SLACK_SECONDS} s (its last answer: ${(await fixture.health(replica)) ?? 'none'})`
      : `exited with ${exit.signal ?? `code ${exit.code}`} before it was healthy`;
  const how = 'command' in start ? `\`start.command\` ${start.command.join(' ')}` : '`start.inCluster`';
  const words = fixture.lines.slice(-5).map(({ text }) => text);
  throw new NotTestable(
    `the session operator of ${file} (${how}) ${what}: ${words.join(' / ') || 'it printed nothing'}`,
  );
}

/**
 * What has not come in its whole time is not waited for that long again: the scenario goes on, and the checks say what
 * was missing.
 */
const IMPATIENT_SECONDS = 5;

/**
 * Waits of one scenario, each so long at most; from the first one in vain on only a few seconds.
 *
 * @returns true where it held in time
 */
export function patience(fixture: OperatorFixture, seconds: number): (holds: () => boolean) => Promise<boolean> {
  let left = seconds;
  return async (holds) => {
    const held = await fixture.until(holds, left);
    if (!held) {
      left = Math.min(left, IMPATIENT_SECONDS);
    }
    return held;
  };
}

class Fixture implements OperatorFixture {
  readonly target: Target<'session-operator'>;
  readonly cluster: ClusterHandle;
  readonly namespace: string;
  readonly #t: RequirementContext;
  readonly #workFolder: string;
  readonly #options: LaunchOptions;
  readonly #heartbeat = new Heartbeat('the harness').start();
  readonly #changes = new Changes();
  readonly #record: OperatorRecord;
  readonly #view: ClusterView;
  readonly #pods: SessionPods;
  readonly #presence: Presence;
  #edge: DnsAndTunnelFake | undefined;
  #replicas: Replicas | undefined;
  #traffic: EdgeTraffic | undefined;
  #access: TargetAccess | undefined;
  #image = '';
  #closed: Promise<OperatorRecord> | undefined;

  constructor(
    t: RequirementContext,
    target: Target<'session-operator'>,
    cluster: ClusterHandle,
    namespace: string,
    workFolder: string,
    options: LaunchOptions,
  ) {
    this.#t = t;
    this.target = target;
    this.cluster = cluster;
    this.namespace = namespace;
    this.#workFolder = workFolder;
    this.#options = options;
    const record = emptyRecord(namespace, newEdgeIds(), Date.now());
    this.#record = record;
    const shared = { target, cluster, namespace, record };
    this.#view = new ClusterView({ ...shared, changes: this.#changes, signal: t.signal });
    this.#pods = new SessionPods({ ...shared, values: documentedValues(namespace, record.ids) });
    this.#presence = new Presence(record, () => this.edge.zone, target, this.#view);
  }

  get edge(): DnsAndTunnelFake {
    return existing(this.#edge, 'the edge');
  }

  get access(): TargetAccess {
    return existing(this.#access, 'the access');
  }

  get lines(): OperatorRecord['lines'] {
    return this.#record.lines;
  }

  async open(): Promise<void> {
    const { target, namespace, cluster } = this;
    const { rules } = target;
    const [access, image] = await Promise.all([
      this.#t.targetAccess({
        namespace,
        serviceAccount: SERVICE_ACCOUNT,
        rules: this.#options.rules ?? [...rules.namespaced, ...rules.undocumented],
        clusterRules: rules.cluster,
      }),
      podsRun(target) ? this.#t.image('workload') : cluster.workloadImage,
    ]);
    this.#access = access;
    this.#image = image;
    await writeFile(join(this.#workFolder, 'kubeconfig'), access.kubeConfig, { mode: 0o600 });
    await this.#openEdge(access);
    await this.#view.open();
    await createObject(cluster, middlewaresPath(namespace), {
      apiVersion: 'traefik.io/v1alpha1',
      kind: 'Middleware',
      metadata: { name: AUTHENTICATION },
      spec: { forwardAuth: { address: urlOf(AUTHENTICATION, namespace) } },
    });
    this.#traffic = await EdgeTraffic.start({
      zone: this.edge.zone,
      routes: () => this.#view.routes,
      middlewares: () => this.#view.middlewares,
      services: {
        ingress: `${INGRESS.namespace}/${INGRESS.name}`,
        router: `${namespace}/${ROUTER}`,
        signIn: target.documented.signInService,
        authentication: `${namespace}/${AUTHENTICATION}`,
      },
    });
  }

  /** Starts the edge, with what others have there, and what starts replicas that know it. */
  async #openEdge(access: TargetAccess): Promise<void> {
    const { target, namespace, cluster } = this;
    const { ids } = this.#record;
    const token = `edge-${randomBytes(24).toString('hex')}`;
    const { edge, driver, program } = await startEdge({
      t: this.#t,
      target,
      cluster,
      namespace,
      access,
      ids,
      token,
      onStart: (started) => {
        this.#edge = started;
      },
    });
    this.#record.foreign = putForeign(edge.zone);
    edge.onChange(() => this.#changes.notify());
    this.#replicas = new Replicas({
      target,
      driver,
      workFolder: this.#workFolder,
      values: {
        ...documentedValues(namespace, ids),
        'edge.token': token,
        'edge.zone': ids.zone,
        'edge.url': edge.url,
        image: cluster.workloadImage,
        'operator.main': referenceProgram(this.#t),
        'reference.program': program,
      },
      token,
      record: this.#record,
      changes: this.#changes,
      signal: this.#t.signal,
    });
  }

  get #started(): Replicas {
    return existing(this.#replicas, 'the driver');
  }

  launch(replica = 'a', without: string[] = []): Promise<StartedReplica> {
    return this.#started.launch(replica, without);
  }

  start(replica = 'a'): Promise<boolean> {
    return this.#started.start(replica);
  }

  async signal(name: 'SIGTERM' | 'SIGKILL', withinSeconds: number, replica = 'a'): Promise<OperatorExit | undefined> {
    const seen = this.#started.signal(name, replica);
    await this.until(() => seen.exit !== undefined, withinSeconds);
    return seen.exit;
  }

  exitOf(replica: string): OperatorExit | undefined {
    return this.#started.exitOf(replica);
  }

  health(replica = 'a'): Promise<number | undefined> {
    return this.#started.health(replica);
  }

  session(label: string): Session {
    return this.#pods.session(label);
  }

  begin(session: Session | string): Promise<Session> {
    return this.#pods.begin(session, this.#image);
  }

  bystander(why: string, change: (labels: Record<string, string>) => void, namespace?: string): Promise<void> {
    return this.#pods.bystander(why, change, this.#image, namespace);
  }

  async end(session: Session): Promise<void> {
    await this.#pods.deletePod(session);
    await this.#untilGone(`the pod of the session ${session.label}`, () => session.podGoneAt !== undefined);
  }

  async endClaim(session: Session): Promise<void> {
    await this.#pods.deleteClaim(session);
    await this.#untilGone(`the claim of the session ${session.label}`, () => session.claimGoneAt !== undefined);
  }

  async #untilGone(what: string, isGone: () => boolean): Promise<void> {
    if (!(await this.until(isGone, START_SLACK_SECONDS))) {
      throw new HarnessError(`${what} is not gone ${START_SLACK_SECONDS} s after its deletion`);
    }
  }

  isComplete(session: Session): boolean {
    return this.#presence.isComplete(session);
  }

  isRouted(session: Session): boolean {
    return this.#presence.isRouted(session);
  }

  isGone(session: Session): boolean {
    return this.#presence.isGone(session);
  }

  async until(holds: () => boolean, deadlineSeconds: number): Promise<boolean> {
    const held = await this.#changes.until(() => holds() || undefined, deadlineSeconds, this.#t.signal);
    return held === true;
  }

  async watchFor(seconds: number): Promise<void> {
    await this.until(() => false, seconds);
  }

  mark(name: string): void {
    this.#record.marks.push({ name, at: Date.now() });
  }

  seed(record: DnsRecordInput): void {
    this.#record.foreign.records.push(this.edge.zone.seed(record));
  }

  reconfigure(change: (tunnel: TunnelConfiguration) => void): void {
    const { zone } = this.edge;
    const tunnel = zone.configuration();
    change(tunnel);
    zone.configure(tunnel);
    this.#record.reconfigured.push({ at: Date.now(), tunnel });
  }

  async ask(
    session: Session,
    path: string,
    { signedIn, label, host = session.host }: { signedIn: boolean; label: string; host?: string },
  ): Promise<Arrival> {
    const arrival = await existing(this.#traffic, 'the traffic').request(host, path, { signedIn });
    this.#record.arrivals.push({ label, session: session.label, path, signedIn, arrival });
    return arrival;
  }

  /** Ends everything; may be called again. */
  close(): Promise<OperatorRecord> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<OperatorRecord> {
    const record = this.#record;
    record.endedAt = Date.now();
    const edge = this.#edge;
    if (edge !== undefined) {
      record.changes = [...edge.zone.changes];
      record.edgeRequests = [...edge.requests];
      record.records = edge.zone.records();
      record.tunnel = edge.zone.configuration();
    }
    // What it does from here on is the harness's doing.
    record.lines = [...record.lines];
    record.routes = [...record.routes];
    record.stalls = this.#heartbeat.stalls();
    await this.#replicas?.stop();
    record.apiRequests = (await this.#access?.records()) ?? [];
    await this.#access?.close();
    await this.#view.close();
    await Promise.all([this.#edge?.close(), this.#traffic?.close()]);
    this.#heartbeat.stop();
    return record;
  }
}

function existing<T>(value: T | undefined, what: string): T {
  if (value === undefined) {
    throw new HarnessError(`${what} of the session operator's fixture is not there yet`);
  }
  return value;
}
