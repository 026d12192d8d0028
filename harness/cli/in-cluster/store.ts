import { createHash } from 'node:crypto';
import { gunzipSync, gzipSync } from 'node:zlib';
import type { V1ConfigMap, V1OwnerReference } from '@kubernetes/client-node';
import { HarnessError } from '../../core/errors.ts';

/** Label of the ConfigMaps that hold the report of a run inside the cluster: its value is the name of its Job. */
export const REPORT_LABEL = 'kube-agent-conformance/report';

const SHARD = 'kube-agent-conformance/shard';
const PART = 'kube-agent-conformance/part';
const PARTS = 'kube-agent-conformance/parts';
const DIGEST = 'kube-agent-conformance/digest';
const KEY = 'report.json.gz';

/** A ConfigMap takes 1 MiB (Kubernetes, ConfigMaps), and what it says of itself needs some room. */
const PART_BYTES = 900_000;

const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex');

/**
 * The ConfigMaps that hold one shard's report, compressed and cut into parts.
 *
 * @param name of the Job
 * @param shard from 1
 * @param owner what they go with
 */
export function configMapsOf(
  text: string,
  {
    name,
    shard,
    owner,
    partBytes = PART_BYTES,
  }: { name: string; shard: number; owner?: V1OwnerReference; partBytes?: number },
): V1ConfigMap[] {
  const bytes = gzipSync(text);
  const count = Math.max(1, Math.ceil(bytes.length / partBytes));
  return Array.from({ length: count }, (_, part) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name: `${name}-report-${shard}-${part + 1}`,
      labels: { [REPORT_LABEL]: name },
      annotations: {
        [SHARD]: String(shard),
        [PART]: String(part + 1),
        [PARTS]: String(count),
        [DIGEST]: digestOf(text),
      },
      ...(owner === undefined ? {} : { ownerReferences: [owner] }),
    },
    binaryData: { [KEY]: bytes.subarray(part * partBytes, (part + 1) * partBytes).toString('base64') },
  }));
}

/**
 * The reports that ConfigMaps hold, by their shards, in order.
 *
 * @throws HarnessError for a report that is not there as a whole
 */
export function reportsIn(configMaps: readonly V1ConfigMap[]): { shard: number; text: string }[] {
  const shards = Map.groupBy(configMaps, ({ metadata }) => Number(metadata?.annotations?.[SHARD] ?? 0));
  return [...shards]
    .toSorted(([one], [other]) => one - other)
    .map(([shard, maps]) => {
      const of = (map: V1ConfigMap, annotation: string): string => map.metadata?.annotations?.[annotation] ?? '';
      const parts = maps.toSorted((one, other) => Number(of(one, PART)) - Number(of(other, PART)));
      const expected = Number(of(parts[0] ?? {}, PARTS));
      if (parts.length !== expected) {
        throw new HarnessError(`of the report of shard ${shard} there are ${parts.length} of ${expected} parts`);
      }
      const bytes = Buffer.concat(parts.map(({ binaryData }) => Buffer.from(binaryData?.[KEY] ?? '', 'base64')));
      let text: string;
      try {
        text = gunzipSync(bytes).toString();
      } catch (cause) {
        throw new HarnessError(`the report of shard ${shard} cannot be read`, { cause });
      }
      if (digestOf(text) !== of(parts[0] ?? {}, DIGEST)) {
        throw new HarnessError(`the report of shard ${shard} is not what was written: its digest differs`);
      }
      return { shard, text };
    });
}
