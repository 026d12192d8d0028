import { fetch, type RequestInit, type Response } from 'undici';
import { describeError, HarnessError } from '../../../core/errors.ts';
import { fill, type Values } from '../../../core/placeholders.ts';
import { type HttpOperation, OPERATIONS, type OperationName } from '../../../role-data/session-manager/target-file.ts';
import type { Call, CallOptions, SessionManagerClient, Value } from '../driver.ts';
import type { HttpTarget } from '../target.ts';
import { lookUp } from './json-pointer.ts';

export interface HttpClientOptions {
  target: HttpTarget;
  /** Scheme, host and port; paths are appended. */
  address: string;
  /** What placeholders stand for beside the input of an operation. */
  values: Values;
  /** Instead of a plain fetch, for a manager that is reached through the API server's proxy. */
  send?: (url: string, init: RequestInit) => Promise<Response>;
  /** Aborted when the run is broken off. */
  signal: AbortSignal;
}

/** More than any answer of the suite has: 10 MiB of output, escaped. */
const LIMIT_BYTES = 64 * 1024 * 1024;
const TEXT_CHARACTERS = 2_000;
/** One look at whether it can be called: a server that is about to listen may accept and never answer. */
const READY_TIMEOUT_MS = 5_000;

/** Calls a manager by the operations of its target file. */
export function httpClient({ target, address, values, send = fetch, signal }: HttpClientOptions): SessionManagerClient {
  const { http, start, file } = target;
  const base = address + http.basePath;
  return {
    async whyNotReady() {
      const late = AbortSignal.timeout(READY_TIMEOUT_MS);
      try {
        const response = await send(address + start.ready, { signal: AbortSignal.any([signal, late]) });
        await response.body?.cancel();
        return response.ok ? undefined : `it answered ${response.status}`;
      } catch (error) {
        return late.aborted ? `no answer within ${READY_TIMEOUT_MS / 1000} s` : describeError(error);
      }
    },
    async call(name, input, options = {}) {
      const operation = http.operations[name];
      const at = Date.now();
      const ended = (rest: Partial<Call>): Call<typeof name> => ({
        ...{ operation: name, input, at, endedAt: Date.now(), text: '' },
        ...(rest as Partial<Call<typeof name>>),
      });
      if (operation === undefined) {
        return ended({ silence: `${file} describes no http.operations.${name}` });
      }
      const seconds = options.timeoutSeconds ?? http.timeoutSeconds;
      const late = AbortSignal.timeout(seconds * 1000);
      const abort = AbortSignal.any([signal, late, ...(options.signal === undefined ? [] : [options.signal])]);
      try {
        const response = await send(
          ...requestOf(target, base, name, operation, { ...values, ...input }, options, abort),
        );
        const text = await readText(response);
        return ended({
          status: response.status,
          text: text.slice(0, TEXT_CHARACTERS),
          ...readValue(name, operation, response, text),
          ...hintOf(name, operation, response, text),
        });
      } catch (error) {
        if (signal.aborted) {
          throw signal.reason;
        }
        if (error instanceof HarnessError) {
          throw error;
        }
        if (options.signal?.aborted === true) {
          return ended({ silence: 'the caller went away' });
        }
        return ended(
          late.aborted
            ? { silence: `no whole answer within ${seconds} s`, late: true }
            : { silence: describeError(error) },
        );
      }
    },
  };
}

