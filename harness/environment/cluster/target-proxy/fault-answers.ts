import type { ApiFault } from '../../../rpc/target-access.ts';
import type { ArmedFaults } from './faults.ts';
import type { EndToEndHeaders } from './headers.ts';
import type { Exchange } from './recorder.ts';

/** A complete answer. */
export interface Answer {
  code: number;
  headers: EndToEndHeaders;
  body: string | Buffer;
}

/** A refusal as the API server words it (meta/v1 Status). */
function statusBody(code: number, reason: string, message: string): string {
  return JSON.stringify({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code });
}

/** The event with which the API server ends a watch whose resourceVersion it no longer holds. */
export const EXPIRED_EVENT = `{"type":"ERROR","object":${statusBody(
  410,
  'Expired',
  'The resourceVersion for the provided watch is too old.',
)}}\n`;

/** Holds a request back for the time of a `latency` in force. */
export async function awaitLatency(faults: ArmedFaults, exchange: Exchange): Promise<void> {
  const latency = faults.take(['latency'], exchange.asked);
  if (latency !== undefined) {
    exchange.blame(latency);
    await new Promise((resolve) => setTimeout(resolve, (latency.seconds ?? 1) * 1000));
  }
}

/**
 * What the API server would answer under the faults in force: 429, 500, or 410 where the request depends on an old
 * version.
 *
 * @param url path with its query
 * @returns undefined where the request goes to the API server
 */
export function faultAnswer(faults: ArmedFaults, exchange: Exchange, url: string): Answer | undefined {
  const { asked } = exchange;
  const answer = (fault: ApiFault, code: number, body: string, headers: EndToEndHeaders = {}): Answer => {
    exchange.blame(fault);
    return { code, body, headers: { 'content-type': 'application/json', ...headers } };
  };
  const busy = faults.take(['too-many-requests'], asked);
  if (busy !== undefined) {
    const body = statusBody(429, 'TooManyRequests', 'too many requests, please try again later');
    return answer(busy, 429, body, { 'retry-after': String(busy.seconds ?? 1) });
  }
  const failing = faults.take(['server-error'], asked);
  if (failing !== undefined) {
    const body = statusBody(500, 'InternalError', 'Internal error occurred: etcdserver: leader changed');
    return answer(failing, 500, body);
  }
  const dependence = dependenceOnOldVersion(asked.verb, url);
  const expired = dependence === undefined ? undefined : faults.take(['expired'], asked);
  if (expired === undefined) {
    return undefined;
  }
  return dependence === 'watch'
    ? answer(expired, 200, EXPIRED_EVENT)
    : answer(expired, 410, statusBody(410, 'Expired', 'The provided continue parameter is too old.'));
}

/**
 * Whether a request needs a version that the API server may have compacted: a watch from it, or a list at it or
 * continued.
 */
function dependenceOnOldVersion(verb: string, url: string): 'watch' | 'list' | undefined {
  const { searchParams } = new URL(url, 'http://api');
  const version = searchParams.get('resourceVersion') ?? '';
  const isOld = version !== '' && version !== '0';
  if (verb === 'watch' && isOld) {
    return 'watch';
  }
  const isExact = searchParams.get('resourceVersionMatch') === 'Exact' && isOld;
  return verb === 'list' && (isExact || searchParams.has('continue')) ? 'list' : undefined;
}
