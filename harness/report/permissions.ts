import { PERMISSIONS, type Permissions, permissionsSchema } from '../kubernetes/permissions.ts';
import type { ReportResult } from './report.ts';

/** The permission diffs of a run, of what its requirements kept of them. */
export function collectPermissions(evidence: ReportResult['evidence']): Permissions[] {
  return evidence.filter(({ label }) => label === PERMISSIONS).map(({ data }) => permissionsSchema.parse(data));
}
