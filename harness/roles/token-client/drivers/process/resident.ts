import { setTimeout as delay } from 'node:timers/promises';
import { Agent, fetch } from 'undici';
import { describeError } from '../../../../core/errors.ts';
import type { Values } from '../../../../core/placeholders.ts';
import type { CallAnswer } from '../../driver.ts';
import type { ProcessIdentity } from '../../record.ts';
import { beginningOf, callByRequest, type SendRequest, type WrittenCall } from '../http-call.ts';
import { describeEnd, endOfOutput, type RunningCommand, startCommand } from './run.ts';

/** A client that is one process of this host for all its calls. */
export interface ResidentClient {
  /** Lets it make one call; resolves to `undefined` when it has not answered within `patienceMs`. */
  call(values: Values, patienceMs: number): Promise<CallAnswer | undefined>;
  identity(): ProcessIdentity;
  /** The same once an end of it that is under way would be known: waits up to {@link EXIT_MS} for that. */
  settledIdentity(): Promise<ProcessIdentity>;
  /** Ends it, and all that it started. */
  end(): Promise<void>;
}

/**
 * From a process's last answer, or the loss of its connections, to the notice of its end: it may have to write its
 * reason first.
 */
const EXIT_MS = 2_000;

/** How it is started, and how it is called then. */
interface ResidentSettings {
  command: string[];
  env: Record<string, string>;
  cwd: string;
  /** A regular expression that its output fits once it can be asked; its group is the URL. */
  ready: string;
  /** Path that is asked for then, until which it may not have loaded its configuration. */
  warmUp?: string;
  startSeconds: number;
  /** Is given the id of its process group. */
  onStart?: (group: number) => void;
  request: WrittenCall;
  /** Where the target file says so, for messages. */
  where: string;
  signal: AbortSignal;
}

/**
 * Starts such a client and waits until it can be called.
 *
 * @param onOutput is given everything that it writes, as it comes
 * @returns why it cannot be called, where it ended by itself, was not ready in time, or refuses the warm-up
 * @throws HarnessError where its command cannot be started
 */
export async function startResident(
  settings: ResidentSettings,
  onOutput: (text: string) => void,
): Promise<ResidentClient | string> {
  const resident = new Resident(settings, onOutput);
  try {
    const whyNot = await resident.ready();
    if (whyNot === undefined) {
      return resident;
    }
    await resident.end();
    return whyNot;
  } catch (error) {
    await resident.end();
    throw error;
  }
}

class Resident implements ResidentClient {
  readonly #settings: ResidentSettings;
  readonly #group: RunningCommand;
  readonly #dispatcher = new Agent({ headersTimeout: 0, bodyTimeout: 0 });
  readonly #url = Promise.withResolvers<string>();
  /** How it ended, in words: comes once nobody holds its output open any more. */
  readonly #ended: Promise<string>;
  /** Comes with the end of the process itself: a child that it left behind may hold its output open for ever. */
  readonly #exited: Promise<void>;
  /** Its output until it is ready. */
  #beginning = '';
  #base: string | undefined;
  #end: string | undefined;
  #isGone = false;

  constructor(settings: ResidentSettings, onOutput: (text: string) => void) {
    this.#settings = settings;
    const pattern = new RegExp(settings.ready);
    this.#group = startCommand(settings.command, settings, (text) => {
      onOutput(text);
      this.#lookForUrl(pattern, text);
    });
    if (this.#group.pid !== undefined) {
      settings.onStart?.(this.#group.pid);
    }
    this.#ended = this.#group.ended.then((how) => {
      this.#end = `the client ${describeEnd(how)}`;
      return this.#end;
    });
    this.#ended.catch(() => undefined);
    this.#exited = this.#group.exited.then(() => {
      this.#isGone = true;
    });
  }

  #lookForUrl(pattern: RegExp, text: string): void {
    if (this.#base !== undefined) {
      return;
    }
    this.#beginning += text;
    this.#base = pattern.exec(this.#beginning)?.[1];
    if (this.#base !== undefined) {
      this.#url.resolve(this.#base);
    }
  }

  /** Waits until it can be called. @returns why it cannot */
  async ready(): Promise<string | undefined> {
    const waiting = new AbortController();
    const { signal } = waiting;
    this.#settings.signal.addEventListener('abort', () => waiting.abort(), { once: true, signal });
    try {
      const first = await Promise.race([this.#url.promise.then((base) => ({ base })), this.#ended, this.#late(signal)]);
      return typeof first === 'string' ? first : await this.#warmUp(first.base, signal);
    } finally {
      waiting.abort();
    }
  }

  /** Resolves to what is said of a client that is not ready in time. */
  async #late(signal: AbortSignal): Promise<string> {
    const { ready, startSeconds } = this.#settings;
    try {
      await delay(startSeconds * 1000, undefined, { signal });
    } catch {
      return 'the run was broken off';
    }
    const told = `the client wrote nothing that fits /${ready}/ within ${startSeconds} s`;
    return `${told}: ${endOfOutput(this.#beginning)}`;
  }

  async #warmUp(base: string, signal: AbortSignal): Promise<string | undefined> {
    const { warmUp, startSeconds } = this.#settings;
    if (warmUp === undefined) {
      return undefined;
    }
    try {
      const deadline = AbortSignal.any([signal, AbortSignal.timeout(startSeconds * 1000)]);
      const answer = await sendBy(this.#dispatcher, base)(warmUp, { signal: deadline });
      const text = beginningOf(await answer.text());
      return answer.ok ? undefined : `the client answers ${answer.status} to ${warmUp}: ${text}`;
    } catch (error) {
      return this.#end ?? describeError(error);
    }
  }

  async call(values: Values, patienceMs: number): Promise<CallAnswer | undefined> {
    if (this.#end !== undefined) {
      return { ok: false, error: this.#end };
    }
    const { request, where } = this.#settings;
    try {
      const send = sendBy(this.#dispatcher, await this.#url.promise);
      return await callByRequest(send, request, { values, where, patienceMs });
    } catch (error) {
      if (!(error instanceof ConnectionLost)) {
        throw error;
      }
      await this.#untilGone();
      return { ok: false, error: this.#end ?? error.message };
    }
  }

  identity(): ProcessIdentity {
    return { podUid: `process ${this.#group.pid}`, restarts: this.#isGone ? 1 : 0 };
  }

  async settledIdentity(): Promise<ProcessIdentity> {
    await this.#untilGone();
    return this.identity();
  }

  async end(): Promise<void> {
    await this.#group.end();
    await this.#dispatcher.destroy();
  }

  async #untilGone(): Promise<void> {
    const inTime = new AbortController();
    await Promise.race([this.#exited, delay(EXIT_MS, undefined, { signal: inTime.signal }).catch(() => undefined)]);
    inTime.abort();
  }
}

/** The client, which is on this host, did not answer a request: it ended, or closed the connection. */
class ConnectionLost extends Error {}

/** How long an answer may take says the caller's signal alone. */
function sendBy(dispatcher: Agent, base: string): SendRequest {
  return async (path, init) => {
    const lost = (error: unknown): never => {
      if (init.signal.aborted) {
        throw error;
      }
      throw new ConnectionLost(`the client did not answer to ${path}: ${describeError(error)}`);
    };
    const response = await fetch(new URL(path, base), { ...init, dispatcher }).catch(lost);
    return { ok: response.ok, status: response.status, text: () => response.text().catch(lost) };
  };
}
