import { GenericContainer, type StartedTestContainer, Wait } from 'testcontainers';
import { bundleWorkload } from '../../../core/bundle.ts';
import { HarnessError } from '../../../core/errors.ts';
import { API_SERVER_PORT, RUN_LABEL } from '../../../core/names.ts';
import type { RunPki } from '../../../core/pki.ts';
import { CLUSTER_API_AUDIENCES, type ClusterHosts, CONFORMANCE_FOLDER } from './layout.ts';

const CONTROL_PORT = 8081;

export interface AcceleratorOptions {
  runId: string;
  hosts: ClusterHosts;
  networkName: string;
  pki: RunPki;
  /** Reference of an image that has Node. */
  image: string;
  /** Life of a projected token for which there is no rule, in seconds. */
  defaultLifetimeSeconds: number;
  /** Bearer token of its control interface. */
  controlSecret: string;
}

/**
 * Starts the token accelerator: a proxy between the kubelet and the API server that shortens the life of the projected
 * tokens (see fixtures/workloads/token-accelerator). The kubelet, its rotation and its files are the real ones.
 */
export async function startAccelerator(options: AcceleratorOptions): Promise<StartedTestContainer> {
  const { hosts, pki, defaultLifetimeSeconds, controlSecret } = options;
  const { cert, key } = await pki.issue(hosts.accelerator);
  const config = {
    listen: { port: API_SERVER_PORT, controlPort: CONTROL_PORT },
    tls: { certificateFile: `${CONFORMANCE_FOLDER}/tls.crt`, keyFile: `${CONFORMANCE_FOLDER}/tls.key` },
    upstream: { name: hosts.apiServer, port: API_SERVER_PORT, caFile: `${CONFORMANCE_FOLDER}/ca.crt` },
    serviceAccountKeyFile: `${CONFORMANCE_FOLDER}/service.key`,
    apiAudiences: CLUSTER_API_AUDIENCES,
    defaultLifetimeSeconds,
    controlSecret,
  };
  return new GenericContainer(options.image)
    .withLabels({ [RUN_LABEL]: options.runId })
    .withNetworkMode(options.networkName)
    .withNetworkAliases(hosts.accelerator)
    .withExposedPorts(CONTROL_PORT)
    .withCopyContentToContainer([
      { target: '/app/main.mjs', content: await bundleWorkload('token-accelerator') },
      { target: `${CONFORMANCE_FOLDER}/accelerator.json`, content: JSON.stringify(config) },
      { target: `${CONFORMANCE_FOLDER}/tls.crt`, content: cert },
      { target: `${CONFORMANCE_FOLDER}/tls.key`, content: key },
      { target: `${CONFORMANCE_FOLDER}/ca.crt`, content: pki.ca },
      { target: `${CONFORMANCE_FOLDER}/service.key`, content: pki.serviceAccountKey },
    ])
    .withCommand(['node', '/app/main.mjs'])
    .withWaitStrategy(Wait.forListeningPorts())
    .withStartupTimeout(30_000)
    .start();
}

/**
 * The control interface of a token accelerator. On the real clock there is none: lives stay, and faults are harness
 * errors.
 */
export class AcceleratorControl {
  readonly #url: string | undefined;
  readonly #secret: string;
  readonly #lifetimes = new Map<string, number>();
  #sent = Promise.resolve();

  /** @param url of the control interface; undefined on the real clock */
  constructor(url: string | undefined, secret: string) {
    this.#url = url;
    this.#secret = secret;
  }

  static of(container: StartedTestContainer | undefined, secret: string): AcceleratorControl {
    const url = container && `http://${container.getHost()}:${container.getMappedPort(CONTROL_PORT)}`;
    return new AcceleratorControl(url, secret);
  }

  /** Gives projected tokens for an audience a life of their own; settled once it holds. */
  setLifetime(audience: string, seconds: number): Promise<void> {
    if (this.#url === undefined || this.#lifetimes.get(audience) === seconds) {
      return this.#sent;
    }
    this.#lifetimes.set(audience, seconds);
    const rules = [...this.#lifetimes].map(([name, lifetimeSeconds]) => ({ audience: name, lifetimeSeconds }));
    // Each request replaces all rules: one that arrived late would undo the one after it.
    this.#sent = this.#sent.then(() => this.#put('/rules', rules));
    return this.#sent;
  }

  /** Gives the TokenRequests of a namespace a fault. */
  setTokenRequestFault(namespace: string, fault: string): Promise<void> {
    return this.#put(`/faults/${namespace}`, { fault });
  }

  async #put(path: string, body: unknown): Promise<void> {
    if (this.#url === undefined) {
      throw new HarnessError(`the token accelerator is asked for ${path}, but the clock is real`);
    }
    const response = await fetch(`${this.#url}${path}`, {
      method: 'PUT',
      headers: { authorization: `Bearer ${this.#secret}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    if (!response.ok) {
      throw new HarnessError(`the token accelerator answered ${response.status} to ${path}: ${await response.text()}`);
    }
  }
}
