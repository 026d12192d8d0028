import { fill, type Values } from '../../core/placeholders.ts';
import { redact } from '../../core/redact.ts';
import { limitSeconds } from '../../core/time-limits.ts';
import type { Fetch } from '../../oauth/fetch.ts';
import type { AdminRequest } from '../../role-data/identity-provider/target-file.ts';

const DEADLINE_MS = limitSeconds('adminRequest') * 1_000;

/** An admin API that is spoken to in JSON, with a bearer token that is asked for anew for each request. */
export interface AdminApi {
  baseUrl: string;
  fetch: Fetch;
  token(): Promise<string>;
}

/**
 * Sends requests of a target file to an admin API, one after another. What an earlier one saved, a later one may use as
 * `${saved.NAME}`; the `Location` of what was created is saved as `${saved.location}`, its last part as `${saved.id}`.
 *
 * @param where the place in the target file, for messages
 * @throws Error that names the request and what was answered, for every answer but 2xx
 */
export async function sendAdminRequests(
  api: AdminApi,
  requests: AdminRequest[],
  values: Values,
  where: string,
): Promise<void> {
  const known: Values = { ...values };
  for (const [index, request] of requests.entries()) {
    const { method, path, body } = fill(
      { method: request.method, path: request.path, body: request.body },
      known,
      `${where}[${index}]`,
    );
    const response = await api.fetch(api.baseUrl.replace(/\/$/, '') + path, {
      method,
      headers: {
        authorization: `Bearer ${await api.token()}`,
        accept: 'application/json',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(DEADLINE_MS),
    });
    const answer = await response.text();
    if (!response.ok) {
      throw new Error(
        redact(`${where}[${index}]: ${method} ${path} was answered ${response.status}: ${answer.slice(0, 500)}`),
      );
    }
    const location = response.headers.get('location');
    if (location !== null) {
      Object.assign(known, { 'saved.location': location, 'saved.id': location.split('/').at(-1) });
    }
    for (const [name, pointer] of Object.entries(request.save ?? {})) {
      known[`saved.${name}`] = valueAt(answer, pointer, `${where}[${index}]: ${method} ${path}`);
    }
  }
}

/** The value at a JSON pointer (RFC 6901). */
function valueAt(json: string, pointer: string, what: string): unknown {
  let value: unknown = JSON.parse(json);
  for (const part of pointer.split('/').slice(1)) {
    const key = part.replaceAll('~1', '/').replaceAll('~0', '~');
    value = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined;
  }
  if (value === undefined) {
    throw new Error(`${what}: the answer has nothing at ${pointer}`);
  }
  return value;
}