function requestOf(
  { http, file }: HttpTarget,
  base: string,
  name: OperationName,
  { method, path, query, body }: HttpOperation,
  known: Values,
  { anonymous = false }: CallOptions,
  signal: AbortSignal,
): [string, RequestInit] {
  // A placeholder without a value is no fault: what it stands in is left out.
  const inputs = Object.fromEntries(OPERATIONS[name].input.map((key) => [key, undefined]));
  const { env, secretEnv } = known as { env?: object; secretEnv?: object };
  const both = env === undefined && secretEnv === undefined ? undefined : { ...env, ...secretEnv };
  const values: Values = { ...inputs, variables: both, ...known };
  const where = `${file}: http.operations.${name}`;
  const encoded = Object.fromEntries(
    Object.entries(values).map(([key, value]) => [key, typeof value === 'string' ? encodeURIComponent(value) : value]),
  );
  const url = new URL(base + fill(path, encoded, `${where}.path`));
  for (const [key, value] of Object.entries(fill(query, values, `${where}.query`) as Record<string, unknown>)) {
    if (value !== undefined) {
      url.searchParams.set(key, String(value));
    }
  }
  const authentication = anonymous ? {} : http.authentication?.headers;
  const headers = fill({ ...http.headers, ...authentication }, values, `${file}: http`);
  const json = { 'content-type': 'application/json', accept: 'application/json' };
  const payload = body === undefined ? undefined : JSON.stringify(fill(body, values, `${where}.body`));
  return [
    url.href,
    { method, signal, headers: { ...json, ...headers }, ...(payload === undefined ? {} : { body: payload }) },
  ];
}

async function readText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > LIMIT_BYTES) {
      throw new Error(`the answer is longer than ${LIMIT_BYTES} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Statuses of a server that knows no such path, or not with this method. */
const NO_SUCH_PATH = [404, 405, 501];

/** Where an error has no JSON it is perhaps not the manager's own, but that of a server that knows no such path. */
function hintOf(
  name: OperationName,
  { method, path }: HttpOperation,
  { status, headers }: Response,
  text: string,
): Pick<Call, 'hint'> {
  if (!NO_SUCH_PATH.includes(status) || isJson(text)) {
    return {};
  }
  const type = headers.get('content-type') ?? 'no content type';
  return {
    hint: `http.operations.${name}: ${status} with ${type}, which is not JSON; are its method ${method} and its path ${path} right?`,
  };
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/**
 * Reads a success by the pointers of its operation. What cannot be read says which field of the target file points to
 * nothing.
 */
function readValue(
  name: OperationName,
  { answer, path }: HttpOperation,
  response: Response,
  text: string,
): Pick<Call, 'value' | 'unreadable'> {
  const { succeeded, items, ...fields } = answer;
  if (!response.ok || Object.keys(answer).length === 0) {
    return {};
  }
  const field = `http.operations.${name}`;
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    // A plain text may be the whole answer, where the target file says so.
    if (Object.values(answer).some((pointer) => pointer !== '')) {
      const type = response.headers.get('content-type') ?? 'no content type';
      return { unreadable: `${field}: the answer is ${type} and not JSON; is its path ${path} right?` };
    }
    document = text;
  }
  const missing: string[] = [];
  const read = (from: unknown, key: string, pointer: string): unknown => {
    const value = lookUp(from, pointer);
    if (value === undefined && !OPTIONAL.has(key)) {
      missing.push(`${field}.answer.${key}: the answer has nothing at ${pointer}`);
    }
    return value;
  };
  const readAll = (from: unknown): Record<string, unknown> =>
    Object.fromEntries(Object.entries(fields).map(([key, pointer]) => [key, read(from, key, pointer)]));
  const value: Value = succeeded === undefined ? {} : { succeeded: read(document, 'succeeded', succeeded) };
  if (items === undefined) {
    Object.assign(value, readAll(document));
  } else {
    const list = read(document, 'items', items);
    if (list !== undefined && !Array.isArray(list)) {
      missing.push(`${field}.answer.items: what is at ${items} is no array`);
    }
    value.items = Array.isArray(list) ? list.map(readAll) : [];
  }
  return missing.length > 0 && value.succeeded !== false ? { unreadable: [...new Set(missing)].join('; ') } : { value };
}

/** What an answer has only at times. */
const OPTIONAL = new Set(['error', 'kubeconfig', 'ready', 'image']);
