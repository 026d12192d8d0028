import { HarnessError, NotTestable } from '../core/errors.ts';
import { limitSeconds } from '../core/time-limits.ts';
import type { Fetch, FetchedResponse, FetchInit } from './fetch.ts';

/** An endpoint that has not answered completely within this time has not answered. */
const DEADLINE_MS = limitSeconds('providerRequest') * 1_000;

/** No answer of a token or introspection endpoint comes near it. */
const LONGEST_ANSWER_BYTES = 1024 * 1024;

/** A complete HTTP answer. */
export interface Answer {
  status: number;
  /** Names in lower case. */
  headers: Record<string, string>;
  /** Without a byte order mark. */
  text: string;
  /** The body began with one. */
  hasByteOrderMark?: true;
}

/** The endpoint was reached, and gave no complete HTTP answer. */
export interface NoAnswer {
  /** What happened, in words: `it ended the connection before it answered (ECONNRESET)`. */
  unanswered: string;
  /** Nothing else was seen than that it took too long: a machine that is overloaded does that, too. */
  timedOut?: true;
}

/**
 * Codes of Node and undici for a connection that never came to be: they speak about the way to the endpoint, not about
 * the endpoint.
 */
const UNREACHED = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ETIMEDOUT',
  'UND_ERR_CONNECT_TIMEOUT',
]);

/** Codes of Node for a certificate that could not be verified (`tls` documentation, X509 certificate error codes). */
const CERTIFICATE =
  /^CERT_|SELF_SIGNED_CERT|^UNABLE_TO_(GET_ISSUER_CERT|VERIFY_LEAF)|^ERR_TLS_CERT_ALTNAME|^HOSTNAME_MISMATCH/;

/** The endpoint could not be connected to. What the harness cannot reach is no verdict about it. */
export class Unreachable extends HarnessError {}

/** An error and its causes, those of an {@link AggregateError} included. */
function chainOf(error: unknown): Error[] {
  if (!(error instanceof Error)) {
    return [];
  }
  const several = error instanceof AggregateError ? error.errors.flatMap(chainOf) : [];
  return [error, ...chainOf(error.cause), ...several];
}

