import { z } from 'zod';
import { targetBase } from '../target-base.ts';

const text = z.string().trim().min(1);

/**
 * What storage may not promise, and no other row needs: a requirement of it is not applicable where the target file
 * says so.
 */
export const STORAGE_PROMISES = ['file-locks', 'atomic-append', 'atomic-rename', 'fs-group'] as const;
export type StoragePromise = (typeof STORAGE_PROMISES)[number];

/** A target file of the role `cluster`: what its owner says of it. The cluster itself is the one of `--cluster`. */
export const clusterTargetSchema = z.strictObject({
  ...targetBase,
  role: z.literal('cluster'),
  storage: z
    .strictObject({
      /** StorageClass for ordinary claims; `false`: there is none to be used; absent: the cluster's default one. */
      readWriteOnce: z.union([text, z.literal(false)]).optional(),
      /** StorageClass for ReadWriteMany; `false`: there is none; absent: each class is asked. */
      readWriteMany: z.union([text, z.literal(false)]).optional(),
      /** `false`: no class gives ReadWriteOncePod; absent: it is found out. */
      readWriteOncePod: z.literal(false).optional(),
      /** What is not promised, each with why: nothing else is taken for an excuse. */
      notPromised: z.partialRecord(z.enum(STORAGE_PROMISES), text).default({}),
    })
    .default({ notPromised: {} }),
  /**
   * `false`: nothing in the cluster enforces NetworkPolicies (WH-08); absent: it is taken to do so, as Kubernetes asks
   * of its network.
   */
  networkPolicies: z.literal(false).optional(),
});

export type ClusterTarget = z.infer<typeof clusterTargetSchema>;
