import { PERMISSIONS, type Permissions, permissionsSchema } from '../kubernetes/permissions.ts';
import type { EvidenceItem } from '../rpc/protocol.ts';

/** The permission diffs of a run, of what its requirements kept of them. */
export function collectPermissions(evidence: EvidenceItem[]): Permissions[] {
  return evidence.filter(({ label }) => label === PERMISSIONS).map(({ data }) => permissionsSchema.parse(data));
}
