/**
 * What the harness and a session manager under test say to each other, in neutral words. A driver translates them into
 * the manager's own protocol; it evaluates nothing, hides nothing and repeats nothing.
 */

import { cutMiddle } from '../../core/quotation.ts';
import type { OperationName } from '../../role-data/session-manager/target-file.ts';

/** A pod as a caller asks for it. What a manager cannot be told is left out by its target file. */
export interface PodInput {
  name: string;
  namespace: string;
  image: string;
  command?: string[];
  args?: string[];
  env?: Record<string, string>;
  /** Variables whose values are secret. */
  secretEnv?: Record<string, string>;
  labels?: Record<string, string>;
  mountPath?: string;
  hostPath?: string;
  serviceAccount?: string;
}

/** The input of each operation, by the names of its placeholders. */
export interface Inputs {
  getConfiguration: Record<string, never>;
  configure: { enabled: boolean; namespace: string; kubeconfig?: string };
  testConnection: { namespace: string };
  createPod: Partial<PodInput>;
  getPod: { name: string; namespace: string };
  listPods: { namespace: string; labelSelector?: string };
  deletePod: { name: string; namespace: string };
  readLogs: { name: string; namespace: string; tailLines?: number };
  exec: { name: string; namespace: string; command: string[]; stdin?: string; timeoutSeconds?: number };
  cleanUp: { namespace: string; maxAgeMs: number };
  createService: {
    name: string;
    namespace: string;
    selector?: Record<string, string>;
    ports?: { port: number; targetPort?: number }[];
    type?: string;
  };
  getService: { name: string; namespace: string };
  listServices: { namespace: string };
  deleteService: { name: string; namespace: string };
}

/** What was read from an answer: see `OPERATIONS` for the keys. A list has `items`, each with the other keys. */
export type Value = Record<string, unknown> & { items?: Record<string, unknown>[] };

/** One call and what came of it, as plain data. Times in milliseconds since the epoch. */
export interface Call<Name extends OperationName = OperationName> {
  operation: Name;
  input: Inputs[Name];
  at: number;
  endedAt: number;
  /** Status of the answer; absent where there was none. */
  status?: number;
  /** The answer's text, cut to what a person reads. */
  text: string;
  /** What the target file reads from a success. */
  value?: Value;
  /** Why a success could not be read: it names the field of the target file. */
  unreadable?: string;
  /** What an error may come of that is the target file's: it names the field. */
  hint?: string;
  /** Why there was no answer: refused, cut, endless, too late. */
  silence?: string;
  /** The answer did not come in time, for which the machine may be to blame. */
  late?: true;
  /** The manager's process ended during the call: how. */
  died?: string;
  /** The end of what that process wrote, in lines. */
  lastOutput?: string[];
}

export interface CallOptions {
  /** Without what an authenticated caller sends. */
  anonymous?: boolean;
  /** The caller goes away when it is aborted. */
  signal?: AbortSignal;
  /** Longest time of this answer, instead of the target file's. */
  timeoutSeconds?: number;
}

/** A way to call a manager, wherever it runs. */
export interface SessionManagerClient {
  call<Name extends OperationName>(name: Name, input: Inputs[Name], options?: CallOptions): Promise<Call<Name>>;
  /** Undefined when `start.ready` answers 2xx; else what it did. */
  whyNotReady(): Promise<string | undefined>;
}

/** True for an answer that says that it was done. */
export function isSuccess({ status, unreadable, value }: Call): boolean {
  return (
    status !== undefined && status >= 200 && status < 300 && unreadable === undefined && value?.succeeded !== false
  );
}

/** True for an answer that says that it was not done; no answer at all is neither. */
export function isRefusal(call: Call): boolean {
  return call.status !== undefined && (call.status >= 400 || call.value?.succeeded === false);
}

/** Headers of the API server's answer, as its JavaScript client words an error: they say nothing of the cause. */
const HEADERS = /(?:\\n)?\s*\bHeaders: \{[^{}]*\}?/g;

/** Characters of an answer, and of a command, in a reason. */
const ANSWER = 300;
const COMMAND = 160;

/** A call and its answer in one line, for reasons and evidence: `exec agent ["true"] → 200 {…}`. */
export function describeCall({ operation, input, status, text, unreadable, hint, silence, died }: Call): string {
  const { name, command } = input as { name?: string; command?: unknown };
  const asked = [
    operation,
    ...(name === undefined ? [] : [name]),
    ...(operation === 'exec' && command !== undefined ? [cutMiddle(JSON.stringify(command), COMMAND)] : []),
  ];
  const answer =
    silence === undefined ? `${status} ${cutMiddle(text.replace(HEADERS, ''), ANSWER)}` : `no answer (${silence})`;
  return [`${asked.join(' ')} → ${answer}`, unreadable, hint, died].filter((part) => part !== undefined).join('; ');
}
