import { z } from 'zod';
import { text, twinBase, twinName } from '../twin-base.ts';

/** A change of what is created: exactly one of `set` (CEL ApplyConfiguration) and `patch` (CEL JSONPatch). */
const mutationSchema = z
  .strictObject({
    group: text.optional(),
    resource: text,
    operations: z.array(z.enum(['CREATE', 'UPDATE'])).optional(),
    when: text.optional(),
    set: text.optional(),
    patch: text.optional(),
  })
  .refine(({ set, patch }) => (set === undefined) !== (patch === undefined), 'exactly one of `set` and `patch`');

/** A twin of the role `cluster`: how it is broken. */
export const clusterTwinSchema = z.strictObject({
  ...twinBase,
  role: z.literal('cluster'),
  cluster: z.strictObject({
    /** Fault of the token accelerator for the namespaces of this twin (fixtures/workloads/token-accelerator). */
    tokenRequests: twinName.optional(),
    /** Fault of a proxy in front of the API server (harness/environment/cluster/faults/faulty-api-server.ts). */
    apiProxy: twinName.optional(),
    /**
     * Something that works against the pods of this twin's namespaces
     * (harness/environment/cluster/faults/fault-injectors.ts).
     */
    faultInjector: twinName.optional(),
    /** Objects, for example a MutatingAdmissionPolicy; `$NAMESPACE` stands for each namespace of the twin. */
    objects: z.array(z.record(z.string(), z.unknown())).optional(),
    /**
     * Changes that the cluster makes to what it is given in this twin's namespaces
     * (harness/environment/cluster/faults/admission-policies.ts).
     */
    mutates: z.array(mutationSchema).min(1).optional(),
    /** Further arguments of `server`, as k3s takes them: the twin gets a cluster of its own. */
    serverArguments: z.array(z.string()).optional(),
    /** Whether its cluster enforces NetworkPolicies; true: one beside that of the other twins, which does not. */
    networkPolicies: z.boolean().optional(),
  }),
});
