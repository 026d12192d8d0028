import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DnsAndTunnelFake } from './server.ts';
import { type DnsRecord, ruleFor } from './zone.ts';

const ids = { zone: 'zone-1', account: 'account-1', tunnel: 'tunnel-1', domain: 'example.test' };
const TOKEN = 'token-of-the-test';
const CONFIGURATIONS = `/accounts/${ids.account}/cfd_tunnel/${ids.tunnel}/configurations`;
const RECORDS = `/zones/${ids.zone}/dns_records`;

interface Answer<T> {
  success: boolean;
  errors: { code: number; message: string }[];
  result: T;
  result_info?: { total_count: number; total_pages: number };
}

let fake: DnsAndTunnelFake;
beforeEach(async () => {
  fake = await DnsAndTunnelFake.start({ ids, token: TOKEN });
});
afterEach(() => fake.close());

async function call<T>(method: string, path: string, body?: object, token = TOKEN) {
  const response = await fetch(`${fake.url}/client/v4${path}`, {
    method,
    headers: { authorization: `Bearer ${token}` },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, headers: response.headers, ...((await response.json()) as Answer<T>) };
}

const alias = (name: string, more: object = {}) => ({ type: 'CNAME', name, content: 'tunnel-1.example.net', ...more });

describe('records', () => {
  test('are created, found, changed and deleted', async () => {
    const made = await call<DnsRecord>('POST', RECORDS, alias('A.example.test', { proxied: true, comment: 'mine' }));
    expect(made).toMatchObject({ success: true, result: { name: 'a.example.test', ttl: 1, proxied: true } });
    const found = await call<DnsRecord[]>('GET', `${RECORDS}?name=a.example.test&type=CNAME`);
    expect(found.result).toEqual([made.result]);
    await call('PATCH', `${RECORDS}/${made.result.id}`, { comment: 'changed' });
    expect((await call<DnsRecord[]>('GET', `${RECORDS}?comment=changed`)).result).toHaveLength(1);
    expect((await call('DELETE', `${RECORDS}/${made.result.id}`)).success).toBe(true);
    expect(await call('DELETE', `${RECORDS}/${made.result.id}`)).toMatchObject({ status: 404, success: false });
    expect(fake.zone.changes.map(({ kind }) => kind)).toEqual(['record added', 'record changed', 'record removed']);
  });

  test('of one name are refused as the real API refuses them', async () => {
    await call('POST', RECORDS, alias('a'));
    const identical = await call('POST', RECORDS, alias('a'));
    expect(identical).toMatchObject({ status: 400, success: false, errors: [{ code: 81058 }] });
    const other = await call('POST', RECORDS, alias('a', { content: 'elsewhere.example.net' }));
    expect(other).toMatchObject({ status: 400, errors: [{ code: 81053 }] });
    const address = await call('POST', RECORDS, { type: 'A', name: 'a', content: '192.0.2.1' });
    expect(address).toMatchObject({ errors: [{ code: 81053 }] });
    expect((await call('POST', RECORDS, { type: 'CNAME', name: 'b' })).status).toBe(400);
  });

  test('come in pages', async () => {
    for (let index = 0; index < 120; index += 1) {
      fake.zone.seed(alias(`host-${index}`, { comment: index % 2 === 0 ? 'even' : 'odd' }));
    }
    const first = await call<DnsRecord[]>('GET', RECORDS);
    expect(first.result).toHaveLength(100);
    expect(first.result_info).toMatchObject({ total_count: 120, total_pages: 2 });
    expect((await call<DnsRecord[]>('GET', `${RECORDS}?page=2`)).result).toHaveLength(20);
    expect((await call<DnsRecord[]>('GET', `${RECORDS}?comment=even&per_page=50`)).result_info).toMatchObject({
      total_count: 60,
    });
    expect((await call<DnsRecord[]>('GET', `${RECORDS}?name.startswith=host-11`)).result).toHaveLength(11);
    expect((await call('GET', `${RECORDS}?page=0`)).status).toBe(400);
  });
});

describe('the tunnel', () => {
  const catchAll = { service: 'http_status:404' };

  test('has one document, which a PUT replaces whole', async () => {
    fake.zone.configure({ ingress: [catchAll], 'warp-routing': { enabled: true } });
    const rule = { hostname: 'a.example.test', service: 'http://router', originRequest: { noTLSVerify: true } };
    await call('PUT', CONFIGURATIONS, { config: { ingress: [rule, catchAll] } });
    const { result } = await call<{ config: object; version: number }>('GET', CONFIGURATIONS);
    expect(result).toMatchObject({ config: { ingress: [rule, catchAll] }, version: 3 });
    expect(result.config).not.toHaveProperty('warp-routing');
  });

  test.each([
    ['nothing', {}],
    ['no rule', { config: { ingress: [] } }],
    ['a rule behind the catch-all', { config: { ingress: [catchAll, { hostname: 'a', service: 'http://a' }] } }],
    ['two of them', { config: { ingress: [catchAll, catchAll] } }],
    ['a rule without a service', { config: { ingress: [{ hostname: 'a' }, catchAll] } }],
  ])('takes no configuration with %s', async (_, body) => {
    expect(await call('PUT', CONFIGURATIONS, body)).toMatchObject({
      status: 400,
      success: false,
      errors: [{ code: 1056 }],
    });
    expect(fake.zone.changes).toEqual([]);
  });

  test('sends a request by the first rule that matches', () => {
    const ingress = [
      { hostname: 'a.example.test', path: '^/api', service: 'api' },
      { hostname: '*.example.test', service: 'wildcard' },
      { hostname: 'b.example.test', service: 'shadowed' },
      catchAll,
    ];
    const service = (host: string, path = '/'): string | undefined => ruleFor({ ingress }, host, path)?.service;
    expect(service('a.example.test', '/api/1')).toBe('api');
    expect(service('a.example.test')).toBe('wildcard');
    expect(service('b.example.test')).toBe('wildcard');
    expect(service('example.test')).toBe(catchAll.service);
  });
});

describe('requests', () => {
  test('without the token are refused, and no credential is kept', async () => {
    expect(await call('GET', RECORDS, undefined, 'another')).toMatchObject({ status: 403, success: false });
    await call('GET', `/zones/${ids.zone}`);
    expect(fake.requests).toMatchObject([
      { path: RECORDS, authorized: false, status: 403, code: 10000 },
      { path: `/zones/${ids.zone}`, authorized: true, status: 200 },
    ]);
    expect(JSON.stringify(fake.requests)).not.toMatch(/token-of-the-test|another/);
  });

  test('for another zone, account or tunnel lead nowhere', async () => {
    for (const path of ['/zones/other', '/accounts/other/cfd_tunnel/tunnel-1/configurations', '/nothing']) {
      expect(await call('GET', path)).toMatchObject({ status: 404, errors: [{ code: 7003 }] });
    }
  });

  test('fail as configured, and so often', async () => {
    fake.setFaults([{ kind: 'too-many-requests', methods: ['POST'], of: ['records'], times: 1, seconds: 7 }]);
    expect((await call('GET', RECORDS)).status).toBe(200);
    const limited = await call('POST', RECORDS, alias('a'));
    expect(limited).toMatchObject({ status: 429, success: false });
    expect(limited.headers.get('retry-after')).toBe('7');
    expect((await call('POST', RECORDS, alias('a'))).status).toBe(200);
    fake.setFaults([{ kind: 'bad-gateway' }]);
    const gateway = await fetch(`${fake.url}/client/v4${RECORDS}`);
    expect([gateway.status, gateway.headers.get('content-type')]).toEqual([502, 'text/html']);
    fake.setFaults([{ kind: 'outage', times: 1 }]);
    await expect(call('GET', RECORDS)).rejects.toThrow('fetch failed');
  });

  test('whose answer is lost have had their effect', async () => {
    fake.setFaults([{ kind: 'lost-answer', methods: ['POST'] }]);
    await expect(call('POST', RECORDS, alias('a'))).rejects.toThrow('fetch failed');
    expect(fake.zone.records()).toHaveLength(1);
  });

  test('report changes as they happen', async () => {
    const seen: string[] = [];
    const end = fake.onChange(({ kind }) => seen.push(kind));
    await call('POST', RECORDS, alias('a'));
    end();
    await call('POST', RECORDS, alias('b'));
    expect(seen).toEqual(['record added']);
  });
});

test.each([
  ['fetch', `await (await fetch('https://api.cloudflare.com/client/v4/zones/zone-1', { headers })).text()`],
  [
    'node:https',
    `const https = await import('node:https');
     await new Promise((done) => https.get('https://api.cloudflare.com/client/v4/zones/zone-1', { headers }, (answer) => answer.resume().on('end', done)))`,
  ],
])('a process with the fixed base URL reaches it by %s', async (_, act) => {
  const shim = fileURLToPath(new URL('fetch-shim.mjs', import.meta.url));
  const script = `const headers = { authorization: 'Bearer ${TOKEN}' }; ${act}`;
  await promisify(execFile)(process.execPath, ['--import', shim, '--input-type=module', '--eval', script], {
    env: { ...process.env, CONFORMANCE_EDGE_URL: fake.url },
  });
  expect(fake.requests).toMatchObject([{ method: 'GET', path: '/zones/zone-1', status: 200, authorized: true }]);
});
