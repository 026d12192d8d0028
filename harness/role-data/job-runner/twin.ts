import { z } from 'zod';
import { policyRuleSchema } from '../../core/policy-rule.ts';
import { manifestChangeSchema } from '../manifest-change.ts';
import { twinBase, twinName } from '../twin-base.ts';

/** A twin of the role `job-runner`: how it is broken. */
export const jobRunnerTwinSchema = z.strictObject({
  ...twinBase,
  role: z.literal('job-runner'),
  jobRunner: z
    .strictObject({
      /** A folder of fixtures/workloads/job-runner-twins; absent: the reference itself. */
      variant: twinName.optional(),
      /** Rules that its target file documents beside the reference's. */
      documents: z.array(policyRuleSchema).min(1).optional(),
      /** Pod Security level of its namespaces, where its pods would not be admitted under `restricted`. */
      podSecurity: z.enum(['baseline', 'privileged']).optional(),
      /** Changes of the workload in its manifests (RFC 6902). */
      manifests: z.array(manifestChangeSchema).min(1).optional(),
    })
    .refine(
      ({ variant, documents, manifests }) =>
        variant !== undefined || documents !== undefined || manifests !== undefined,
      'a variant, rules, changes of its manifests, or several of these',
    ),
});
