import { setTimeout as delay } from 'node:timers/promises';
import { Agent, fetch } from 'undici';
import { describeError } from '../../../../core/errors.ts';
import type { Values } from '../../../../core/placeholders.ts';
import type { CallAnswer } from '../../driver.ts';
import type { ProcessIdentity } from '../../record.ts';
import { beginningOf, callByRequest, type SendRequest, type WrittenCall } from '../http-call.ts';
import { describeEnd, endOfOutput, startCommand } from './run.ts';

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
  const ready = new RegExp(settings.ready);
  const url = Promise.withResolvers<string>();
  let written = '';
  let told: string | undefined;
  const group = startCommand(settings.command, settings, (text) => {
    onOutput(text);
    if (told !== undefined) {
      return;
    }
    written += text;
    told = ready.exec(written)?.[1];
    if (told !== undefined) {
      url.resolve(told);
    }
  });
  if (group.pid !== undefined) {
    settings.onStart?.(group.pid);
  }
  const dispatcher = new Agent({ headersTimeout: 0, bodyTimeout: 0 });
  const stop = async (): Promise<void> => {
    await group.end();
    await dispatcher.destroy();
  };
  let end: string | undefined;
  const ended = group.ended.then((how) => {
    end = `the client ${describeEnd(how)}`;
    return end;
  });
  ended.catch(() => undefined);
  // Not `ended`, which comes once nobody holds its output open any more: a child that it left behind may do so for
  // ever.
  let gone = false;
  const exited = group.exited.then(() => {
    gone = true;
  });
  const untilGone = async (): Promise<void> => {
    const inTime = new AbortController();
    await Promise.race([exited, delay(EXIT_MS, undefined, { signal: inTime.signal }).catch(() => undefined)]);
    inTime.abort();
  };
  const waiting = new AbortController();
  const { signal } = waiting;
  const late = delay(settings.startSeconds * 1000, undefined, { signal })
    .then(() => {
      const told = `the client wrote nothing that fits /${settings.ready}/ within ${settings.startSeconds} s`;
      return `${told}: ${endOfOutput(written)}`;
    })
    .catch(() => 'the run was broken off');
  settings.signal.addEventListener('abort', () => waiting.abort(), { once: true, signal });
  const start = async (): Promise<string | { base: string }> => {
    const first = await Promise.race([url.promise.then((base) => ({ base })), ended, late]);
    if (typeof first === 'string' || settings.warmUp === undefined) {
      return first;
    }
    try {
      const deadline = AbortSignal.any([signal, AbortSignal.timeout(settings.startSeconds * 1000)]);
      const answer = await sendBy(dispatcher, first.base)(settings.warmUp, { signal: deadline });
      const text = beginningOf(await answer.text());
      return answer.ok ? first : `the client answers ${answer.status} to ${settings.warmUp}: ${text}`;
    } catch (error) {
      return end ?? describeError(error);
    }
  };
  try {
    const started = await start();
    if (typeof started === 'string') {
      await stop();
      return started;
    }
    const send = sendBy(dispatcher, started.base);
    const identity = (): ProcessIdentity => ({ podUid: `process ${group.pid}`, restarts: gone ? 1 : 0 });
    return {
      async call(values, patienceMs) {
        if (end !== undefined) {
          return { ok: false, error: end };
        }
        try {
          return await callByRequest(send, settings.request, { values, where: settings.where, patienceMs });
        } catch (error) {
          if (!(error instanceof ConnectionLost)) {
            throw error;
          }
          await untilGone();
          return { ok: false, error: end ?? error.message };
        }
      },
      identity,
      async settledIdentity() {
        await untilGone();
        return identity();
      },
      end: stop,
    };
  } catch (error) {
    await stop();
    throw error;
  } finally {
    waiting.abort();
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
