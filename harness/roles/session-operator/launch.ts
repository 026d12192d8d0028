import { randomBytes, randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { KubernetesObject, V1Pod } from '@kubernetes/client-node';
import { Heartbeat } from '../../../fixtures/workloads/lib/heartbeat.ts';
import { bundleWorkload } from '../../core/bundle.ts';
import { Changes } from '../../core/changes.ts';
import { HarnessError, NotTestable } from '../../core/errors.ts';
import { fill, type Values } from '../../core/placeholders.ts';
import type { PolicyRule } from '../../core/policy-rule.ts';
import { DnsAndTunnelFake } from '../../fakes/dns-and-tunnel/server.ts';
import type { DnsRecordInput, EdgeIds, TunnelConfiguration } from '../../fakes/dns-and-tunnel/zone.ts';
import {
  type Arrival,
  EdgeTraffic,
  type IngressRoute,
  type Middleware,
} from '../../fakes/edge-traffic/edge-traffic.ts';
import type { ClusterHandle } from '../../kubernetes/cluster-handle.ts';
import { Recorder } from '../../kubernetes/recorder.ts';
import { suitedPod } from '../../kubernetes/suited-pods.ts';
import { podSpec } from '../../probes/pods.ts';
import type { RequirementContext, TargetAccess } from '../../rpc/context.ts';
import type { Target } from '../../targets/load.ts';
import type { OperatorExit, SessionOperatorDriver, StartedReplica } from './driver.ts';
import { API_HOST, inClusterDriver, provideEdge } from './drivers/in-cluster.ts';
import { processDriver } from './drivers/process.ts';
import { ingressRoutesPath, middlewaresPath, provideIngressApi } from './ingress-api.ts';
import type { OperatorRecord, ReplicaRecord, Session } from './record.ts';
import { referenceProgram, sessionOperatorTarget } from './target.ts';

/** Name of the ServiceAccount that the operator's kubeconfig is for. */
const SERVICE_ACCOUNT = 'session-operator';

/** Beyond the time that a target documents for its start: a small machine is shared by many. */
const START_SLACK_SECONDS = 30;

/** Health cannot be watched: it is asked as a kubelet asks it, more often. */
const HEALTH_EVERY_MS = 100;

/** Reserved for examples (RFC 2606). */
const DOMAIN = 'conformance.example';

/** Names of the Services on the way of a request; nothing of that name exists in the cluster. */
const INGRESS = { namespace: 'kube-system', name: 'traefik' };
const ROUTER = 'session-router';
const AUTHENTICATION = 'session-authentication';

/** No pod with it is ever scheduled: it is there, and costs nothing. */
const SCHEDULING_GATE = 'conformance.test/never-scheduled';

/** More than one page of the API's. */
const FOREIGN_RECORDS = 110;

export interface LaunchOptions {
  /** Part of the namespace's name, and of nothing else. */
  purpose: string;
  /** Instead of the documented rights. */
  rules?: PolicyRule[];
}

/** A session operator under observation: replicas, sessions, the edge. */
export interface OperatorBench {
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
  act: (bench: OperatorBench) => Promise<R>,
): Promise<Launched<R>> {
  return t.withNamespace(`operator ${options.purpose}`, 'restricted', (namespace) =>
    launch(t, namespace, options, act),
  );
}

async function launch<R>(
  t: RequirementContext,
  namespace: string,
  options: LaunchOptions,
  act: (bench: OperatorBench) => Promise<R>,
): Promise<Launched<R>> {
  const target = sessionOperatorTarget(t);
  const [cluster, workFolder] = await Promise.all([
    t.cluster(),
    mkdtemp(join(tmpdir(), 'conformance-session-operator-')),
  ]);
  await provideIngressApi(cluster, namespace);
  const bench = new Bench(t, target, cluster, namespace, workFolder, options);
  try {
    await bench.open();
    const result = await act(bench);
    return { record: await bench.close(), result };
  } finally {
    await bench.close();
    await rm(workFolder, { recursive: true, force: true });
  }
}

/** Starts a replica. @throws NotTestable where nothing can be said of the operator, since it does not become healthy */
export async function startHealthy(bench: OperatorBench, replica = 'a'): Promise<void> {
  if (await bench.start(replica)) {
    return;
  }
  const { file, healthPath, startSeconds, start } = bench.target;
  const exit = bench.exitOf(replica);
  const what =
    exit === undefined
      ? `did not become healthy at \`healthPath\` ${healthPath} within ${startSeconds + START_SLACK_SECONDS} s (its last answer: ${(await bench.health(replica)) ?? 'none'})`
      : `exited with ${exit.signal ?? `code ${exit.code}`} before it was healthy`;
  const how = 'command' in start ? `\`start.command\` ${start.command.join(' ')}` : '`start.inCluster`';
  const words = bench.lines.slice(-5).map(({ text }) => text);
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
export function patience(bench: OperatorBench, seconds: number): (holds: () => boolean) => Promise<boolean> {
  let left = seconds;
  return async (holds) => {
    const held = await bench.until(holds, left);
    if (!held) {
      left = Math.min(left, IMPATIENT_SECONDS);
    }
    return held;
  };
}

class Bench implements OperatorBench {
  readonly target: Target<'session-operator'>;
  readonly cluster: ClusterHandle;
  readonly namespace: string;
  readonly #t: RequirementContext;
  readonly #workFolder: string;
  readonly #options: LaunchOptions;
  readonly #heartbeat = new Heartbeat('the harness').start();
  readonly #changes = new Changes();
  readonly #recorders: Recorder<KubernetesObject>[] = [];
  readonly #routes = new Map<string, IngressRoute>();
  readonly #middlewares = new Map<string, Middleware>();
  readonly #running = new Map<string, StartedReplica>();
  readonly #record: OperatorRecord;
  #edge: DnsAndTunnelFake | undefined;
  #driver: SessionOperatorDriver | undefined;
  #program = '';
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
    const ids: EdgeIds = {
      zone: randomBytes(16).toString('hex'),
      account: randomBytes(16).toString('hex'),
      tunnel: randomUUID(),
      domain: DOMAIN,
    };
    this.#record = {
      namespace,
      startedAt: Date.now(),
      endedAt: 0,
      replicas: [],
      sessions: [],
      bystanders: [],
      marks: [],
      lines: [],
      ids,
      foreign: { records: [], tunnel: { ingress: [] } },
      reconfigured: [],
      changes: [],
      edgeRequests: [],
      records: [],
      tunnel: { ingress: [] },
      routes: [],
      apiRequests: [],
      arrivals: [],
      stalls: [],
    };
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
    const { target, namespace } = this;
    const { rules } = target;
    const [access, image] = await Promise.all([
      this.#t.targetAccess({
        namespace,
        serviceAccount: SERVICE_ACCOUNT,
        rules: this.#options.rules ?? [...rules.namespaced, ...rules.undocumented],
        clusterRules: rules.cluster,
      }),
      this.#podsRun ? this.#t.image('workload') : this.cluster.workloadImage,
    ]);
    this.#access = access;
    const token = `edge-${randomBytes(24).toString('hex')}`;
    const edge = 'inCluster' in target.start ? await this.#startInCluster(token) : await this.#startForProcess(token);
    this.#image = image;
    await writeFile(join(this.#workFolder, 'kubeconfig'), access.kubeConfig, { mode: 0o600 });
    this.#putForeign();
    edge.onChange(() => this.#changes.notify());
    await this.#watch<IngressRoute & KubernetesObject>(ingressRoutesPath(namespace), (type, route, at) => {
      const { managedFields: _, ...metadata } = route.metadata as KubernetesObject['metadata'] & { name: string };
      const plain = { ...route, metadata: { ...metadata, namespace } } as IngressRoute;
      this.#record.routes.push({ at, type, route: plain });
      if (type === 'DELETED') {
        this.#routes.delete(plain.metadata.name);
      } else {
        this.#routes.set(plain.metadata.name, plain);
      }
    });
    await this.#watch<Middleware & KubernetesObject>(middlewaresPath(namespace), (type, middleware) => {
      if (type === 'DELETED') {
        this.#middlewares.delete(middleware.metadata.name);
      } else {
        this.#middlewares.set(middleware.metadata.name, middleware);
      }
    });
    await this.#watch<V1Pod>(`/api/v1/namespaces/${namespace}/pods`, (type, pod, at) => {
      const session = this.#record.sessions.find(({ hash }) => pod.metadata?.name === podName(hash));
      if (type === 'DELETED' && session !== undefined) {
        session.podGoneAt = at;
      }
    });
    if (target.sessions.claimLabels !== undefined) {
      await this.#watch(`/api/v1/namespaces/${namespace}/persistentvolumeclaims`, (type, claim, at) => {
        const session = this.#record.sessions.find(({ hash }) => claim.metadata?.name === podName(hash));
        if (type === 'DELETED' && session !== undefined) {
          session.claimGoneAt = at;
        }
      });
    }
    await this.#create(middlewaresPath(namespace), {
      apiVersion: 'traefik.io/v1alpha1',
      kind: 'Middleware',
      metadata: { name: AUTHENTICATION },
      spec: { forwardAuth: { address: urlOf(AUTHENTICATION, namespace) } },
    });
    this.#traffic = await EdgeTraffic.start({
      zone: edge.zone,
      routes: () => [...this.#routes.values()],
      middlewares: () => [...this.#middlewares.values()],
      services: {
        ingress: `${INGRESS.namespace}/${INGRESS.name}`,
        router: `${namespace}/${ROUTER}`,
        signIn: target.documented.signInService,
        authentication: `${namespace}/${AUTHENTICATION}`,
      },
    });
  }

  async #startForProcess(token: string): Promise<DnsAndTunnelFake> {
    const edge = await DnsAndTunnelFake.start({ ids: this.#record.ids, token });
    this.#edge = edge;
    this.#driver = processDriver(this.target, edge.url);
    return edge;
  }

  async #startInCluster(token: string): Promise<DnsAndTunnelFake> {
    const { target, cluster, namespace, access } = this;
    const { ids } = this.#record;
    const host = access.inCluster?.KUBERNETES_SERVICE_HOST;
    const { cert, key, ca } = await this.#t.certificate(API_HOST);
    this.#program = await bundleWorkload('session-operator');
    const edge = await DnsAndTunnelFake.start({
      ids,
      token,
      tls: { cert, key },
      ...(host === undefined ? {} : { host }),
    });
    this.#edge = edge;
    const edgeAddress =
      host === undefined
        ? ''
        : await provideEdge(cluster, namespace, { host, port: Number(new URL(edge.url).port), ca });
    this.#driver = inClusterDriver({ target, cluster, namespace, access, edgeAddress });
    return edge;
  }

  /** What others have at the edge: an operator that is alone there is nowhere. */
  #putForeign(): void {
    const { zone } = this.edge;
    for (let index = 0; index < FOREIGN_RECORDS; index += 1) {
      zone.seed({
        type: 'CNAME',
        name: `host-${index}`,
        content: 'elsewhere.example.net',
        comment: 'of somebody else',
      });
    }
    zone.configure({
      ingress: [
        {
          hostname: `www.${DOMAIN}`,
          path: '^/static/',
          service: 'http://www.web.svc.cluster.local',
          originRequest: { noTLSVerify: true, httpHostHeader: 'www.internal.example' },
        },
        { hostname: `api.${DOMAIN}`, service: 'http://api.web.svc.cluster.local' },
        { service: 'http_status:404' },
      ],
      originRequest: { connectTimeout: 10 },
      'warp-routing': { enabled: true },
    });
    this.#record.foreign = { records: zone.records(), tunnel: zone.configuration() };
  }

  async #watch<T extends KubernetesObject>(
    path: string,
    onEvent: (type: 'ADDED' | 'MODIFIED' | 'DELETED', object: T, at: number) => void,
  ): Promise<void> {
    const recorder = await Recorder.open<T>(this.cluster, path, {
      signal: this.#t.signal,
      onEvent: ({ type, object, at }) => {
        onEvent(type, object, at.getTime());
        this.#changes.notify();
      },
    });
    this.#recorders.push(recorder as unknown as Recorder<KubernetesObject>);
  }

  async #create(path: string, object: object): Promise<void> {
    const response = await this.cluster.request(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(object),
    });
    const answer = await response.text();
    if (response.status !== 201) {
      throw new HarnessError(`POST ${path} of the harness was answered ${response.status}: ${answer.slice(0, 300)}`);
    }
  }

  async #delete(path: string): Promise<void> {
    const response = await this.cluster.request(path, { method: 'DELETE' });
    const answer = await response.text();
    if (response.status !== 200 && response.status !== 202) {
      throw new HarnessError(`DELETE ${path} of the harness was answered ${response.status}: ${answer.slice(0, 300)}`);
    }
  }

  get #podsRun(): boolean {
    return this.target.sessions.pods === 'ready';
  }

  #values(replica: string, healthPort: number): Values {
    const { ids } = this.#record;
    return {
      ...this.#documentedValues(),
      'edge.token': this.edge.token,
      'edge.zone': ids.zone,
      'edge.url': this.edge.url,
      'health.port': String(healthPort),
      replica,
      image: this.cluster.workloadImage,
      'operator.main': referenceProgram(this.#t),
      'reference.program': this.#program,
    };
  }

  #documentedValues(): Values {
    const { ids } = this.#record;
    return {
      namespace: this.namespace,
      'edge.tunnel': ids.tunnel,
      'edge.domain': ids.domain,
      'ingress.url': urlOf(INGRESS.name, INGRESS.namespace),
      'router.url': `${urlOf(ROUTER, this.namespace)}:80`,
      'router.service': ROUTER,
      middleware: AUTHENTICATION,
    };
  }

  async launch(replica = 'a', without: string[] = []): Promise<StartedReplica> {
    const { target } = this;
    const healthPort = 'inCluster' in target.start ? target.start.healthPort : await freePort();
    const workFolder = join(this.#workFolder, replica);
    await mkdir(workFolder, { recursive: true });
    const seen: ReplicaRecord = { replica, startedAt: Date.now() };
    this.#record.replicas.push(seen);
    const started = await existing(this.#driver, 'the driver').start({
      replica,
      values: this.#values(replica, healthPort),
      without,
      kubeconfig: join(this.#workFolder, 'kubeconfig'),
      healthPort,
      workFolder,
      onLine: (text) => {
        this.#record.lines.push({ at: Date.now(), replica, text: text.replaceAll(this.edge.token, '<token>') });
        this.#changes.notify();
      },
    });
    this.#running.set(replica, started);
    void started.exited.then((exit) => {
      seen.exit = exit;
      this.#changes.notify();
    });
    return started;
  }

  async start(replica = 'a'): Promise<boolean> {
    const started = await this.launch(replica);
    const seen = existing(this.#record.replicas.at(-1), 'the replica');
    const deadline = Date.now() + (this.target.startSeconds + START_SLACK_SECONDS) * 1000;
    while (Date.now() < deadline && seen.exit === undefined) {
      if ((await started.health()) === 200) {
        seen.healthyAt = Date.now();
        return true;
      }
      await delay(HEALTH_EVERY_MS, undefined, { signal: this.#t.signal });
    }
    return false;
  }

  async signal(name: 'SIGTERM' | 'SIGKILL', withinSeconds: number, replica = 'a'): Promise<OperatorExit | undefined> {
    const started = existing(this.#running.get(replica), `the replica ${replica}`);
    const seen = existing(
      this.#record.replicas.findLast((one) => one.replica === replica),
      `the replica ${replica}`,
    );
    seen.signalledAt = Date.now();
    started.signal(name);
    await this.until(() => seen.exit !== undefined, withinSeconds);
    return seen.exit;
  }

  exitOf(replica: string): OperatorExit | undefined {
    return this.#record.replicas.findLast((one) => one.replica === replica)?.exit;
  }

  health(replica = 'a'): Promise<number | undefined> {
    return existing(this.#running.get(replica), `the replica ${replica}`).health();
  }

  session(label: string): Session {
    const hash = randomBytes(6).toString('hex');
    const values = { ...this.#documentedValues(), 'session.hash': hash };
    const host = String(fill(this.target.documented.host, values, `${this.target.file}: documented.host`));
    const documented = fill(
      this.target.documented,
      { ...values, 'session.host': host },
      `${this.target.file}: documented`,
    );
    const session = { label, hash, host, documented, begunAt: 0 };
    this.#record.sessions.push(session);
    return session;
  }

  async begin(given: Session | string): Promise<Session> {
    const session = typeof given === 'string' ? this.session(given) : given;
    const { claimLabels } = this.target.sessions;
    if (claimLabels !== undefined) {
      await this.#create(`/api/v1/namespaces/${this.namespace}/persistentvolumeclaims`, {
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        metadata: {
          name: podName(session.hash),
          labels: this.#labels(session.hash, claimLabels, 'sessions.claimLabels'),
        },
        spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Mi' } } },
      });
    }
    await this.#createPod(session.hash, this.#labels(session.hash));
    session.begunAt = Date.now();
    return session;
  }

  #labels(hash: string, labels = this.target.sessions.labels, where = 'sessions.labels'): Record<string, string> {
    return fill(labels, { namespace: this.namespace, 'session.hash': hash }, `${this.target.file}: ${where}`);
  }

  async #createPod(hash: string, labels: Record<string, string>, namespace = this.namespace): Promise<void> {
    const spec = podSpec(this.#image, 'default', {
      name: 'session',
      command: ['sh', '-c', 'trap "exit 0" TERM; while :; do sleep 1; done'],
    });
    const pod = await suitedPod(this.cluster.core, namespace, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: podName(hash), labels },
      spec: {
        ...spec,
        automountServiceAccountToken: false,
        ...(this.#podsRun ? {} : { schedulingGates: [{ name: SCHEDULING_GATE }] }),
      },
    });
    await this.#create(`/api/v1/namespaces/${namespace}/pods`, pod);
  }

  async bystander(
    why: string,
    change: (labels: Record<string, string>) => void,
    namespace = this.namespace,
  ): Promise<void> {
    const hash = randomBytes(6).toString('hex');
    const labels = this.#labels(hash);
    change(labels);
    this.#record.bystanders.push({ why, hash });
    await this.#createPod(hash, labels, namespace);
  }

  async end(session: Session): Promise<void> {
    await this.#delete(`/api/v1/namespaces/${this.namespace}/pods/${podName(session.hash)}`);
    if (!(await this.until(() => session.podGoneAt !== undefined, START_SLACK_SECONDS))) {
      throw new HarnessError(
        `the pod of the session ${session.label} is not gone ${START_SLACK_SECONDS} s after its deletion`,
      );
    }
  }

  async endClaim(session: Session): Promise<void> {
    await this.#delete(`/api/v1/namespaces/${this.namespace}/persistentvolumeclaims/${podName(session.hash)}`);
    if (!(await this.until(() => session.claimGoneAt !== undefined, START_SLACK_SECONDS))) {
      throw new HarnessError(
        `the claim of the session ${session.label} is not gone ${START_SLACK_SECONDS} s after its deletion`,
      );
    }
  }

  /** How many records, rules and routes of a session there are now. */
  #present({ hash }: Session): { records: number; rules: number; routes: number } {
    const { zone } = this.edge;
    const theirs = new Set(this.#record.foreign.records.map(({ id }) => id));
    const routes = [...this.#routes.values()];
    return {
      records: zone.records().filter(({ id, name }) => name.includes(hash) && !theirs.has(id)).length,
      rules: zone.rules().filter(({ hostname = '' }) => hostname.includes(hash)).length,
      routes: routes.filter(({ metadata, spec }) => JSON.stringify([metadata.name, spec]).includes(hash)).length,
    };
  }

  isComplete(session: Session): boolean {
    return this.#present(session).records >= 1 && this.isRouted(session);
  }

  isRouted(session: Session): boolean {
    const { rules, routes } = this.#present(session);
    return rules >= 1 && routes >= this.target.documented.routes.length;
  }

  isGone(session: Session): boolean {
    const { records, rules, routes } = this.#present(session);
    const stays =
      this.target.documented.recordRemovedWith === 'claim' &&
      this.target.sessions.claimLabels !== undefined &&
      session.claimGoneAt === undefined;
    return (stays || records === 0) && rules === 0 && routes === 0;
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
    await Promise.all([...this.#running.values()].map((replica) => replica.stop()));
    record.apiRequests = (await this.#access?.records()) ?? [];
    await this.#access?.close();
    await Promise.all(this.#recorders.map((recorder) => recorder.close()));
    await Promise.all([this.#edge?.close(), this.#traffic?.close()]);
    this.#heartbeat.stop();
    return record;
  }
}

function existing<T>(value: T | undefined, what: string): T {
  if (value === undefined) {
    throw new HarnessError(`${what} of the session operator's bench is not there yet`);
  }
  return value;
}

function podName(hash: string): string {
  return `session-${hash}`;
}

function urlOf(service: string, namespace: string): string {
  return `http://${service}.${namespace}.svc.cluster.local`;
}

/** A TCP port of loopback that is free now. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') {
    throw new HarnessError('this host gave no port');
  }
  return address.port;
}
