import type { IncomingMessage } from 'node:http';
import type { V1Container, V1Pod, V1PodSpec } from '@kubernetes/client-node';
import type { AskedFor, AskedPod } from '../../../kubernetes/api-record.ts';
import type { Exchange } from './recorder.ts';

/** No pod is larger (etcd takes 1.5 MiB). */
const LARGEST_BYTES = 2 * 2 ** 20;

/** Keeps the pod that a request asks to be created, once its body has passed. */
export function keepAskedPod(exchange: Exchange, request: IncomingMessage): void {
  if (!asksForPod(exchange.asked)) {
    return;
  }
  const body: Buffer[] = [];
  let bytes = 0;
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= LARGEST_BYTES) {
      body.push(chunk);
    }
  });
  request.on('end', () => {
    const pod = bytes > LARGEST_BYTES ? undefined : podIn(Buffer.concat(body).toString());
    if (pod !== undefined) {
      exchange.record.pod = pod;
    }
  });
}

function asksForPod({ verb, group, resource, subresource }: AskedFor): boolean {
  return verb === 'create' && group === '' && resource === 'pods' && subresource === undefined;
}

/** @returns undefined for what is no pod in JSON */
export function podIn(text: string): AskedPod | undefined {
  try {
    const { metadata, spec } = JSON.parse(text) as V1Pod;
    const name = metadata?.name;
    return spec === undefined ? undefined : { ...(name === undefined ? {} : { name }), spec: withoutSecrets(spec) };
  } catch {
    // A target may send anything.
    return undefined;
  }
}

function withoutSecrets(spec: V1PodSpec): V1PodSpec {
  const bare = ({ command: _, args: __, env, ...container }: V1Container): V1Container => ({
    ...container,
    ...(env === undefined ? {} : { env: env.map(({ value: ___, ...variable }) => variable) }),
  });
  return {
    ...spec,
    containers: spec.containers.map(bare),
    ...(spec.initContainers === undefined ? {} : { initContainers: spec.initContainers.map(bare) }),
  };
}
