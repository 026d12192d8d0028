import type KeycloakAdminClient from '@keycloak/keycloak-admin-client';
import { administer } from './administer.ts';

/** The attribute of a client that holds the subject whose token authenticates it. */
const SUBJECT_ATTRIBUTE = 'jwt.credential.sub';

/** A client profile and a client policy of one subject (JSON of Keycloak's Admin REST API). */
function tieOf(subject: string): { profile: Record<string, unknown>; policy: Record<string, unknown> } {
  const name = `only ${subject}`;
  return {
    profile: {
      name,
      executors: [
        // A Java regular expression that matches the whole claim.
        { executor: 'jwt-claim-enforcer', configuration: { 'claim-name': 'sub', 'allowed-value': `\\Q${subject}\\E` } },
      ],
    },
    policy: {
      name,
      enabled: true,
      conditions: [
        {
          condition: 'client-attributes',
          configuration: { attributes: JSON.stringify([{ key: SUBJECT_ATTRIBUTE, value: subject }]) },
        },
      ],
      profiles: [name],
    },
  };
}

/**
 * Lets the client of a subject bring assertions of that subject alone. By itself Keycloak's JWT authorization grant
 * lets every client that may use the identity provider bring those of all users (catalogue AI-12; measured on 26.7.4).
 */
export class SubjectPolicies {
  readonly #admin: KeycloakAdminClient;
  readonly #realm: string;
  readonly #subjects: string[] = [];
  #written: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;

  constructor(admin: KeycloakAdminClient, realm: string) {
    this.#admin = admin;
    this.#realm = realm;
  }

  /** Resolves when the subject is tied. The policies of a realm are one document: all that wait are written at once. */
  tie(subject: string): Promise<void> {
    this.#subjects.push(subject);
    this.#next ??= this.#written.then(() => {
      this.#next = undefined;
      return this.#write();
    });
    this.#written = this.#next;
    return this.#next;
  }

  async #write(): Promise<void> {
    const ties = this.#subjects.map(tieOf);
    const { clientPolicies } = this.#admin;
    const realm = this.#realm;
    // A policy names its profiles: they must be there before.
    await administer(
      `write the client profiles of ${realm}`,
      clientPolicies.createProfiles({ realm, profiles: ties.map(({ profile }) => profile) }),
    );
    await administer(
      `write the client policies of ${realm}`,
      clientPolicies.updatePolicy({ realm, policies: ties.map(({ policy }) => policy) }),
    );
  }
}
