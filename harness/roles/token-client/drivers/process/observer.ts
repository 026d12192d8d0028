import type { Stall } from '../../../../../fixtures/workloads/lib/heartbeat.ts';
import { Observer } from '../../../../../fixtures/workloads/observer/observer.ts';
import type { ObserverRecord } from '../../../../../fixtures/workloads/observer/records.ts';
import type { Act } from '../../../../../fixtures/workloads/observer/simulated.ts';
import { HarnessError } from '../../../../core/errors.ts';
import { makePki } from '../../../../core/pki.ts';
import { SIMULATED_HOSTS, simulatedProviders } from '../../../../fakes/simulated-providers.ts';
import { RESOURCE_SERVER_HOST } from '../../../../probes/observer.ts';
import type { RequirementContext } from '../../../../rpc/context.ts';
import { startObservingProxy } from './network.ts';

/** Takes what is to be done when the sandbox is stopped: the last first. */
export type OnStop = (stop: () => Promise<unknown> | unknown) => void;

/** What a local observer is reached by. */
interface Endpoints {
  /** Port of the issuers of the providers, the simulated ones included, by their names. */
  port: number;
  /** The proxy that leads to it by names, and nowhere else. */
  proxyUrl: string;
  /** CA of its certificate, PEM. */
  ca: string;
  /** URL at which it is told and asked things. */
  controlUrl: string;
}

/** The observer of a client that is a process of this host: it runs in this process. */
export class LocalObserver {
  readonly port: number;
  readonly proxyUrl: string;
  readonly ca: string;
  readonly #controlUrl: string;

  private constructor({ port, proxyUrl, ca, controlUrl }: Endpoints) {
    this.port = port;
    this.proxyUrl = proxyUrl;
    this.ca = ca;
    this.#controlUrl = controlUrl;
  }

  /**
   * Starts it, and the proxy on the way to it.
   *
   * @param onStop is given what stops each of them
   */
  static async start(t: RequirementContext, onStop: OnStop): Promise<LocalObserver> {
    const { host, port, upstream, providers, ca } = await t.identityProvider();
    const { cert, key } = await t.certificate(host, {
      names: [RESOURCE_SERVER_HOST, SIMULATED_HOSTS.simulated, SIMULATED_HOSTS.tenants, SIMULATED_HOSTS.elsewhere],
    });
    // Of a CA that is made for it and then forgotten: nobody trusts it.
    const untrusted = await (await makePki('untrusted')).issue(SIMULATED_HOSTS.untrusted);
    const observer = new Observer({
      ports: { https: 0, http: 0 },
      address: '127.0.0.1',
      tls: { certificate: cert, key, ca },
      identityProvider: { host, port, upstream },
      providers,
      simulated: {
        providers: simulatedProviders({ hosts: SIMULATED_HOSTS, port }),
        elsewhere: SIMULATED_HOSTS.elsewhere,
        untrusted: { host: SIMULATED_HOSTS.untrusted, certificate: untrusted.cert, key: untrusted.key },
      },
    });
    const ports = await observer.start();
    onStop(() => observer.stop());
    const hosts = [host, RESOURCE_SERVER_HOST, ...Object.values(SIMULATED_HOSTS)];
    const proxy = await startObservingProxy(Object.fromEntries(hosts.map((each) => [`${each}:${port}`, ports.https])));
    onStop(() => proxy.stop());
    return new LocalObserver({ port, proxyUrl: proxy.url, ca, controlUrl: `http://127.0.0.1:${ports.http}` });
  }

  /** URL of the resource server of a provider. */
  baseURL(provider: string): string {
    return `https://${RESOURCE_SERVER_HOST}:${this.port}/${provider}/v1`;
  }

  async records(): Promise<ObserverRecord[]> {
    return ((await this.#ask('/records')) as { records: ObserverRecord[] }).records;
  }

  async stalls(): Promise<Stall[]> {
    return ((await this.#ask('/stalls')) as { stalls: Stall[] }).stalls;
  }

  /** Has the resource server of a provider refuse its next request. */
  async refuseNext(provider: string): Promise<void> {
    await this.#ask(`/refuse?provider=${encodeURIComponent(provider)}`, 'POST');
  }

  /** Adds a client id to the token requests to a provider that name none, on their way there. */
  async addClientId(provider: string, clientId: string): Promise<void> {
    await this.#ask(
      `/client?provider=${encodeURIComponent(provider)}&client_id=${encodeURIComponent(clientId)}`,
      'POST',
    );
  }

  /** Says how a simulated provider behaves from now on. @param lifeSeconds life of its access tokens */
  async act(provider: string, act: Act, lifeSeconds?: number): Promise<void> {
    const life = lifeSeconds === undefined ? '' : `&life=${lifeSeconds}`;
    await this.#ask(`/act?provider=${encodeURIComponent(provider)}&act=${act}${life}`, 'POST');
  }

  async #ask(path: string, method = 'GET'): Promise<unknown> {
    const response = await fetch(`${this.#controlUrl}${path}`, { method });
    if (!response.ok) {
      throw new HarnessError(`the observer answers ${response.status} to ${path}`);
    }
    return response.json();
  }
}
