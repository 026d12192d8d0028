import { z } from 'zod';
import { policyRuleSchema } from '../../core/policy-rule.ts';
import { manifestChangeSchema } from '../manifest-change.ts';
import { twinBase, twinName } from '../twin-base.ts';

/** A twin of the role `session-operator`: how it is broken. */
export const sessionOperatorTwinSchema = z.strictObject({
  ...twinBase,
  role: z.literal('session-operator'),
  sessionOperator: z
    .strictObject({
      /** A folder of fixtures/workloads/session-operator-twins; absent: the reference itself. */
      variant: twinName.optional(),
      /** Variables that it is started with beside the reference's. */
      env: z.record(z.string(), z.string()).optional(),
      /** Rules that its target file documents beside the reference's. */
      documents: z.array(policyRuleSchema).min(1).optional(),
      /** The same for a ClusterRole. */
      documentsCluster: z.array(policyRuleSchema).min(1).optional(),
      /** Changes of the workload in its manifests (RFC 6902). */
      manifests: z.array(manifestChangeSchema).min(1).optional(),
    })
    .refine((given) => Object.keys(given).length > 0, 'a variant, variables, rules, or changes of its manifests'),
});
