import { z } from 'zod';

/** Label of the evidence that a report's permission diff is made of. */
export const PERMISSIONS = 'permissions';

const rightSchema = z.strictObject({
  verb: z.string(),
  apiGroup: z.string().describe('empty for the core group'),
  resource: z.string().describe('with its subresource, as pods/log'),
  name: z.string().optional().describe('where the rule or the request is for one object'),
  namespaced: z.boolean().describe('false: by a ClusterRole for the whole cluster'),
  documented: z.boolean().describe('the target file says that it is needed'),
  requests: z.number().int().nonnegative().describe('requests that used it or would have needed it'),
  refused: z.number().int().nonnegative().describe('of these, answered 403'),
});

/** What an implementation says it needs at the API server, beside what it asked for. */
export const permissionsSchema = z.strictObject({
  of: z.string().describe('name of the implementation'),
  rights: z.array(rightSchema),
  smallest: z.string().describe('the smallest Role for what it did, YAML'),
});

export type Permissions = z.infer<typeof permissionsSchema>;
export type PermissionRight = z.infer<typeof rightSchema>;

/** How a documented or used right stands: needed, surplus (documented, never used), missing (used, not documented). */
export function standingOf({ documented, requests }: PermissionRight): 'needed' | 'surplus' | 'missing' {
  if (!documented) return 'missing';
  return requests > 0 ? 'needed' : 'surplus';
}
