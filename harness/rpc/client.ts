import { Agent, fetch } from 'undici';
import { HarnessError } from '../core/errors.ts';
import { fromControlError } from './error.ts';
import type { ControlApi, ControlError, WorkerSettings } from './protocol.ts';

/** Some answers take as long as a token lives: undici's own limits of 300 s do not hold here, the requirement's does. */
const patient = new Agent({ headersTimeout: 0, bodyTimeout: 0 });

/**
 * Asks the main process for something of the environment; waits as long as it takes to start.
 *
 * @throws HarnessError, NotTestable or NotApplicable, as the main process says
 */
export async function ask<P extends keyof ControlApi>(
  settings: WorkerSettings,
  path: P,
  request: ControlApi[P]['request'],
): Promise<ControlApi[P]['response']> {
  let response: Awaited<ReturnType<typeof fetch>>;
  try {
    response = await fetch(settings.url + path, {
      method: 'POST',
      headers: { authorization: `Bearer ${settings.secret}`, 'content-type': 'application/json' },
      body: JSON.stringify(request),
      dispatcher: patient,
    });
  } catch (error) {
    throw new HarnessError(`the main process does not answer ${path}`, { cause: error });
  }
  const body: unknown = await response.json();
  if (response.ok) {
    return body as ControlApi[P]['response'];
  }
  throw fromControlError(body as ControlError);
}
