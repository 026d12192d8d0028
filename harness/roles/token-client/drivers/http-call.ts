import { fill, type Values } from '../../../core/placeholders.ts';
import { redact } from '../../../core/redact.ts';
import type { CallAnswer } from '../driver.ts';

/** One request to a client that runs already, as the target file writes it: with its placeholders. */
interface WrittenRequest {
  method: string;
  path: string;
  body?: unknown;
}

/** How a call of such a client looks like. */
export interface WrittenCall extends WrittenRequest {
  /**
   * Made first, in every call. What `keep` names of its JSON answer stands as `${before.NAME}` in the request of the
   * call.
   */
  before?: (WrittenRequest & { keep: string[] }) | undefined;
  /** Made where the client did not answer in time: what it does for a call that nobody waits for any more is to end. */
  abandon?: WrittenRequest | undefined;
  /** A regular expression that the answer fits when, and only when, the resource server's answer came back. */
  success?: string | undefined;
}

/** An answer as far as a call is evaluated by it. */
export interface Answered {
  ok: boolean;
  status: number;
  text(): Promise<string>;
}

/** The way to the client: `path` begins with a slash. */
export type SendRequest = (
  path: string,
  init: { method?: string; headers?: Record<string, string>; body?: string; signal: AbortSignal },
) => Promise<Answered>;

/** Within that a client is to take note that a call is abandoned. */
const ABANDON_MS = 5_000;

/** How much of an answer is told. */
const ERROR_CHARACTERS = 1_500;

/**
 * Lets a client that runs already make one call: it answers by `{"ok", "status"?, "error"?}`, by what `success` fits,
 * or by a status alone.
 *
 * @returns `undefined` when it had not answered within `patienceMs`
 */
export async function callByRequest(
  send: SendRequest,
  { before, abandon, success, ...request }: WrittenCall,
  { values, where, patienceMs }: { values: Values; where: string; patienceMs: number },
): Promise<CallAnswer | undefined> {
  const patience = AbortSignal.timeout(patienceMs);
  const ask = async (
    written: WrittenRequest,
    known: Values,
    signal = patience,
  ): Promise<{ told: Answered; text: string }> => {
    const { method, path, body } = fill(written, known, where);
    const told = await send(path, {
      method,
      signal,
      ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    });
    return { told, text: await told.text() };
  };
  let known = values;
  let asked = false;
  try {
    if (before !== undefined) {
      const { keep, ...first } = before;
      const { told, text } = await ask(first, values);
      const kept = told.ok ? keptOf(text, keep) : undefined;
      if (kept === undefined) {
        return failed(`the request before the call (${first.path})`, told, text);
      }
      known = { ...values, ...kept };
    }
    asked = true;
    const { told, text } = await ask(request, known);
    if (success !== undefined) {
      if (told.ok && new RegExp(success).test(text)) {
        return { ok: true, status: told.status };
      }
      return failed(told.ok ? `the call, which is to be answered by what fits /${success}/,` : 'the call', told, text);
    }
    const answer = readAnswer(text);
    if (answer !== undefined) {
      return answer;
    }
    return told.ok ? { ok: true, status: told.status } : failed('the call', told, text);
  } catch (error) {
    if (!patience.aborted) {
      throw error;
    }
    // A client that answers nothing need not answer to this either.
    if (asked && abandon !== undefined) {
      await ask(abandon, known, AbortSignal.timeout(ABANDON_MS)).catch(() => undefined);
    }
    return undefined;
  }
}

/** As much of an answer as is told. */
export function beginningOf(text: string): string {
  return redact(text).slice(0, ERROR_CHARACTERS);
}

function failed(what: string, { status }: Answered, text: string): CallAnswer {
  return {
    ok: false,
    error: `${what} is answered ${status}: ${beginningOf(text)}`,
    output: text,
  };
}

/** The values of a JSON answer as placeholders; `undefined` where one is missing. */
function keptOf(text: string, names: string[]): Values | undefined {
  const answer = objectOf(text);
  const found = names.map((name) => [`before.${name}`, answer?.[name]] as const);
  return found.some(([, value]) => value === undefined) ? undefined : Object.fromEntries(found);
}

function objectOf(text: string): Record<string, unknown> | undefined {
  try {
    const answer: unknown = JSON.parse(text);
    return typeof answer === 'object' && answer !== null ? (answer as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function readAnswer(text: string): CallAnswer | undefined {
  const { ok, status, error } = objectOf(text) ?? {};
  if (typeof ok !== 'boolean') {
    return undefined;
  }
  return {
    ok,
    ...(typeof status === 'number' ? { status } : {}),
    ...(error === undefined ? {} : { error: String(error) }),
  };
}
