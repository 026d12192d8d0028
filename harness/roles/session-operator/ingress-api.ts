import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';
import { HarnessError, NotTestable } from '../../core/errors.ts';
import type { ClusterHandle } from '../../kubernetes/cluster-handle.ts';

const DEFINITIONS = 'fixtures/manifests/traefik-crds.yaml';
const DEFINITIONS_FILE = fileURLToPath(new URL(`../../../${DEFINITIONS}`, import.meta.url));
const SERVED = '/apis/traefik.io/v1alpha1';

/** Until the API server serves kinds that were defined a moment ago. */
const SERVED_SECONDS = 30;
const LOOK_EVERY_MS = 100;

export function ingressRoutesPath(namespace: string): string {
  return `${SERVED}/namespaces/${namespace}/ingressroutes`;
}

export function middlewaresPath(namespace: string): string {
  return `${SERVED}/namespaces/${namespace}/middlewares`;
}

/**
 * Sees to it that the cluster knows IngressRoutes and Middlewares. The harness's own clusters get them; another cluster
 * stays as it is.
 *
 * @throws NotTestable where a live cluster does not have them, with the command that installs them
 */
export async function provideIngressApi(
  cluster: Pick<ClusterHandle, 'request' | 'owned'>,
  namespace: string,
): Promise<void> {
  const isServed = async (): Promise<boolean> => {
    const answers = await Promise.all(
      [ingressRoutesPath(namespace), middlewaresPath(namespace)].map(async (path) => {
        const response = await cluster.request(`${path}?limit=1`);
        await response.text();
        return response.status;
      }),
    );
    return answers.every((status) => status === 200);
  };
  if (await isServed()) {
    return;
  }
  if (!cluster.owned) {
    throw new NotTestable(
      'the cluster does not serve IngressRoutes and Middlewares of traefik.io/v1alpha1, by which a session operator is seen: ' +
        `install Traefik's, or kubectl apply -f ${DEFINITIONS}`,
    );
  }
  for (const document of parseAllDocuments(readFileSync(DEFINITIONS_FILE, 'utf8'))) {
    const response = await cluster.request('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(document.toJS()),
    });
    const answer = await response.text();
    // Another worker was faster.
    if (response.status !== 201 && response.status !== 409) {
      throw new HarnessError(`a definition of ${DEFINITIONS} was refused: ${response.status}: ${answer.slice(0, 300)}`);
    }
  }
  // Established is told before every part of the API server acts by it: what counts is that requests are answered.
  for (const deadline = Date.now() + SERVED_SECONDS * 1000; !(await isServed()); await delay(LOOK_EVERY_MS)) {
    if (Date.now() > deadline) {
      throw new HarnessError(
        `the cluster does not serve the kinds of ${DEFINITIONS} ${SERVED_SECONDS} s after it got them`,
      );
    }
  }
}
