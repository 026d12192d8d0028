import { errors, type TokenEndpointGrantContext } from 'oidc-provider';
import { CLIENT_ASSERTION_TYPE } from '../../../oauth/provider.ts';
import { AssertionRefused, type AssertionUse } from './assertion.ts';
import type { EmbeddedBehaviour } from './behaviour.ts';
import type { ClientRegistry } from './clients.ts';
import { KeysUnavailable } from './cluster-keys.ts';

/** An error of the token endpoint (RFC 6749 section 5.2). */
export function oauthError(status: number, code: string, description: string): errors.OIDCProviderError {
  const error = new errors.CustomOIDCProviderError(code, description);
  error.status = status;
  error.statusCode = status;
  error.expose = true;
  return error;
}

/** What requests of one provider are handled by. */
export interface TokenRequestParts {
  clients: ClientRegistry;
  behaviour: EmbeddedBehaviour;
  /** Resolves with the subject of a good assertion. @see assertionVerifier */
  verify(assertion: string, use: AssertionUse): Promise<string>;
  /** Notified of what is not the client's fault. */
  onTrouble(message: string): void;
}

/** One request at the token endpoint: each of its tokens is verified once. */
export class TokenRequest {
  readonly #ctx: TokenEndpointGrantContext;
  readonly #parts: TokenRequestParts;
  readonly #verified = new Map<string, Promise<string>>();

  constructor(ctx: TokenEndpointGrantContext, parts: TokenRequestParts) {
    this.#ctx = ctx;
    this.#parts = parts;
  }

  /** A parameter that must be there, once. @throws invalid_request */
  required(name: string): string {
    const value = this.#ctx.oidc.params[name];
    if (typeof value !== 'string' || value === '') {
      throw new errors.InvalidRequest(`missing required parameter ${name}`);
    }
    return value;
  }

  /**
   * The scope that is granted; undefined where none was asked for. Nothing beyond the known ones is granted (RFC 6749
   * section 3.3).
   *
   * @throws invalid_scope
   */
  scope(): string | undefined {
    const asked = String(this.#ctx.oidc.params.scope ?? '')
      .split(' ')
      .filter(Boolean);
    const ungranted = this.#parts.behaviour.ungranted(asked);
    if (ungranted.length > 0) {
      throw new errors.InvalidScope('requested scope is not granted to this client', ungranted.join(' '));
    }
    return asked.length > 0 ? asked.join(' ') : undefined;
  }

  /**
   * Client authentication by assertion (RFC 7521 section 4.2), where the request has one.
   *
   * @returns the subject that was proven
   * @throws invalid_client
   */
  async authenticate(): Promise<string | undefined> {
    const { client_assertion: assertion, client_assertion_type: type } = this.#ctx.oidc.body ?? {};
    if (assertion === undefined && type === undefined) {
      return undefined;
    }
    if (type !== CLIENT_ASSERTION_TYPE) {
      throw oauthError(401, 'invalid_client', 'unknown client_assertion_type');
    }
    if (typeof assertion !== 'string') {
      throw oauthError(401, 'invalid_client', 'client_assertion must be given once');
    }
    const subject = await this.#verify(assertion, 'invalid_client', 'client authentication');
    if (!this.#maps(subject, undefined)) {
      throw oauthError(401, 'invalid_client', 'subject of the client_assertion is not this client');
    }
    return subject;
  }

  /**
   * The subject of the token that is exchanged. A mapped identity is given to the ServiceAccount that it was registered
   * for, and to no other.
   *
   * @param code of the refusal
   * @param authenticated subject of the client's own assertion
   */
  async subject(parameter: string, code: string, authenticated: string | undefined): Promise<string> {
    const subject = await this.#verify(this.required(parameter), code, 'grant');
    if (!this.#maps(subject, authenticated)) {
      throw oauthError(400, code, 'subject of the assertion is not mapped to this client');
    }
    return subject;
  }

  #maps(subject: string, authenticated: string | undefined): boolean {
    const { behaviour, clients } = this.#parts;
    return behaviour.maps(clients.subjectOf(this.#ctx.oidc.client.clientId), subject, {
      authenticated,
      isRegistered: (other) => clients.isRegistered(other),
    });
  }

  /** A refusal becomes `code`, and what cannot be verified now becomes 503. */
  async #verify(assertion: string, code: string, use: AssertionUse): Promise<string> {
    const key = `${use} ${assertion}`;
    const subject = this.#verified.get(key) ?? this.#parts.verify(assertion, use);
    this.#verified.set(key, subject);
    try {
      return await subject;
    } catch (error) {
      if (error instanceof AssertionRefused) {
        throw oauthError(use === 'grant' ? 400 : 401, code, `assertion refused: ${error.message}`);
      }
      if (error instanceof KeysUnavailable) {
        this.#parts.onTrouble(error.message);
        throw oauthError(503, 'temporarily_unavailable', 'the keys of the cluster cannot be had now');
      }
      throw error;
    }
  }
}
