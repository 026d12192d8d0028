import { z } from 'zod';

/** A change of the workload in a twin's manifests (RFC 6902; `add` to a list by its index or `-`). */
export const manifestChangeSchema = z.strictObject({
  op: z.enum(['add', 'replace', 'remove']),
  path: z.string().startsWith('/'),
  value: z.unknown().optional(),
});

export type ManifestChange = z.infer<typeof manifestChangeSchema>;
