import { randomBytes } from 'node:crypto';
import { HarnessError } from '../../../core/errors.ts';
import { fill, type Values } from '../../../core/placeholders.ts';
import {
  type AdditionalIssuerTrust,
  type ProviderDescription,
  type Registration,
  subjectOf,
  type WorkloadIdentity,
} from '../../../oauth/provider.ts';
import type { IdentityProviderContext } from '../context.ts';
import { type DeclaredProvider, descriptionOf } from './description.ts';
import { findRegistration, register } from './registrations.ts';
import type { IdentityProviderTarget, TargetServer } from './servers.ts';
import { ProviderSetup } from './setup.ts';
import { issuerValues, workloadValues } from './values.ts';

/** A provider that was set up, with what its requests and commands may name. */
interface SetUpProvider {
  values: Values;
  /** True for those of the file, false for those that trust an additional issuer. */
  isDeclared: boolean;
}

/** The providers of a target file on its server: set up, registered at, and torn down as the file says. */
export class DeclaredProviders {
  readonly #context: IdentityProviderContext;
  readonly #target: IdentityProviderTarget;
  readonly #server: TargetServer;
  readonly #cluster: Values;
  readonly #setup: ProviderSetup;
  readonly #providers = new Map<string, SetUpProvider>();
  readonly #registrations = new Map<string, Promise<Registration>>();

  /** @param cluster its values, that the file may name */
  constructor(context: IdentityProviderContext, target: IdentityProviderTarget, server: TargetServer, cluster: Values) {
    this.#context = context;
    this.#target = target;
    this.#server = server;
    this.#cluster = cluster;
    this.#setup = new ProviderSetup(target, server.admin, context.onProgress);
  }

  /** Sets the providers of the file up, one after another, and describes them. */
  async setUpAll(): Promise<ProviderDescription[]> {
    const { providers = [], file } = this.#target;
    const filled = fill(providers, { ...this.#server.values, ...this.#cluster }, `${file}: providers`);
    const descriptions: ProviderDescription[] = [];
    for (const provider of filled) {
      descriptions.push(await this.#setUp(provider, this.#cluster, true));
    }
    return descriptions;
  }

  /** Registers a workload, once. @throws HarnessError for a provider that is not described */
  async register(name: string, workload: WorkloadIdentity): Promise<Registration> {
    const provider = this.#providers.get(name);
    if (provider === undefined) {
      throw new HarnessError(`${this.#target.file} describes no provider "${name}"`);
    }
    const key = `${name} ${subjectOf(workload)}`;
    const registration =
      this.#registrations.get(key) ??
      (provider.isDeclared && this.#target.register?.workloads !== undefined
        ? findRegistration(this.#target, workload, provider.values)
        : this.#alone(name, () =>
            register(this.#setup, this.#target, { ...provider.values, ...workloadValues(workload) }),
          ));
    this.#registrations.set(key, registration);
    return registration;
  }

  /** Sets up one more provider, which trusts an issuer in the cluster's place. */
  async addTrusting(
    trust: AdditionalIssuerTrust,
    { provider, keys: _, tls: __, ...step }: NonNullable<IdentityProviderTarget['furtherIssuer']>,
  ): Promise<ProviderDescription> {
    // A new name each time: what a run that was killed has left behind may still be there.
    const name = `additional-issuer-${randomBytes(4).toString('hex')}`;
    const trusted = { ...this.#cluster, ...issuerValues(trust) };
    const known = { ...this.#server.values, ...trusted, 'provider.name': name };
    const filled = { name, ...fill(provider, known, `${this.#target.file}: furtherIssuer.provider`) };
    const description = await this.#setUp(filled, trusted, false);
    await this.#setup.apply(step, this.#providers.get(name)?.values ?? known, 'furtherIssuer');
    return description;
  }

  /** Removes what was made, and nothing that was there before and stood in its way. */
  async tearDown(): Promise<void> {
    for (const { values } of this.#providers.values()) {
      await this.#setup.request(this.#target.tearDown, values, 'tearDown');
    }
  }

  /** Administers a provider while nobody else asks it anything, where its server wants that. */
  #alone<T>(name: string, work: () => Promise<T>): Promise<T> {
    return this.#server.alone?.(name, work) ?? work();
  }

  async #setUp(provider: DeclaredProvider, trusted: Values, isDeclared: boolean): Promise<ProviderDescription> {
    const { name } = provider;
    const described = Object.entries({ ...provider, ...provider.values }).map(([key, value]) => [
      `provider.${key}`,
      value,
    ]);
    const known = { ...this.#server.values, ...trusted, ...Object.fromEntries(described) };
    const values = { ...known, ...(await this.#server.startFor?.(name, known)) };
    await this.#setup.apply(this.#target.setUp, values, 'setUp');
    this.#providers.set(name, { values, isDeclared });
    return descriptionOf(this.#context, provider);
  }
}
