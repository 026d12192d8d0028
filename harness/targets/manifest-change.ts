/** A change of the workload, as a twin has it (RFC 6902; `add` to a list by its index or `-`). */
export interface ManifestChange {
  op: 'add' | 'replace' | 'remove';
  path: string;
  value?: unknown;
}
