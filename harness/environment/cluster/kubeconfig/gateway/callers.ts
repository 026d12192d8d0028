import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { userOf } from '../../../../kubernetes/api-record.ts';
import { type EndToEndHeaders, endToEnd } from '../../target-proxy/headers.ts';
import type { Credentials, Presented } from '../credentials.ts';
import type { Ledger } from '../ledger.ts';

/** The harness, which has shown the secret. */
export interface HarnessCaller {
  /** Id of the requirement that it asks for; absent: it asks for the run itself. */
  requirement?: string;
}

/** A request with what it shows to the API server. */
export interface Identified {
  /** The credentials of the kubeconfig; absent where the caller shows its own, or none. */
  presented?: Presented;
  headers: EndToEndHeaders;
}

/** Who asks through the gateway, and what each of them shows to the API server. */
export class Callers {
  /** Stands for the credentials of the kubeconfig, as a bearer; `.ID` behind it names a requirement. */
  readonly secret = randomBytes(32).toString('base64url');
  readonly #credentials: Credentials;
  readonly #ledger: Ledger;
  readonly #ownUsers = new Set<string>();

  constructor(credentials: Credentials, ledger: Ledger) {
    this.#credentials = credentials;
    this.#ledger = ledger;
  }

  /** Takes what this user makes for the harness's own, too (`system:serviceaccount:NAMESPACE:NAME`). */
  takeAsOwn(user: string): void {
    this.#ownUsers.add(user);
  }

  /** The harness, where the request shows the secret; undefined for everybody else. */
  harness({ headers }: IncomingMessage): HarnessCaller | undefined {
    const [shown = '', requirement] = (headers.authorization ?? '').split(/\.(?=[A-Z]{2}-\d+[a-z]?$)/);
    if (!isSame(shown, `Bearer ${this.secret}`)) {
      return undefined;
    }
    return requirement === undefined ? {} : { requirement };
  }

  /** Whether what a request makes is the harness's own. */
  isOwn(request: IncomingMessage, { presented }: Identified): boolean {
    return presented !== undefined || this.#ownUsers.has(userOf(request.headers.authorization));
  }

  /**
   * Puts the credentials of the kubeconfig in the place of the secret, and enters the request in the ledger. What shows
   * credentials of its own, or none, keeps them.
   */
  async identify(request: IncomingMessage): Promise<Identified> {
    const { authorization, ...headers } = endToEnd(request.headersDistinct);
    const harness = this.harness(request);
    if (harness === undefined) {
      return { headers: authorization === undefined ? headers : { ...headers, authorization } };
    }
    this.#ledger.add(request.method ?? 'GET', request.url ?? '/', harness.requirement);
    const presented = await this.#credentials.present();
    // Whoever is to be acted as already is not acted as by somebody else: client-go leaves such a request alone, too.
    const own = headers['impersonate-user'] === undefined ? presented.headers : withoutImpersonation(presented.headers);
    return { presented, headers: { ...headers, ...own } };
  }

  /** Takes note that the API server does not know who was presented. */
  refused(presented: Presented): void {
    this.#credentials.refused(presented);
  }
}

function withoutImpersonation(headers: Presented['headers']): Presented['headers'] {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !name.startsWith('impersonate-')));
}

function isSame(one: string, other: string): boolean {
  const [left, right] = [Buffer.from(one), Buffer.from(other)];
  return left.length === right.length && timingSafeEqual(left, right);
}
