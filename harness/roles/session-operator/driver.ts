/**
 * What the harness needs of a session operator: that it runs, and how it ends. Its stimulus is pods and its effect is
 * at the edge: a driver starts it, and translates nothing.
 */

import type { Values } from '../../core/placeholders.ts';

export interface OperatorExit {
  /** Milliseconds since the epoch. */
  at: number;
  code: number | null;
  signal: string | null;
}

export interface ReplicaOptions {
  /** Tells it from other replicas; the same again after a restart. */
  replica: string;
  /** What the target file's placeholders stand for. */
  values: Values;
  /** Variables that it is started without. */
  without: string[];
  /** Path of a kubeconfig with the operator's documented rights and no others. */
  kubeconfig: string;
  /** Where its health is asked. */
  healthPort: number;
  /** A folder of its own. */
  workFolder: string;
  /** A line of its output, stderr too. */
  onLine: (line: string) => void;
}

/** One replica that was started. */
export interface StartedReplica {
  readonly exited: Promise<OperatorExit>;
  /** HTTP status of its health; undefined where nothing answers. */
  health(): Promise<number | undefined>;
  /** To the process alone, as a kubelet does. */
  signal(name: 'SIGTERM' | 'SIGKILL'): void;
  /** Ends it and all that it started. May be called again, and after its exit. */
  stop(): Promise<void>;
}

export interface SessionOperatorDriver {
  start(options: ReplicaOptions): Promise<StartedReplica>;
}
