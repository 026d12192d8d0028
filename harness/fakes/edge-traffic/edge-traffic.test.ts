import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Zone } from '../dns-and-tunnel/zone.ts';
import { EdgeTraffic, type IngressRoute, type Middleware, serviceOf } from './edge-traffic.ts';
import { compileRule } from './match.ts';

describe('a rule', () => {
  const asked = { host: 'a.example.test', path: '/oauth2/start' };
  test.each([
    ['Host(`a.example.test`)', true],
    ['Host(`A.example.test`)', true],
    ['Host(`b.example.test`, `a.example.test`)', true],
    ['Host(`a.example.test`) && PathPrefix(`/oauth2/`)', true],
    ['Host(`a.example.test`) && !PathPrefix(`/oauth2/`)', false],
    ['(Host(`b.example.test`) || HostRegexp(`^[a-z]+\\.example\\.test$`)) && Path("/oauth2/start")', true],
  ])('%s', (rule, matches) => {
    expect(compileRule(rule)(asked)).toBe(matches);
  });

  test.each(['', 'Host(`a`', 'Host(`a`) &&', 'Nothing(`a`)', '(Host(`a`)', 'Host(`a`) Host(`b`)'])(
    'that is none: %s',
    (rule) => {
      expect(() => compileRule(rule)).toThrow();
    },
  );
});

test.each([
  ['http://router.sessions.svc.cluster.local:80', 'sessions/router'],
  ['http://router.sessions/x', 'sessions/router'],
  ['http://router', undefined],
  ['http_status:404', undefined],
])('the Service of %s is %s', (url, service) => {
  expect(serviceOf(url)).toBe(service);
});

describe('a request', () => {
  const HOST = 'abc.example.test';
  let zone: Zone;
  let routes: IngressRoute[];
  let middlewares: Middleware[];
  let traffic: EdgeTraffic;
  const ask = (path: string, signedIn: boolean) => traffic.request(HOST, path, { signedIn });

  beforeEach(async () => {
    zone = new Zone({ zone: 'zone', account: 'account', tunnel: 'tunnel', domain: 'example.test' });
    zone.create({ type: 'CNAME', name: 'abc', content: 'tunnel.cfargotunnel.com' });
    lead('http://traefik.kube-system.svc.cluster.local');
    const metadata = { name: 'route', namespace: 'sessions' };
    const host = `Host(\`${HOST}\`)`;
    routes = [
      {
        metadata,
        spec: {
          routes: [
            { match: host, priority: 1, middlewares: [{ name: 'chain' }], services: [{ name: 'router', port: 80 }] },
          ],
        },
      },
      {
        metadata,
        spec: {
          routes: [
            {
              match: `${host} && PathPrefix(\`/oauth2/\`)`,
              services: [{ name: 'sign-in', namespace: 'auth', port: 80 }],
            },
          ],
        },
      },
    ];
    middlewares = [
      { metadata: { name: 'chain', namespace: 'sessions' }, spec: { chain: { middlewares: [{ name: 'auth' }] } } },
      {
        metadata: { name: 'auth', namespace: 'sessions' },
        spec: { forwardAuth: { address: 'http://auth.auth.svc.cluster.local/verify' } },
      },
    ];
    traffic = await EdgeTraffic.start({
      zone,
      routes: () => routes,
      middlewares: () => middlewares,
      services: {
        ingress: 'kube-system/traefik',
        router: 'sessions/router',
        signIn: 'auth/sign-in',
        authentication: 'auth/auth',
      },
    });
  });
  afterEach(() => traffic.close());

  function lead(service: string): void {
    zone.configure({ ingress: [{ hostname: HOST, service }, { service: 'http_status:404' }] });
  }

  test('of a user who is signed in arrives; another one is refused', async () => {
    expect(await ask('/', true)).toEqual({ status: 200, passed: ['ingress', 'authentication', 'router'] });
    expect(await ask('/', false)).toMatchObject({ status: 401, passed: ['ingress', 'authentication'] });
    expect(await ask('/oauth2/start', false)).toEqual({ status: 200, passed: ['ingress', 'sign-in'] });
  });

  test('past the ingress arrives unseen', async () => {
    lead('http://router.sessions.svc.cluster.local:80');
    expect(await ask('/', false)).toEqual({ status: 200, passed: ['router'] });
  });

  test('by a route without a middleware arrives unseen', async () => {
    for (const { spec } of routes) {
      for (const route of spec.routes ?? []) {
        delete route.middlewares;
      }
    }
    expect(await ask('/', false)).toEqual({ status: 200, passed: ['ingress', 'router'] });
  });

  test.each([
    ['no record', () => zone.remove(zone.records()[0]?.id ?? ''), 530],
    ['another record', () => zone.update(zone.records()[0]?.id ?? '', { content: 'elsewhere.example.net' }), 530],
    ['no rule', () => zone.configure({ ingress: [{ service: 'http_status:404' }] }), 404],
    ['a rule to nowhere', () => lead('http://nothing.nowhere.svc'), 502],
    ['no route', () => routes.splice(0), 404],
    ['no middleware', () => middlewares.splice(0), 404],
  ])('does not arrive with %s', async (_, spoil, status) => {
    spoil();
    const arrival = await ask('/', true);
    expect(arrival).toMatchObject({ status });
    expect(arrival.passed).not.toContain('router');
    expect(arrival.why).not.toBe('');
  });
});
