import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { CoreV1Api, KubeConfig, type KubernetesObject, KubernetesObjectApi } from '@kubernetes/client-node';
import { parseAllDocuments } from 'yaml';
import { HarnessError } from '../core/errors.ts';
import type { PolicyRule } from '../core/policy-rule.ts';
import { type ApiRecord, describeRecord } from './api-record.ts';
import { ruleAllows } from './rbac.ts';

/** What is documented that the harness needs of a live cluster: the manifest that a user applies. */
const MANIFEST = fileURLToPath(new URL('../../fixtures/manifests/harness-rbac.yaml', import.meta.url));
const NAMESPACE = 'kube-agent-conformance';
const SERVICE_ACCOUNT = 'conformance';
const CONTROLS = 'kube-agent-conformance-controls';
const TOKEN_SECONDS = 3600;

/** The user that the manifest gives the rights to. */
export const HARNESS_USER = `system:serviceaccount:${NAMESPACE}:${SERVICE_ACCOUNT}`;

interface DocumentedObject extends KubernetesObject {
  rules?: PolicyRule[];
}

function documentedObjects(): DocumentedObject[] {
  return parseAllDocuments(readFileSync(MANIFEST, 'utf8')).map((document) => document.toJS() as DocumentedObject);
}

/**
 * The rules of one of its ClusterRoles.
 *
 * @throws HarnessError where the manifest has none of that name
 */
export function documentedRules(name: string): PolicyRule[] {
  const role = documentedObjects().find(({ kind, metadata }) => kind === 'ClusterRole' && metadata?.name === name);
  if (role?.rules === undefined) {
    throw new HarnessError(`${MANIFEST} has no ClusterRole ${name}`);
  }
  return role.rules;
}

/**
 * Applies the manifest to a cluster, and answers a kubeconfig of the ServiceAccount in it.
 *
 * @param administrator kubeconfig, YAML
 */
export async function kubeConfigOfHarness(administrator: string): Promise<string> {
  const config = new KubeConfig();
  config.loadFromString(administrator);
  const objects = KubernetesObjectApi.makeApiClient(config);
  for (const object of documentedObjects()) {
    await objects.create(object);
  }
  const { status } = await config.makeApiClient(CoreV1Api).createNamespacedServiceAccountToken({
    namespace: NAMESPACE,
    name: SERVICE_ACCOUNT,
    body: { spec: { audiences: [], expirationSeconds: TOKEN_SECONDS } },
  });
  const cluster = config.getCurrentCluster();
  if (cluster === null || status?.token === undefined) {
    throw new HarnessError('the kubeconfig has no current context, or its cluster gave no token');
  }
  const restricted = new KubeConfig();
  restricted.loadFromClusterAndUser(cluster, { name: SERVICE_ACCOUNT, token: status.token });
  return restricted.exportConfig();
}

/**
 * What was refused, in words, though it is none of the calls that are documented as controls to be had for more rights.
 */
export function refusedBeyondControls(records: readonly ApiRecord[]): string[] {
  const controls = documentedRules(CONTROLS);
  // Impersonation is asked of the authorizer in addition to the request, which is a review that everybody may have.
  const isControl = (record: ApiRecord): boolean =>
    record.resource === 'selfsubjectreviews' || controls.some((rule) => ruleAllows(rule, record));
  const refused = records.filter((record) => record.code === 403 && !isControl(record));
  return [...new Set(refused.map((record) => `refused to the harness: ${describeRecord(record)}`))];
}
