import { ApiException, AuthorizationV1Api, type KubeConfig, type V1ResourceAttributes } from '@kubernetes/client-node';
import { HarnessError } from '../../../core/errors.ts';
import type { Right } from '../../../kubernetes/rbac.ts';
import { SharedConnections } from '../../../kubernetes/shared-connections.ts';

/**
 * Whether a ServiceAccount has a right, in a namespace or in the whole cluster, as the API server's authorizer knows it
 * now.
 */
export type IsAllowed = (right: Right, scope?: string) => Promise<boolean>;

export interface AccessReviewOptions {
  /** The harness's own. */
  config: KubeConfig;
  /** `system:serviceaccount:NAMESPACE:NAME`. */
  user: string;
  namespace: string;
  /** The ServiceAccount's. */
  token: string;
  /** True for a cluster of the harness's. */
  owned: boolean;
}

/**
 * Asks what a ServiceAccount may do. On a live cluster the ServiceAccount asks for itself, which every user may, and
 * the harness needs no right for; on the harness's own, where what it asks would stand in the audit log, an
 * administrator asks.
 */
export function accessReview(options: AccessReviewOptions): IsAllowed {
  return options.owned ? reviewByAdministrator(options) : reviewByItself(options);
}

function reviewByAdministrator({ config, user, namespace }: AccessReviewOptions): IsAllowed {
  const groups = ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'];
  const authorization = config.makeApiClient(AuthorizationV1Api);
  return async (right, scope) => {
    const spec = { user, groups, resourceAttributes: attributesOf(right, scope) };
    return (await authorization.createSubjectAccessReview({ body: { spec } })).status?.allowed === true;
  };
}

/** @throws HarnessError where the API server, or a front before it, does not take the token */
function reviewByItself({ config, user, token }: AccessReviewOptions): IsAllowed {
  const cluster = config.getCurrentCluster();
  if (cluster === null) {
    throw new HarnessError('the kubeconfig has no current context');
  }
  const ownConfig = new SharedConnections();
  ownConfig.loadFromClusterAndUser(cluster, { name: user, token });
  const authorization = ownConfig.makeApiClient(AuthorizationV1Api);
  return async (right, scope) => {
    try {
      const spec = { resourceAttributes: attributesOf(right, scope) };
      return (await authorization.createSelfSubjectAccessReview({ body: { spec } })).status?.allowed === true;
    } catch (error) {
      if (!(error instanceof ApiException) || error.code !== 401) {
        throw error;
      }
      throw new HarnessError(
        `the API server of the kubeconfig does not take the token of ${user} (401): a front before it may take those of its own users alone`,
      );
    }
  };
}

function attributesOf(right: Right, scope?: string): V1ResourceAttributes {
  const [resource = '', subresource] = right.resource.split('/');
  return {
    verb: right.verb,
    group: right.group,
    resource,
    ...(subresource === undefined ? {} : { subresource }),
    ...(right.name === undefined ? {} : { name: right.name }),
    ...(scope === undefined ? {} : { namespace: scope }),
  };
}
