import type { IncomingMessage } from 'node:http';
import { expect, test } from 'vitest';
import { HarnessError } from '../core/errors.ts';
import { makePki } from '../core/pki.ts';
import { FakeService } from './fake-service.ts';

const TOKEN = `eyJhbGciOiJub25lIn0.${Buffer.from('{"sub":"a"}').toString('base64url')}.${'c2ln'.repeat(8)}`;

async function start(): Promise<FakeService & { handled: string[] }> {
  const handled: string[] = [];
  const service = await FakeService.start({
    answer: ({ method, path }) => {
      handled.push(`${method} ${path}`);
      return { status: 201, headers: { 'x-made': 'yes' }, body: { made: true } };
    },
    errorBody: (status) => ({ errors: [{ code: status }] }),
  });
  return Object.assign(service, { handled });
}

test('a request is answered and recorded, without its credential', async () => {
  await using service = await start();
  const answer = await fetch(`${service.url}/things?state=${TOKEN}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${TOKEN}` },
    body: JSON.stringify({ token: TOKEN }),
  });
  expect(answer.status).toBe(201);
  expect(answer.headers.get('x-made')).toBe('yes');
  expect(await answer.json()).toEqual({ made: true });
  expect(service.requests).toMatchObject([
    {
      method: 'POST',
      path: expect.stringMatching(/^\/things\?state=/),
      body: { token: expect.stringMatching(/SIGNATURE-CUT$/) },
      status: 201,
    },
  ]);
  expect(JSON.stringify(service.requests)).not.toContain('c2ln');
});

test('it answers 429 with Retry-After, 500 in the service’s words, and 502 as a gateway, and none of them is handled', async () => {
  await using service = await start();
  service.setFaults([
    { kind: 'too-many-requests', times: 1, seconds: 7 },
    { kind: 'server-error', times: 1 },
    { kind: 'bad-gateway', times: 1 },
  ]);
  const busy = await fetch(service.url);
  expect([busy.status, busy.headers.get('retry-after')]).toEqual([429, '7']);
  const failing = await fetch(service.url);
  expect([failing.status, await failing.json()]).toEqual([500, { errors: [{ code: 500 }] }]);
  const gateway = await fetch(service.url);
  expect([gateway.status, gateway.headers.get('content-type')]).toEqual([502, 'text/html']);
  expect(service.handled).toEqual([]);
  expect(service.requests.map(({ status, faults }) => [status, faults])).toEqual([
    [429, ['too-many-requests']],
    [500, ['server-error']],
    [502, ['bad-gateway']],
  ]);
  expect((await fetch(service.url)).status).toBe(201);
});

test('in an outage nothing is handled; a lost answer was', async () => {
  await using service = await start();
  service.setFaults([{ kind: 'outage', times: 1 }, { kind: 'lost-answer' }]);
  await expect(fetch(`${service.url}/one`)).rejects.toThrow();
  await expect(fetch(`${service.url}/two`)).rejects.toThrow();
  expect(service.handled).toEqual(['GET /two']);
  expect(service.requests.map(({ status }) => status)).toEqual([0, 0]);
});

test('it delays', async () => {
  await using service = await start();
  service.setFaults([{ kind: 'latency', seconds: 0.1, times: 1 }]);
  const begun = performance.now();
  expect((await fetch(service.url)).status).toBe(201);
  expect(performance.now() - begun).toBeGreaterThan(95);
});

test('it speaks TLS with the certificate that it is given', async () => {
  const pki = await makePki('test');
  await using service = await FakeService.start({ answer: () => ({ status: 204 }), tls: await pki.issue('127.0.0.1') });
  expect(service.url).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
});

test('requests that are not kept are no requests that were not made', async () => {
  await using fake = await start();
  const request = { method: 'GET', url: '/' } as IncomingMessage;
  for (let count = 0; count < 10_000; count += 1) {
    fake.record(request);
  }
  expect(fake.requests).toHaveLength(10_000);
  fake.record(request);
  expect(() => fake.requests).toThrow(HarnessError);
});
