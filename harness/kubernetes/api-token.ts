/** The parts of a volume that may hold a ServiceAccount's token. */
export interface TokenVolume {
  name?: unknown;
  projected?: { sources?: { serviceAccountToken?: { audience?: string; path?: string } }[] };
}

/**
 * The file in a volume whose token the API server takes: one without an audience, or with one of the API server's
 * (Kubernetes API, ServiceAccountTokenProjection). A token for a provider alone opens nothing there.
 *
 * @param apiAudiences those of the cluster
 */
export function apiTokenIn(
  { projected }: TokenVolume,
  apiAudiences: readonly string[],
): { path?: string; audience?: string } | undefined {
  return (projected?.sources ?? [])
    .flatMap(({ serviceAccountToken }) => (serviceAccountToken === undefined ? [] : [serviceAccountToken]))
    .find(({ audience }) => audience === undefined || audience === '' || apiAudiences.includes(audience));
}
