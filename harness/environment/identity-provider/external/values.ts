import { HarnessError } from '../../../core/errors.ts';
import type { Values } from '../../../core/placeholders.ts';
import type { Fetch } from '../../../oauth/fetch.ts';
import { type AdditionalIssuerTrust, subjectOf, type WorkloadIdentity } from '../../../oauth/provider.ts';
import { clientIdOf, type IdentityProviderContext } from '../context.ts';
import type { IdentityProviderTarget } from './servers.ts';

/**
 * The values of the cluster that a target file may use. Its keys are fetched only where the file names them, or has a
 * command that may want them.
 */
export async function clusterValues(
  { trust, fetch, clusterKeys }: IdentityProviderContext,
  target: IdentityProviderTarget,
): Promise<Values> {
  const values: Values = {
    'cluster.issuer': trust.issuer,
    'cluster.jwksUri': trust.jwksUri,
    'cluster.ca': trust.ca,
    'cluster.algorithm': trust.algorithms?.[0] ?? 'RS256',
  };
  const steps = [target.setUp, target.register];
  const named = JSON.stringify(steps).includes('${cluster.jwks}');
  const wanted = steps.some((step) => step !== undefined && 'command' in step && step.command !== undefined);
  if (!named && !wanted) {
    return values;
  }
  const keys = clusterKeys?.() ?? keysAt(fetch, trust.jwksUri);
  try {
    // As JSON text: it is put into a string of the provider's configuration.
    return { ...values, 'cluster.jwks': await keys };
  } catch (error) {
    if (named) {
      throw error;
    }
    return values;
  }
}

async function keysAt(fetch: Fetch, url: string): Promise<string> {
  const response = await fetch(url, { signal: AbortSignal.timeout(30_000) });
  const keys = await response.text();
  if (response.status !== 200) {
    throw new HarnessError(`the cluster's keys at ${url} were answered ${response.status}`);
  }
  return keys;
}

/** What stands in the cluster's place where an additional issuer is trusted. */
export function issuerValues({ issuer, algorithms, keys, published }: AdditionalIssuerTrust): Values {
  return {
    'cluster.issuer': issuer,
    'cluster.jwksUri': keys !== undefined && 'url' in keys ? keys.url : `${issuer}/openid/v1/jwks`,
    'cluster.jwks': keys !== undefined && 'jwks' in keys ? keys.jwks : published,
    'cluster.algorithm': algorithms[0] ?? 'RS256',
  };
}

/** What a registration may name of a workload. */
export function workloadValues(workload: WorkloadIdentity): Values {
  return {
    'workload.namespace': workload.namespace,
    'workload.serviceAccount': workload.serviceAccount,
    'workload.subject': subjectOf(workload),
    'workload.clientId': clientIdOf(workload),
  };
}
