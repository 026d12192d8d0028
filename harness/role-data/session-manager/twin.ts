import { z } from 'zod';
import { policyRuleSchema } from '../../core/policy-rule.ts';
import { manifestChangeSchema } from '../manifest-change.ts';
import { twinBase, twinName } from '../twin-base.ts';

/** A twin of the role `session-manager`: how it is broken. */
export const sessionManagerTwinSchema = z.strictObject({
  ...twinBase,
  role: z.literal('session-manager'),
  sessionManager: z
    .strictObject({
      /** Which of the two references it is a variant of. */
      form: z.enum(['http', 'custom-resource']).default('http'),
      /**
       * A folder of fixtures/workloads/session-manager-twins, or of session-controller-twins; absent: the reference
       * itself.
       */
      variant: twinName.optional(),
      /** Rules that its target file documents in addition to the reference's. */
      documents: z.array(policyRuleSchema).min(1).optional(),
      /** Pod Security level of its namespaces, where its pods would not be admitted under `restricted`. */
      podSecurity: z.enum(['baseline', 'privileged']).optional(),
      /** Changes of the workload in its manifests (RFC 6902). */
      manifests: z.array(manifestChangeSchema).min(1).optional(),
    })
    .refine(
      ({ variant, documents, manifests }) => [variant, documents, manifests].some((given) => given !== undefined),
      'a variant, rules, changes of its manifests, or several of these',
    ),
});
