import { z } from 'zod';

/** A rule of a Role, as in its YAML (rbac.authorization.k8s.io/v1 PolicyRule). */
export interface PolicyRule {
  apiGroups?: string[] | undefined;
  resources?: string[] | undefined;
  resourceNames?: string[] | undefined;
  nonResourceURLs?: string[] | undefined;
  verbs: string[];
}

/** A rule for resources, as a target file documents it. */
export const policyRuleSchema = z.strictObject({
  apiGroups: z.array(z.string()).min(1),
  resources: z.array(z.string().trim().min(1)).min(1),
  verbs: z.array(z.string().trim().min(1)).min(1),
  resourceNames: z.array(z.string().trim().min(1)).optional(),
});

/** Rights that reach further than the work of an agent does (RB-22). */
export const SENSITIVE_RIGHTS = ['wildcard', 'cluster-wide', 'secrets', 'escalation', 'token-minting'] as const;
export type SensitiveRight = (typeof SENSITIVE_RIGHTS)[number];
