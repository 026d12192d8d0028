import type { Stall } from '../../../fixtures/workloads/lib/heartbeat.ts';
import type { ObserverRecord } from '../../../fixtures/workloads/observer/records.ts';
import type { Act } from '../../../fixtures/workloads/observer/simulated.ts';
import type { RemainingFile } from '../../../fixtures/workloads/token-probe/files.ts';
import type { Listener } from '../../../fixtures/workloads/token-probe/listeners.ts';
import type { FileObservations } from '../../../fixtures/workloads/token-probe/probe.ts';
import type { SimulatedSetup } from '../../fakes/simulated-providers.ts';
import type { ClientCapability } from '../../role-data/token-client/target-file.ts';
import type { Call, Configurable, ProcessIdentity, SessionProvider, TokenRequestDialect } from './record.ts';

/** How a call ended. */
export interface CallAnswer extends Pick<Call, 'ok' | 'status' | 'error'> {
  /** All that the process of a call that failed wrote, where it is one of its own; not kept. */
  output?: string;
}

/** How a session reaches the client and those who watch it. */
export interface SessionDriver {
  providers: SessionProvider[];
  latePath: string;
  capabilities: ClientCapability[];
  configurable: Configurable;
  tokenRequest?: TokenRequestDialect;
  simulated: SimulatedSetup[];
  timeLimitMs: number;
  defaultLifeSeconds?: number;
  reloadSeconds?: number;
  /** Every call starts the client anew, which takes its time: few are made, with more patience. */
  startsForEachCall?: true;
  /** Lets the client make one call; resolves to `undefined` when it has not answered within `patienceMs`. */
  call(provider: string, patienceMs: number): Promise<CallAnswer | undefined>;
  observations(): Promise<FileObservations[]>;
  records(): Promise<ObserverRecord[]>;
  /** Lets the next token request to a provider be refused, with an error that repeats the request. */
  refuseNext(provider: string): Promise<void>;
  /** Tells a simulated provider how to behave from now on, and how long its access tokens live where that changes. */
  act(provider: string, act: Act, lifeSeconds?: number): Promise<void>;
  /** Puts a copy of a file where the client runs in place. */
  copy(from: string, to: string): Promise<void>;
  /** The same with white space around what the file holds. */
  pad(from: string, to: string): Promise<void>;
  /** Puts a symlink to a file where the client runs in place. */
  link(from: string, to: string): Promise<void>;
  /** The same of a copy as the kubelet does it: by the swap of a symlink behind the path. */
  project(from: string, to: string): Promise<void>;
  /** Files in the folders that the client may write to. */
  remaining?(): Promise<RemainingFile[]>;
  /** Ports that were listened on where the client runs. */
  listeners?(): Promise<Listener[] | undefined>;
  /** The process as it is reported now. */
  identity(): Promise<ProcessIdentity>;
  /**
   * The process once a restart since `known` would have been reported: waits for that, for a bounded time, where those
   * who report it are late (the kubelet). A status that is read once, right after the event, shows the process from
   * before.
   */
  identityAfter(known: ProcessIdentity): Promise<ProcessIdentity>;
  /**
   * Asks a client that is one process for all calls to end, by SIGTERM, and waits until it has: what it writes then
   * counts as well. Absent where nobody can ask it. Nothing but {@link output} and {@link remaining} comes after it.
   */
  finish?(): Promise<void>;
  /** All that the client wrote since it started, not kept, and of how many of its processes that is gone. */
  output(): Promise<{ text: string; lost?: number }>;
  /** Secrets that the client's pod is given, with where. */
  secrets(): Promise<string[]>;
  /**
   * Milliseconds by which the clock of those who watch the client is ahead of the harness's; absent where it is the
   * same one.
   */
  clockAheadMs?(): Promise<number>;
  /** Where those who watch the client stalled. */
  stalls(): Promise<Stall[]>;
  /**
   * Goes the way to the client and back without asking it anything; absent where there is no such way (a child
   * process).
   */
  pulse?(): Promise<void>;
  /** Waits until the next call is due. */
  until(instant: Date): Promise<void>;
  progress(message: string): void;
}
