import { HarnessError } from '../../core/errors.ts';
import { type ApiRecord, describeRecord, type Requester } from '../../kubernetes/api-record.ts';
import type { StartedCluster } from './cluster.ts';

/** Where the API server of the harness's own clusters writes its audit log, on their node. */
export const AUDIT_LOG = '/var/log/conformance-audit.log';

/** What is read of an audit event (audit.k8s.io/v1 Event, level Metadata). */
interface AuditEvent {
  auditID: string;
  stage: 'RequestReceived' | 'ResponseStarted' | 'ResponseComplete' | 'Panic';
  requestURI: string;
  verb: string;
  user?: { username?: string };
  sourceIPs?: string[];
  objectRef?: {
    resource?: string;
    subresource?: string;
    namespace?: string;
    name?: string;
    apiGroup?: string;
    apiVersion?: string;
  };
  responseStatus?: { code?: number };
  requestReceivedTimestamp: string;
  stageTimestamp: string;
}

function recordOf(event: AuditEvent): ApiRecord {
  const { pathname, searchParams } = new URL(event.requestURI, 'http://api');
  const selected = ['fieldSelector', 'labelSelector', 'resourceVersion'].flatMap((name) => {
    const value = searchParams.get(name);
    return value === null || value === '' ? [] : [[name, value]];
  });
  const { objectRef: object } = event;
  const code = event.responseStatus?.code ?? 0;
  return {
    at: event.requestReceivedTimestamp,
    user: event.user?.username ?? 'nobody',
    verb: event.verb,
    ...(object?.resource === undefined
      ? {}
      : {
          group: object.apiGroup ?? '',
          ...(object.apiVersion === undefined ? {} : { version: object.apiVersion }),
          resource: object.resource,
          ...(object.subresource === undefined ? {} : { subresource: object.subresource }),
          ...(object.namespace === undefined ? {} : { namespace: object.namespace }),
          // The log takes the name of a created object from its body; a request for its creation names none.
          ...(object.name === undefined || event.verb === 'create' ? {} : { name: object.name }),
        }),
    path: pathname,
    ...Object.fromEntries(selected),
    code,
    durationMs: Date.parse(event.stageTimestamp) - Date.parse(event.requestReceivedTimestamp),
    // To what, the log does not say.
    ...(code === 101 ? { upgrade: 'unknown' } : {}),
  };
}

function isOf(requester: Requester, event: AuditEvent): boolean {
  return 'user' in requester
    ? event.user?.username === requester.user
    : (event.sourceIPs ?? []).includes(requester.address);
}

/**
 * The requests of one requester, from lines of an audit log, in the order of their arrival. A watch stands there twice,
 * at its begin and at its end, and is one record.
 *
 * @throws HarnessError for a line that is no audit event
 */
export function readAuditLog(lines: string, requester: Requester): ApiRecord[] {
  const last = new Map<string, AuditEvent>();
  for (const line of lines.split('\n').filter(Boolean)) {
    let event: AuditEvent;
    try {
      event = JSON.parse(line) as AuditEvent;
    } catch (error) {
      throw new HarnessError(`a line of the audit log cannot be read: ${line.slice(0, 200)}`, { cause: error });
    }
    if (isOf(requester, event) && event.stage !== 'RequestReceived') {
      last.set(event.auditID, event);
    }
  }
  return [...last.values()].map(recordOf).sort((one, other) => (one.at < other.at ? -1 : 1));
}

/** The requests of one requester to a cluster of the harness's own. */
export async function auditRecords(cluster: StartedCluster, requester: Requester): Promise<ApiRecord[]> {
  const [text] = Object.values(requester) as [string];
  // It is part of the line as it is, and grep spares the transport of everybody else's.
  const { exitCode, output } = await cluster.nodeExec(['grep', '-F', `"${text}"`, AUDIT_LOG]);
  if (exitCode > 1) {
    throw new HarnessError(`the audit log cannot be read: ${output.slice(-500)}`);
  }
  return readAuditLog(output, requester);
}

/** What is counted of an audit log: patterns of finished requests; `objectRef` follows `requestURI` in a line. */
const COUNTED: Record<string, string> = {
  'API server, all': '"stage":"ResponseComplete"',
  TokenRequest: '"stage":"ResponseComplete".*"resource":"serviceaccounts".*"subresource":"token"',
  TokenReview: '"stage":"ResponseComplete".*"resource":"tokenreviews"',
  discovery: '"stage":"ResponseComplete","requestURI":"/\\.well-known/openid-configuration',
  'key set': '"stage":"ResponseComplete","requestURI":"/openid/v1/jwks',
};

/** Requests to the API server of a cluster of the harness's own, by what was asked. */
export async function countRequests(cluster: StartedCluster): Promise<Record<string, number>> {
  const counted = Object.entries(COUNTED).map(async ([what, pattern]): Promise<[string, number]> => {
    const { exitCode, output } = await cluster.nodeExec(['grep', '-c', pattern, AUDIT_LOG]);
    // 1: there is none.
    if (exitCode > 1) {
      throw new HarnessError(`the audit log cannot be counted: ${output.slice(-500)}`);
    }
    return [what, Number(output.trim())];
  });
  return Object.fromEntries(await Promise.all(counted));
}

/**
 * What two records of one session do not agree about, in words: each request that the API server answered must be in
 * both, with the same attributes and status. Order and times are not compared, and what a fault of the proxy touched is
 * left out.
 */
export function disagreements(proxy: readonly ApiRecord[], audit: readonly ApiRecord[]): string[] {
  const counts = new Map<string, number>();
  const key = (record: ApiRecord): string => `${describeRecord(record)} → ${record.code}`;
  const forgiven = proxy.filter(({ fault, code }) => fault !== undefined || code === 0).map(describeRecord);
  for (const record of proxy) {
    if (record.fault === undefined && record.code !== 0) {
      counts.set(key(record), (counts.get(key(record)) ?? 0) + 1);
    }
  }
  for (const record of audit) {
    const count = counts.get(key(record)) ?? 0;
    const excuse = forgiven.indexOf(describeRecord(record));
    if (count === 0 && excuse >= 0) {
      // It was sent on, and its answer did not come through.
      forgiven.splice(excuse, 1);
    } else {
      counts.set(key(record), count - 1);
    }
  }
  return [...counts]
    .filter(([, count]) => count !== 0)
    .map(([what, count]) => `${what}: ${Math.abs(count)} more in the ${count > 0 ? 'proxy’s record' : 'audit log'}`);
}
