import { getCACertificates } from 'node:tls';

let known: string[] | undefined;

/**
 * What signs servers of the public and of this host, PEM: kubectl trusts the host's own where a kubeconfig names no
 * authority.
 */
export function publicAuthorities(): string[] {
  known ??= [...new Set([...getCACertificates('default'), ...getCACertificates('system')])];
  return known;
}
