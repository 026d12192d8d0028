import type { IncomingMessage } from 'node:http';
import type { EndToEndHeaders } from '../../target-proxy/headers.ts';

type Change = (request: { method: string; path: string }, body: unknown) => unknown;

/** Changes bodies of requests, where they make an object. */
export interface Rewrite {
  /** Of the harness, and of whoever is taken as its own. */
  own: Change;
  /** Of whoever else asks through this door: an implementation under test. */
  foreign?: Change;
}

/** Objects are smaller: etcd takes 1.5 MiB. */
const LARGEST_OBJECT = 4 * 1024 * 1024;

/**
 * The body of a request that makes or replaces an object in JSON, changed.
 *
 * @returns undefined where nothing is to be changed: the body was not read
 * @throws Error for a body that is larger than any object
 */
export async function rewrittenBody(
  change: Change | undefined,
  request: IncomingMessage,
  headers: EndToEndHeaders,
): Promise<Buffer | undefined> {
  const { method = 'GET', url: path = '/' } = request;
  const isJson = String(headers['content-type'] ?? '').startsWith('application/json');
  if (change === undefined || (method !== 'POST' && method !== 'PUT') || !isJson) {
    return undefined;
  }
  const body = await bodyOf(request);
  try {
    return Buffer.from(JSON.stringify(change({ method, path }, JSON.parse(body.toString()))));
  } catch {
    // No JSON: the API server says so better.
    return body;
  }
}

/** @throws Error for a body that is larger than any object */
export async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > LARGEST_OBJECT) {
      throw new Error(`a body of more than ${LARGEST_OBJECT} bytes is no object`);
    }
  }
  return Buffer.concat(chunks);
}
