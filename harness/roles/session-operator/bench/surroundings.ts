/** What is around a session operator that is observed: names of the way of a request, and what others have there. */
import { randomBytes, randomUUID } from 'node:crypto';
import type { Values } from '../../../core/placeholders.ts';
import type { EdgeIds, Zone } from '../../../fakes/dns-and-tunnel/zone.ts';
import type { OperatorRecord } from '../record.ts';

/** Reserved for examples (RFC 2606). */
const DOMAIN = 'conformance.example';

/** Names of the Services on the way of a request; nothing of that name exists in the cluster. */
export const INGRESS = { namespace: 'kube-system', name: 'traefik' };
export const ROUTER = 'session-router';
export const AUTHENTICATION = 'session-authentication';

/** More than one page of the API's. */
const FOREIGN_RECORDS = 110;

/** A zone, an account and a tunnel that nobody else has. */
export function newEdgeIds(): EdgeIds {
  return {
    zone: randomBytes(16).toString('hex'),
    account: randomBytes(16).toString('hex'),
    tunnel: randomUUID(),
    domain: DOMAIN,
  };
}

/** Address of a Service, as pods know it. */
export function urlOf(service: string, namespace: string): string {
  return `http://${service}.${namespace}.svc.cluster.local`;
}

/** What placeholders below `documented` stand for, whichever session it is. */
export function documentedValues(namespace: string, ids: EdgeIds): Values {
  return {
    namespace,
    'edge.tunnel': ids.tunnel,
    'edge.domain': ids.domain,
    'ingress.url': urlOf(INGRESS.name, INGRESS.namespace),
    'router.url': `${urlOf(ROUTER, namespace)}:80`,
    'router.service': ROUTER,
    middleware: AUTHENTICATION,
  };
}

/** Puts there what others have at the edge: an operator that is alone there is nowhere. @returns what was put there */
export function putForeign(zone: Zone): OperatorRecord['foreign'] {
  for (let index = 0; index < FOREIGN_RECORDS; index += 1) {
    zone.seed({
      type: 'CNAME',
      name: `host-${index}`,
      content: 'elsewhere.example.net',
      comment: 'of somebody else',
    });
  }
  zone.configure({
    ingress: [
      {
        hostname: `www.${DOMAIN}`,
        path: '^/static/',
        service: 'http://www.web.svc.cluster.local',
        originRequest: { noTLSVerify: true, httpHostHeader: 'www.internal.example' },
      },
      { hostname: `api.${DOMAIN}`, service: 'http://api.web.svc.cluster.local' },
      { service: 'http_status:404' },
    ],
    originRequest: { connectTimeout: 10 },
    'warp-routing': { enabled: true },
  });
  return { records: zone.records(), tunnel: zone.configuration() };
}
