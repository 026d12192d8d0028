import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CoreV1Api, type V1OwnerReference } from '@kubernetes/client-node';
import { HarnessError, UsageError } from '../../core/errors.ts';
import type { Settings } from '../../targets/settings.ts';
import { atCluster } from './api.ts';
import { configMapsOf } from './store.ts';

/** Which pod this is, by the downward API (see job.ts). @throws UsageError where it is none */
function podOf(env: NodeJS.ProcessEnv): { namespace: string; owner: (name: string) => V1OwnerReference | undefined } {
  const { POD_NAMESPACE: namespace, JOB_UID: uid } = env;
  if (namespace === undefined || namespace === '') {
    throw new UsageError('--publish is for a run in a pod: POD_NAMESPACE says in which namespace, and is not set');
  }
  return {
    namespace,
    owner: (name) => (uid === undefined || uid === '' ? undefined : { apiVersion: 'batch/v1', kind: 'Job', name, uid }),
  };
}

export interface PublishOptions {
  /** Of the Job. */
  name: string;
  /** From 1. */
  shard: number;
  context?: string | undefined;
  settings?: Settings | undefined;
  env?: NodeJS.ProcessEnv;
}

/**
 * Puts the report of a folder into ConfigMaps beside the pod that this is, for `conformance collect`. They go with the
 * Job of this name.
 */
export async function publishReport(
  folder: string,
  { name, shard, context, settings, env = process.env }: PublishOptions,
): Promise<void> {
  const { namespace, owner } = podOf(env);
  const reference = owner(name);
  const text = readFileSync(join(folder, 'report.json'), 'utf8');
  await atCluster({ context, settings }, async (config) => {
    const core = config.makeApiClient(CoreV1Api);
    for (const body of configMapsOf(text, {
      name,
      shard,
      ...(reference === undefined ? {} : { owner: reference }),
    })) {
      await core.createNamespacedConfigMap({ namespace, body }).catch((cause: unknown) => {
        throw new HarnessError(`the report cannot be put into the ConfigMap ${namespace}/${body.metadata?.name}`, {
          cause,
        });
      });
    }
  });
}
