import { stringify } from 'yaml';
import { z } from 'zod';
import { HarnessError } from '../../core/errors.ts';
import type { RunPki } from '../../core/pki.ts';
import type { PolicyRule } from '../../core/policy-rule.ts';
import { takesNoTokens } from '../../kubernetes/cluster-handle.ts';
import type { TargetAccessData, TargetAccessOptions } from '../../rpc/target-access.ts';
import { type ApiFault, apiFaultSchema } from '../../rpc/target-access.ts';
import type { StartedCluster } from './cluster.ts';
import { BoundServiceAccount } from './target-access/service-account.ts';
import { startTargetProxy, type TargetProxy } from './target-proxy.ts';

/** An access in the main process. */
interface OpenAccess {
  account: BoundServiceAccount;
  proxy: TargetProxy;
}

const LOOPBACK = '127.0.0.1';

/** The accesses of a run, by their ids: the workers ask for them through the control server. */
export class TargetAccesses {
  readonly #runId: string;
  readonly #open = new Map<string, OpenAccess>();
  #count = 0;

  constructor(runId: string) {
    this.#runId = runId;
  }

  /**
   * Makes a ServiceAccount that is bound to exactly the rules and starts a recording proxy for it.
   *
   * @param pods address at which pods of the cluster reach this host; absent where they do not
   * @throws HarnessError where the harness may not give the rules (it holds less itself), they do not take effect, or a
   *   front before the API server takes the holder of the token for somebody else
   */
  async open(
    cluster: StartedCluster,
    pki: RunPki,
    options: TargetAccessOptions,
    pods?: string,
  ): Promise<TargetAccessData> {
    const { misreadsTokens } = cluster.data;
    if (misreadsTokens !== undefined) {
      throw new HarnessError(takesNoTokens(misreadsTokens));
    }
    this.#count += 1;
    const id = String(this.#count);
    const account = await BoundServiceAccount.create(cluster, options, { id, runId: this.#runId });
    const hosts = [LOOPBACK, ...(pods === undefined ? [] : [pods])];
    const proxy = await startTargetProxy({
      kubeConfig: cluster.data.kubeConfig,
      tls: await pki.issue('localhost', { ips: hosts }),
      hosts,
    });
    this.#open.set(id, { account, proxy });
    return accessData(id, account, proxy, pki.ca);
  }

  #of(id: string): OpenAccess {
    const access = this.#open.get(id);
    if (access === undefined) {
      throw new HarnessError(`no access of a target is called ${id}, or it was closed`);
    }
    return access;
  }

  records(id: string): ReturnType<TargetProxy['records']> {
    return this.#of(id).proxy.records();
  }

  setFaults(id: string, faults: ApiFault[]): void {
    this.#of(id).proxy.setFaults(z.array(apiFaultSchema).parse(faults));
  }

  setRules(id: string, rules: PolicyRule[]): Promise<void> {
    return this.#of(id).account.setRules(rules);
  }

  async close(id: string): Promise<void> {
    const { proxy, account } = this.#of(id);
    await proxy.close();
    await account.remove();
    this.#open.delete(id);
  }

  async closeAll(): Promise<void> {
    await Promise.all([...this.#open.keys()].map((id) => this.close(id)));
  }
}

/** The plain data of an access: how a child process, and a pod, reach the API server. */
function accessData(id: string, account: BoundServiceAccount, proxy: TargetProxy, ca: string): TargetAccessData {
  const { namespace, name: serviceAccount, user, token } = account;
  const [local, inside] = proxy.addresses;
  return {
    id,
    namespace,
    serviceAccount,
    user,
    kubeConfig: kubeConfigText(`https://${local?.host}:${local?.port}`, ca, token, namespace),
    ...(inside === undefined
      ? {}
      : { inCluster: { KUBERNETES_SERVICE_HOST: inside.host, KUBERNETES_SERVICE_PORT: String(inside.port) } }),
  };
}

function kubeConfigText(server: string, ca: string, token: string, namespace: string): string {
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'target',
    clusters: [
      { name: 'target', cluster: { server, 'certificate-authority-data': Buffer.from(ca).toString('base64') } },
    ],
    users: [{ name: 'target', user: { token } }],
    contexts: [{ name: 'target', context: { cluster: 'target', user: 'target', namespace } }],
  });
}
