import { decodeJwt } from 'jose';

/** A client stands for one ServiceAccount: its assertion is that ServiceAccount's projected token. */
export interface RegisteredClient {
  clientId: string;
  /** `sub` of the projected token: `system:serviceaccount:NAMESPACE:NAME`. */
  subject: string;
}

/** A client that nobody has registered. */
const UNKNOWN = 'unknown';

/** The clients of one provider, by their ids and by their ServiceAccounts. */
export class ClientRegistry {
  readonly #subjects = new Map<string, string>();
  readonly #clientIds = new Map<string, string>();

  register({ clientId, subject }: RegisteredClient): void {
    this.#subjects.set(clientId, subject);
    this.#clientIds.set(subject, clientId);
  }

  has(clientId: string): boolean {
    return this.#subjects.has(clientId);
  }

  /** The ServiceAccount that a client was registered for. */
  subjectOf(clientId: string): string | undefined {
    return this.#subjects.get(clientId);
  }

  /** Whether any client was registered for a ServiceAccount. */
  isRegistered(subject: string): boolean {
    return this.#clientIds.has(subject);
  }

  /** The client that an assertion names, by its `sub` and unverified; `unknown` where there is none. */
  clientNamedBy(assertion: string): string {
    try {
      return this.#clientIds.get(String(decodeJwt(assertion).sub)) ?? UNKNOWN;
    } catch {
      return UNKNOWN;
    }
  }
}
