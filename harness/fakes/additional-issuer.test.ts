import { connect } from 'node:net';
import { afterAll, expect, test } from 'vitest';
import { makePki } from '../core/pki.ts';
import { Resolver } from '../core/resolver.ts';
import { type AdditionalIssuer, startAdditionalIssuer } from './additional-issuer.ts';

const started: AdditionalIssuer[] = [];
afterAll(() => Promise.all(started.map((issuer) => issuer.stop())));

async function start(): Promise<{ issuer: AdditionalIssuer; trusting: Resolver; distrusting: Resolver }> {
  const pki = await makePki('test');
  const issuer = await startAdditionalIssuer({ address: '127.0.0.1', ...(await pki.issue('127.0.0.1')) });
  started.push(issuer);
  return {
    issuer,
    trusting: new Resolver({ routes: {}, ca: pki.ca }),
    distrusting: new Resolver({ routes: {}, ca: (await makePki('other')).ca }),
  };
}

const ask = (resolver: Resolver, url: string): Promise<unknown> => resolver.fetch(url).catch(() => undefined);

test('an issuer that gets no request, or whose TLS is rejected, is out of reach: it proves nothing about who should have asked', async () => {
  const { issuer, trusting, distrusting } = await start();
  expect(issuer.isOutOfReach).toBe(true);
  issuer.setReachable(false);
  await ask(distrusting, issuer.keyUrl);
  issuer.setReachable(true);
  await ask(distrusting, issuer.keyUrl);
  expect(issuer.isOutOfReach).toBe(true);
  await ask(trusting, issuer.keyUrl);
  expect(issuer.isOutOfReach).toBe(false);
});

test('who came only while it was away has given it up, and is to be blamed', async () => {
  const { issuer } = await start();
  issuer.setReachable(false);
  const { hostname, port } = new URL(issuer.issuer);
  await new Promise((resolve) =>
    connect(Number(port), hostname)
      .on('close', resolve)
      .on('error', () => undefined),
  );
  issuer.setReachable(true);
  expect(issuer.isOutOfReach).toBe(false);
});

test('a mirror is out of reach for who does not like its TLS, and not for who went to the issuer instead', async () => {
  const { issuer, trusting, distrusting } = await start();
  const mirror = await issuer.mirror();
  issuer.setReachable(false);
  expect(mirror.isOutOfReach).toBe(true);
  await ask(trusting, issuer.keyUrl);
  expect(mirror.isOutOfReach).toBe(false);
  await ask(distrusting, mirror.keyUrl);
  expect(mirror.isOutOfReach).toBe(true);
});
