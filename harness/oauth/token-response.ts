import { isMap, isScalar, parseDocument } from 'yaml';
import { redact } from '../core/redact.ts';
import type { Answer, NoAnswer } from './transport.ts';

/** What the token endpoint answered. `accessToken` is usable: it is not for a report. */
export interface TokenResponse {
  /** HTTP status; absent where no complete answer came, see `unanswered`. */
  status?: number;
  /** What came in place of an answer, in words. */
  unanswered?: string;
  /** See {@link NoAnswer}. */
  timedOut?: true;
  /** Names in lower case. */
  headers: Record<string, string>;
  /** The body as it came, but for a byte order mark. */
  text: string;
  hasByteOrderMark?: true;
  /** The JSON object of the body; empty if the body is none. */
  body: Record<string, unknown>;
  accessToken?: string;
  /** `error` and `error_description` of RFC 6749 section 5.2. */
  error?: string;
  errorDescription?: string;
  /**
   * Members that the body gives more than once, each with all of its values; `body` has the last one, as most parsers
   * do.
   */
  repeated: Record<string, unknown[]>;
}

/** What a text is parsed to, or undefined if it is no JSON. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function objectOf(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined;
}

/** Members of a JSON object that stand there more than once: a JSON parser keeps one of them and says nothing. */
function repeatedMembers(json: string): Record<string, unknown[]> {
  // JSON is YAML 1.2, and this parser keeps what stands there.
  let contents: unknown;
  try {
    ({ contents } = parseDocument(json, { schema: 'json', uniqueKeys: false, logLevel: 'silent' }));
  } catch {
    // Nested deeper than this parser goes: nobody reads it twice.
    return {};
  }
  if (!isMap(contents)) {
    return {};
  }
  const named = contents.items.map(({ key, value }): [string, unknown] => [
    String(isScalar(key) ? key.value : key),
    objectOf(value) !== undefined && 'toJSON' in (value as object) ? (value as { toJSON(): unknown }).toJSON() : value,
  ]);
  const groups = Map.groupBy(named, ([name]) => name);
  return Object.fromEntries(
    [...groups].filter(([, all]) => all.length > 1).map(([name, all]) => [name, all.map(([, value]) => value)]),
  );
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** Reads what a token endpoint answered, whatever it is. */
export function readTokenResponse(answer: Answer | NoAnswer): TokenResponse {
  if ('unanswered' in answer) {
    return { ...answer, headers: {}, text: '', body: {}, repeated: {} };
  }
  const body = objectOf(parseJson(answer.text));
  const accessToken = text(body?.access_token);
  const error = text(body?.error);
  const errorDescription = text(body?.error_description);
  return {
    ...answer,
    body: body ?? {},
    repeated: body === undefined ? {} : repeatedMembers(answer.text),
    ...(accessToken === undefined ? {} : { accessToken }),
    ...(error === undefined ? {} : { error }),
    ...(errorDescription === undefined ? {} : { errorDescription }),
  };
}

/** True if the answer is a token: 200 with an `access_token` (RFC 6749 section 5.1). */
export function isAccepted(response: TokenResponse): boolean {
  return response.status === 200 && response.accessToken !== undefined;
}

/** True if a request was refused as RFC 6749 section 5.2 has it: by 4xx, and without an access token. */
export function isRefused({ status = 0, accessToken }: TokenResponse): boolean {
  return status >= 400 && status <= 499 && accessToken === undefined;
}

/** True if an access token was given, whatever the status, or nothing but success was said. */
export function givesAccess({ status = 0, accessToken, error }: TokenResponse): boolean {
  return accessToken !== undefined || (status >= 200 && status <= 299 && error === undefined);
}

/** What a body is that holds no OAuth error, in words. */
function kindOf({ text: body, headers, body: members, accessToken }: TokenResponse): string {
  if (accessToken !== undefined) {
    return 'with an access token';
  }
  if (body.trim() === '') {
    return 'with an empty body';
  }
  if (/^\s*<(!doctype|html)/i.test(body) || /\bhtml\b/i.test(headers['content-type'] ?? '')) {
    return 'with an HTML page';
  }
  if (members.access_token !== undefined) {
    const { access_token: token } = members;
    return `whose access_token is ${token === '' ? 'empty' : `no string (${typeName(token).replace(/^an? /, '')})`}`;
  }
  return 'without an OAuth error';
}

/**
 * An answer in one line, without any token: `200 with an access token`, `400 invalid_grant: audience is not this
 * provider`, `no answer: it ended the connection (…)`.
 */
export function describeResponse(response: TokenResponse): string {
  if (response.unanswered !== undefined) {
    return `no answer: ${redact(response.unanswered)}`;
  }
  if (isAccepted(response)) {
    return '200 with an access token';
  }
  const parts = [response.accessToken === undefined ? undefined : kindOf(response), response.error];
  const stated = [...parts, response.errorDescription].filter((part) => part !== undefined).join(': ');
  return redact(`${response.status} ${stated === '' ? kindOf(response) : stated}`);
}

/** All values of a member, in the order in which they stand in the answer. */
function valuesOf({ body, repeated }: TokenResponse, name: string): unknown[] {
  return repeated[name] ?? (body[name] === undefined || body[name] === null ? [] : [body[name]]);
}

/**
 * The scopes in a value of `scope` or of a claim like it: a string as RFC 6749 section 3.3 has it, or an array, as some
 * servers write it.
 */
export function scopesIn(value: unknown): string[] {
  if (Array.isArray(value)) {
    return value.flatMap(scopesIn);
  }
  return typeof value === 'string' ? value.split(/[\s,]+/).filter((scope) => scope !== '') : [];
}

/** The scopes that an answer says it grants, in whatever form; undefined where it does not say. */
export function grantedScopes(response: TokenResponse): string[] | undefined {
  const values = valuesOf(response, 'scope');
  return values.length === 0 ? undefined : [...new Set(values.flatMap(scopesIn))];
}

/**
 * The life that an answer states in `expires_in`, in seconds, also where it is written as a string; the longest if
 * there are several. A number that is too large to be held is infinite.
 */
export function statedLifeSeconds(response: TokenResponse): number | undefined {
  const seconds = valuesOf(response, 'expires_in')
    .map((value) => (typeof value === 'string' && value.trim() !== '' ? Number(value) : value))
    .filter((value): value is number => typeof value === 'number' && !Number.isNaN(value));
  return seconds.length === 0 ? undefined : Math.max(...seconds);
}

const typeName = (value: unknown): string =>
  value === null
    ? 'null'
    : Array.isArray(value)
      ? 'an array'
      : typeof value === 'object'
        ? 'an object'
        : `a ${typeof value}`;

/**
 * What is wrong with the form of an answer that holds an access token, each as a finding of its own: RFC 6749 section
 * 5.1 has a JSON object of the media type `application/json`, with numbers as numbers, `scope` as one string (section
 * 3.3), and nothing twice (section 3.2). What the members say can mostly be evaluated all the same, see {@link
 * grantedScopes} and {@link statedLifeSeconds}.
 */
export function formFindings(response: TokenResponse): string[] {
  const { accessToken, body, error, hasByteOrderMark, headers, repeated } = response;
  const findings = Object.keys(repeated).map((name) => `answers with ${name} more than once (RFC 6749 section 3.2)`);
  const mediaType = (headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
  if (mediaType !== 'application/json') {
    findings.push(`answers with Content-Type "${mediaType}", where application/json must be (RFC 6749 section 5.1)`);
  }
  for (const [name, expected] of Object.entries(MEMBER_TYPES)) {
    const value = body[name];
    if (value !== undefined && typeof value !== expected) {
      findings.push(`answers ${name} as ${typeName(value)}, where a ${expected} must be (RFC 6749 section 5.1)`);
    }
  }
  if (hasByteOrderMark === true) {
    findings.push(
      'answers with a byte order mark before the JSON, which clients need not ignore (RFC 8259 section 8.1)',
    );
  }
  if (accessToken !== undefined && error !== undefined) {
    findings.push('answers with an error beside an access_token: it is either (RFC 6749 sections 5.1 and 5.2)');
  }
  if (typeof body.expires_in === 'number' && body.expires_in < 0) {
    findings.push('answers with a negative expires_in, which is no lifetime (RFC 6749 section 5.1)');
  }
  if (accessToken !== undefined && !VISIBLE.test(accessToken)) {
    findings.push('answers an access_token with characters that no header can carry (RFC 6749 appendix A.12)');
  }
  return findings;
}

/** What an access token is made of (RFC 6749 appendix A.12): nothing else can stand in an Authorization header. */
const VISIBLE = /^[\x20-\x7e]+$/;

/** Types of the members of an answer: RFC 6749 section 5.1, RFC 8693 section 2.2.1. */
const MEMBER_TYPES = {
  token_type: 'string',
  expires_in: 'number',
  scope: 'string',
  refresh_token: 'string',
  issued_token_type: 'string',
} as const;
