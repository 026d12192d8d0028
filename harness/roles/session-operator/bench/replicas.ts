import { mkdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Changes } from '../../../core/changes.ts';
import { HarnessError } from '../../../core/errors.ts';
import type { Values } from '../../../core/placeholders.ts';
import type { Target } from '../../../targets/load.ts';
import type { OperatorExit, SessionOperatorDriver, StartedReplica } from '../driver.ts';
import type { OperatorRecord, ReplicaRecord } from '../record.ts';

/** Beyond the time that a target documents for its start: a small machine is shared by many. */
export const START_SLACK_SECONDS = 30;

/** Health cannot be watched: it is asked as a kubelet asks it, more often. */
const HEALTH_EVERY_MS = 100;

export interface ReplicasOptions {
  target: Target<'session-operator'>;
  driver: SessionOperatorDriver;
  /** Holds the kubeconfig, and a folder for each replica. */
  workFolder: string;
  /** What placeholders stand for, whichever replica it is. */
  values: Values;
  /** The credential of the edge: it stands in no output that is kept. */
  token: string;
  /** Is filled in. */
  record: OperatorRecord;
  changes: Changes;
  signal: AbortSignal;
}

/** The operator's replicas: how they are started, asked and ended. */
export class Replicas {
  readonly #options: ReplicasOptions;
  readonly #running = new Map<string, StartedReplica>();

  constructor(options: ReplicasOptions) {
    this.#options = options;
  }

  /** Starts one and does not wait. @param without variables that it is started without */
  async launch(replica: string, without: string[] = []): Promise<StartedReplica> {
    const { target, driver, workFolder: folder, values, token, record, changes } = this.#options;
    const healthPort = 'inCluster' in target.start ? target.start.healthPort : await freePort();
    const workFolder = join(folder, replica);
    await mkdir(workFolder, { recursive: true });
    const seen: ReplicaRecord = { replica, startedAt: Date.now() };
    record.replicas.push(seen);
    const started = await driver.start({
      replica,
      values: { ...values, 'health.port': String(healthPort), replica },
      without,
      kubeconfig: join(folder, 'kubeconfig'),
      healthPort,
      workFolder,
      onLine: (text) => {
        record.lines.push({ at: Date.now(), replica, text: text.replaceAll(token, '<token>') });
        changes.notify();
      },
    });
    this.#running.set(replica, started);
    void started.exited.then((exit) => {
      seen.exit = exit;
      changes.notify();
    });
    return started;
  }

  /** Starts one, and waits until it is healthy; false: it is not, in time, or has exited. */
  async start(replica: string): Promise<boolean> {
    const { target, signal } = this.#options;
    const started = await this.launch(replica);
    const seen = this.#recordOf(replica);
    const deadline = Date.now() + (target.startSeconds + START_SLACK_SECONDS) * 1000;
    while (Date.now() < deadline && seen.exit === undefined) {
      if ((await started.health()) === 200) {
        seen.healthyAt = Date.now();
        return true;
      }
      await delay(HEALTH_EVERY_MS, undefined, { signal });
    }
    return false;
  }

  /** Sends a signal to one. @returns what was recorded of it */
  signal(name: 'SIGTERM' | 'SIGKILL', replica: string): ReplicaRecord {
    const seen = this.#recordOf(replica);
    seen.signalledAt = Date.now();
    this.#startedOf(replica).signal(name);
    return seen;
  }

  exitOf(replica: string): OperatorExit | undefined {
    return this.#options.record.replicas.findLast((one) => one.replica === replica)?.exit;
  }

  health(replica: string): Promise<number | undefined> {
    return this.#startedOf(replica).health();
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#running.values()].map((replica) => replica.stop()));
  }

  #recordOf(replica: string): ReplicaRecord {
    const seen = this.#options.record.replicas.findLast((one) => one.replica === replica);
    if (seen === undefined) {
      throw new HarnessError(`the replica ${replica} of the session operator was not started`);
    }
    return seen;
  }

  #startedOf(replica: string): StartedReplica {
    const started = this.#running.get(replica);
    if (started === undefined) {
      throw new HarnessError(`the replica ${replica} of the session operator was not started`);
    }
    return started;
  }
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
