import { Agent, fetch } from 'undici';
import { HarnessError } from '../core/errors.ts';
import type { EnvironmentApi } from './environment-api.ts';
import { fromControlError } from './error.ts';
import type { ControlError, WorkerSettings } from './protocol.ts';

/**
 * Some answers take as long as a token lives: undici's own limits of 300 s do not hold here, the requirement's does.
 */
const patient = new Agent({ headersTimeout: 0, bodyTimeout: 0 });

/** The environment of a candidate, in a test worker: every call is a request to the main process. */
export function environmentOf(settings: Pick<WorkerSettings, 'url' | 'secret'>, candidate: string): EnvironmentApi {
  return new Proxy({} as EnvironmentApi, {
    // Whatever has a method `then` is taken for a promise by `await`: the environment is none.
    get: (_, call: string) =>
      call === 'then' ? undefined : (request: object) => ask(settings, call, { candidate, request }),
  });
}

/**
 * One call of a control server.
 *
 * @param signal gives it up
 * @throws HarnessError where nobody answers; else what the server says that it is
 */
export async function ask(
  { url, secret }: Pick<WorkerSettings, 'url' | 'secret'>,
  call: string,
  body: { candidate: unknown; request: object },
  signal?: AbortSignal,
): Promise<unknown> {
  let response: Awaited<ReturnType<typeof fetch>>;
  try {
    response = await fetch(`${url}/${call}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
      dispatcher: patient,
      ...(signal === undefined ? {} : { signal }),
    });
  } catch (error) {
    throw new HarnessError(`the main process does not answer ${call}`, { cause: error });
  }
  const answer: unknown = await response.json();
  if (response.ok) {
    return answer;
  }
  throw fromControlError(answer as ControlError);
}
