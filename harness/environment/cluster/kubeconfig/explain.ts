import { CredentialError } from './exec-plugin.ts';
import type { Attachment } from './load.ts';
import { nameOfProxy, ProxyError } from './proxy.ts';

/** Whoever is asked for, and how it is reached: for messages. */
export interface Way {
  attachment: Pick<Attachment, 'context' | 'clusterName' | 'userName'> & { cluster: { server: string } };
  proxy: URL | undefined;
}

const FOREIGN = 'its certificate is not of the certificate authority of the kubeconfig';

const TLS_CODES = new Map([
  ['CERT_SIGNATURE_FAILURE', FOREIGN],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'its certificate is for other names; see tls-server-name'],
  ['CERT_HAS_EXPIRED', 'its certificate has expired'],
  ['CERT_NOT_YET_VALID', 'its certificate is not valid yet: see the clocks'],
  ['SELF_SIGNED_CERT_IN_CHAIN', FOREIGN],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', FOREIGN],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', FOREIGN],
  ['UNABLE_TO_GET_ISSUER_CERT', FOREIGN],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', FOREIGN],
  ['EPROTO', 'it speaks no TLS, or none that this host speaks'],
]);

function firstCode(error: unknown): { code: string; message: string } {
  for (let each = error; each instanceof Error; each = each.cause) {
    const { code } = each as NodeJS.ErrnoException;
    if (typeof code === 'string') {
      return { code, message: each.message };
    }
    if (each instanceof AggregateError) {
      const inner = firstCode(each.errors[0]);
      if (inner.code !== '') {
        return inner;
      }
    }
  }
  return { code: '', message: error instanceof Error ? error.message : String(error) };
}

/** Why an API server could not be asked at all: one sentence for each reason, with what to look at. */
export function explainNoAnswer(error: unknown, { attachment, proxy }: Way): string {
  const { clusterName, cluster, userName } = attachment;
  const target = `the API server of cluster "${clusterName}" (${cluster.server})`;
  const through = proxy === undefined ? '' : ` through the proxy ${nameOfProxy(proxy)}`;
  if (error instanceof CredentialError) {
    const cause = error.cause instanceof Error ? `: ${error.cause.message}` : '';
    return `no credentials of user "${userName}" to show to ${target}: ${error.message}${cause}`;
  }
  const { code, message } = firstCode(error);
  if (error instanceof ProxyError) {
    return `${target} cannot be reached: ${error.message}${code === '' ? '' : ` (${code}: ${message})`}`;
  }
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return `${target} cannot be found: its name does not resolve here (${code}); is a VPN or a proxy (proxy-url, HTTPS_PROXY) missing?`;
  }
  if (code === 'ECONNREFUSED') {
    return `${target} refuses connections${through} (${code}): does it run, and at this port?`;
  }
  if (['ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'ENETDOWN'].includes(code)) {
    return `${target} does not answer${through} (${code}): is the way open, by firewall, VPN or proxy?`;
  }
  const tls = TLS_CODES.get(code) ?? (/^(ERR_TLS|ERR_SSL|CERT_)/.test(code) ? message : undefined);
  if (tls !== undefined) {
    return `${target} is not trusted${through} (${code}): ${tls}`;
  }
  return `${target} ended the connection${through} without an answer (${code === '' ? message : `${code}: ${message}`})`;
}

/** What an API server said instead of yes, in one sentence; its own words are in it. */
export function explainRefusal(status: number, words: string, { attachment }: Way, right: string): string {
  const { clusterName, cluster, userName, context } = attachment;
  const target = `the API server of cluster "${clusterName}" (${cluster.server})`;
  if (status === 401) {
    return `${target} does not know user "${userName}" of context "${context}" (401): ${words || 'Unauthorized'}; its credentials are wrong or have expired`;
  }
  if (status === 403) {
    return `${target} forbids user "${userName}" to ${right} (403): ${words}`;
  }
  if (status >= 300 && status < 400) {
    return `${target} sends elsewhere (${status}): it is no API server, or a front of one that wants a login`;
  }
  return `${target} answered ${status}: ${words}`;
}
