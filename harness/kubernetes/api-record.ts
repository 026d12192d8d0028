import type { V1PodSpec } from '@kubernetes/client-node';
import { decodeToken } from '../core/token.ts';
import { attributesOf } from './request-attributes.ts';

/** One request to the API server, as the recording proxy and the audit log both report it. */
export interface ApiRecord {
  /** When it arrived, RFC 3339. */
  at: string;
  /** Who asked: `sub` of the token, for example `system:serviceaccount:NAMESPACE:NAME`. */
  user: string;
  /**
   * As the authorizers see it: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`; for
   * other paths the method in lower case.
   */
  verb: string;
  /** API group, empty for the core group; absent for a path that is no resource. */
  group?: string;
  version?: string;
  resource?: string;
  subresource?: string;
  namespace?: string;
  name?: string;
  /** Path without its query. */
  path: string;
  fieldSelector?: string;
  labelSelector?: string;
  resourceVersion?: string;
  /** Status of the answer; 0 where the connection went before there was one. */
  code: number;
  /** `message` of a refusal (401, 403). */
  message?: string;
  /** From the request's arrival to the end of its answer; of a watch or a log that is still open, until now. */
  durationMs: number;
  /** Length of the answer's body (after an upgrade: of all that came back). The audit log does not know it. */
  bytes?: number;
  /**
   * `websocket` or `SPDY/3.1` where the connection was upgraded: the API server then asks for more than the request's
   * own verb.
   */
  upgrade?: string;
  /** The fault of the harness that answered it, or cut it. */
  fault?: string;
  /**
   * The pod that it asks to be created, where that could be read (JSON): what admission makes of it is somebody else's.
   * Without values of variables, commands and arguments, which may be secret. The audit log does not know it.
   */
  pod?: AskedPod;
}

/** A pod as it was asked for. */
export interface AskedPod {
  name?: string;
  spec: V1PodSpec;
}

/** Who a bearer token says its holder is; what is no JWT is not read. */
export function userOf(authorization: string | undefined): string {
  const bearer = authorization?.replace(/^Bearer\s+/i, '');
  if (bearer === undefined || bearer === '') {
    return 'nobody';
  }
  try {
    return decodeToken(bearer).claims.sub ?? 'a token without sub';
  } catch {
    return 'a token that is no JWT';
  }
}

/** What of a record is known from its request alone. */
export type AskedFor = Omit<
  ApiRecord,
  'at' | 'user' | 'code' | 'durationMs' | 'bytes' | 'fault' | 'message' | 'upgrade' | 'pod'
>;

/** Verbs for which a field selector of one name stands for that name (Kubernetes, `RequestInfoFactory`). */
const SELECTING_VERBS = new Set(['list', 'watch', 'deletecollection']);

/** @param url path with its query */
export function askedFor(method: string, url: string): AskedFor {
  const { pathname, searchParams } = new URL(url, 'http://api');
  const attributes = attributesOf(method, url);
  const selectors = Object.fromEntries(
    ['fieldSelector', 'labelSelector', 'resourceVersion'].flatMap((name) => {
      const value = searchParams.get(name);
      return value === null || value === '' ? [] : [[name, value]];
    }),
  );
  if (attributes === undefined) {
    return { verb: method.toLowerCase(), path: pathname, ...selectors };
  }
  const [, prefix, ...rest] = pathname.split('/');
  const version = prefix === 'api' ? rest[0] : rest[1];
  const selected = /(?:^|,)metadata\.name==?([^,]+)/.exec(selectors.fieldSelector ?? '')?.[1];
  const name = attributes.name ?? (SELECTING_VERBS.has(attributes.verb) ? selected : undefined);
  return {
    ...attributes,
    ...(version === undefined ? {} : { version }),
    ...(name === undefined ? {} : { name }),
    path: pathname,
    ...selectors,
  };
}

/** How a request is described: `list pods in a`, `get jobs.batch/x in a`, `create pods/exec`, `get /version`. */
export function describeRecord({ verb, group, resource, subresource, namespace, name, path }: AskedFor): string {
  if (resource === undefined) {
    return `${verb} ${path}`;
  }
  const kind = `${resource}${group ? `.${group}` : ''}${subresource === undefined ? '' : `/${subresource}`}`;
  return `${verb} ${kind}${name === undefined ? '' : ` ${name}`}${namespace === undefined ? '' : ` in ${namespace}`}`;
}

/** Of a refusal so much is kept. */
const MESSAGE_LENGTH = 500;

/** Words of a `Status` object (meta/v1), where a body is one. */
export function messageOf(body: string): string | undefined {
  try {
    const { message } = JSON.parse(body) as { message?: unknown };
    return typeof message === 'string' ? message.slice(0, MESSAGE_LENGTH) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Whose requests are looked for: a user's, or those from an address, whoever sent them and whether they were
 * authenticated or not.
 */
export type Requester = { user: string } | { address: string };
