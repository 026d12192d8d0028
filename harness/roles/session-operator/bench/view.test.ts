import { expect, test } from 'vitest';
import { Zone } from '../../../fakes/dns-and-tunnel/zone.ts';
import type { IngressRoute } from '../../../fakes/edge-traffic/edge-traffic.ts';
import type { Target } from '../../../targets/load.ts';
import type { OperatorRecord, Session } from '../record.ts';
import { newEdgeIds, putForeign } from './surroundings.ts';
import { Presence } from './view.ts';

const session = { label: 'one', hash: 'abc123' } as Session;
const route = { metadata: { name: 'session-abc123', namespace: 'n' }, spec: {} } as IngressRoute;

/** A zone with what others have there, and what a target documents. */
function observed(documented: object, sessions: object = {}): { zone: Zone; routes: IngressRoute[]; seen: Presence } {
  const zone = new Zone(newEdgeIds());
  const foreign = putForeign(zone);
  const routes: IngressRoute[] = [];
  const target = { documented: { routes: [{ name: 'app' }], ...documented }, sessions };
  const seen = new Presence(
    { foreign } as OperatorRecord,
    () => zone,
    target as unknown as Target<'session-operator'>,
    { routes },
  );
  return { zone, routes, seen };
}

const record = { type: 'CNAME', name: 'abc123-s', content: 'tunnel.example' };

test('a session is complete with a record, a rule and its routes, and gone without any of them', () => {
  const { zone, routes, seen } = observed({});
  expect(seen.isGone(session)).toBe(true);
  zone.create(record);
  routes.push(route);
  expect(seen.isRouted(session)).toBe(false);
  const { ingress } = zone.configuration();
  zone.configure({ ingress: [{ hostname: 'abc123-s.conformance.example', service: 'http://a' }, ...ingress] });
  expect(seen.isRouted(session)).toBe(true);
  expect(seen.isComplete(session)).toBe(true);
  expect(seen.isGone(session)).toBe(false);
});

test('a record that goes with the claim may stay as long as the claim is there', () => {
  const { zone, seen } = observed({ recordRemovedWith: 'claim' }, { claimLabels: { a: 'b' } });
  zone.create(record);
  expect(seen.isGone(session)).toBe(true);
  expect(seen.isGone({ ...session, claimGoneAt: 1 })).toBe(false);
});