function codeOf(error: Error): string | undefined {
  return 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

function isTimeout(error: unknown): boolean {
  return chainOf(error).some(({ name }) => name === 'TimeoutError');
}

/**
 * What an error of `fetch` says of the endpoint, in words; undefined where it says nothing about it (a URL that is
 * none).
 *
 * @throws NotTestable where its certificate cannot be verified
 * @throws Unreachable where there was no connection
 */
function failureOf(url: string, error: unknown): string | undefined {
  const chain = chainOf(error);
  const codes = chain.flatMap((one) => codeOf(one) ?? []);
  const certificate = codes.find((code) => CERTIFICATE.test(code));
  if (certificate !== undefined) {
    throw new NotTestable(
      `the certificate of ${url} cannot be verified (${certificate}): name its CA in "server.ca" of the target file`,
      { cause: error },
    );
  }
  const unreached = codes.find((code) => UNREACHED.has(code));
  if (unreached !== undefined) {
    throw new Unreachable(`${url} cannot be reached (${unreached})`, { cause: error });
  }
  if (isTimeout(error)) {
    return `there was no complete answer within ${DEADLINE_MS / 1_000} s`;
  }
  const last = chain.at(-1);
  const code = codes.at(-1);
  if (chain.some(({ name }) => name === 'HTTPParserError')) {
    return `its answer is not HTTP (${last?.message})`;
  }
  if (code === 'ERR_ASSERTION') {
    return 'it switched to another protocol (101), which nobody asked for';
  }
  if (code === undefined || code === 'ERR_INVALID_URL' || code === 'UND_ERR_INVALID_ARG') {
    return undefined;
  }
  if (code === 'EPROTO' || code.startsWith('ERR_SSL_') || code.startsWith('ERR_TLS_')) {
    return `it aborted the TLS handshake (${code})`;
  }
  if (code === 'UND_ERR_HEADERS_OVERFLOW') {
    return 'the header of its answer is too long to be read';
  }
  if (/^(Z_|ERR__ERROR_)/.test(code)) {
    return `its answer is not encoded as its Content-Encoding says (${code})`;
  }
  return `it ended the connection (${code}: ${last?.message})`;
}

/** Reads a body to its end, or to {@link LONGEST_ANSWER_BYTES}; undefined where it is longer. */
async function readText(response: FetchedResponse): Promise<string | undefined> {
  if (response.body === null || response.body === undefined) {
    return response.text();
  }
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  let text = '';
  let bytes = 0;
  for await (const chunk of response.body) {
    bytes += chunk.byteLength;
    if (bytes > LONGEST_ANSWER_BYTES) {
      return undefined;
    }
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

/**
 * Posts a form and reads the whole answer. Every request has a connection of its own: a server may end one that nobody
 * uses at any time, and a request that meets such an end is none that the server refused to answer. Redirects are not
 * followed: a token goes to the endpoint and nowhere else.
 *
 * @param asJson sends the parameters as the members of a JSON object, for an endpoint that takes no form
 * @param signal ends the request; the promise then rejects with its reason
 * @returns the answer, whatever its status, or what came in place of one
 * @throws Unreachable where there is no connection
 * @throws NotTestable where the endpoint's certificate cannot be verified
 */
export function postForm(
  fetch: Fetch,
  url: string,
  form: URLSearchParams,
  {
    headers = {},
    asJson = false,
    signal,
  }: { headers?: Record<string, string>; asJson?: boolean; signal?: AbortSignal | undefined } = {},
): Promise<Answer | NoAnswer> {
  return ask(
    fetch,
    url,
    {
      method: 'POST',
      headers: { 'content-type': asJson ? 'application/json' : FORM_TYPE, accept: 'application/json', ...headers },
      body: asJson ? JSON.stringify(Object.fromEntries(form)) : form.toString(),
      redirect: 'manual',
    },
    signal,
  );
}

/**
 * Gets a document, for example of discovery; redirects are followed. As {@link postForm} in all else.
 *
 * @throws Unreachable where there is no connection
 * @throws NotTestable where the endpoint's certificate cannot be verified
 */
export function getText(fetch: Fetch, url: string): Promise<Answer | NoAnswer> {
  return ask(fetch, url, { headers: { accept: 'application/json' }, redirect: 'follow' });
}

const BYTE_ORDER_MARK = '\uFEFF';

const FORM_TYPE = 'application/x-www-form-urlencoded';

async function ask(fetch: Fetch, url: string, request: FetchInit, signal?: AbortSignal): Promise<Answer | NoAnswer> {
  const deadline = AbortSignal.timeout(DEADLINE_MS);
  const init: FetchInit = {
    ...request,
    headers: { ...request.headers, connection: 'close' },
    signal: signal === undefined ? deadline : AbortSignal.any([signal, deadline]),
  };
  let begun: number | undefined;
  try {
    const response = await fetch(url, init);
    begun = response.status;
    const text = await readText(response);
    if (text === undefined) {
      return { unanswered: `its answer (${begun}) is longer than ${LONGEST_ANSWER_BYTES / 1024} KiB` };
    }
    const names: Record<string, string> = {};
    response.headers.forEach((value, name) => {
      names[name.toLowerCase()] = value;
    });
    return text.startsWith(BYTE_ORDER_MARK)
      ? { status: response.status, headers: names, text: text.slice(1), hasByteOrderMark: true }
      : { status: response.status, headers: names, text };
  } catch (error) {
    if (signal?.aborted === true) {
      throw error;
    }
    const failure = failureOf(url, error);
    if (failure === undefined) {
      throw error;
    }
    return {
      unanswered: begun === undefined ? failure : `its answer (${begun}) is not complete: ${failure}`,
      ...(isTimeout(error) ? { timedOut: true } : {}),
    };
  }
}
