import { expect, test } from 'vitest';
import { nameOfProxy, proxyFor } from './proxy.ts';

const https = new URL('https://api.example.org:6443');
const proxy = 'http://proxy.example:3128';

const found = (server: URL, env: NodeJS.ProcessEnv, proxyUrl?: string): string | undefined =>
  proxyFor(server, proxyUrl, env)?.href;

test('proxy-url comes before the environment, and no exception holds for it', () => {
  const env = { HTTPS_PROXY: 'http://other:1', NO_PROXY: '*' };
  expect(found(https, env, proxy)).toBe(`${proxy}/`);
});

test('an https server has HTTPS_PROXY, an http one HTTP_PROXY; upper case first; a name alone is one of http', () => {
  const env = { HTTPS_PROXY: proxy, https_proxy: 'http://lower:1', http_proxy: 'plain:80', ALL_PROXY: 'http://all:1' };
  expect(found(https, env)).toBe(`${proxy}/`);
  expect(found(new URL('http://api.example.org'), env)).toBe('http://plain/');
  expect(found(https, { https_proxy: 'http://lower:1' })).toBe('http://lower:1/');
  expect(found(https, {})).toBeUndefined();
});

test.each(['https://localhost:6443', 'https://127.1.2.3', 'https://[::1]:6443'])('%s is asked directly', (server) => {
  expect(found(new URL(server), { HTTPS_PROXY: proxy })).toBeUndefined();
});

test.each([
  ['*', true],
  ['example.org', true],
  ['.example.org', true],
  ['*.example.org', true],
  ['api.example.org', true],
  ['.api.example.org', false],
  ['ample.org', false],
  ['API.Example.ORG', true],
  ['a.b, example.org:6443', true],
  ['example.org:443', false],
  ['example.org:', true],
  [', ,', false],
])('NO_PROXY=%s', (NO_PROXY, direct) => {
  expect(found(https, { HTTPS_PROXY: proxy, NO_PROXY }) === undefined).toBe(direct);
});

test.each([
  ['https://10.1.2.3:6443', '10.0.0.0/8', true],
  ['https://10.1.2.3:6443', '10.1.2.3', true],
  ['https://10.1.2.3:6443', '10.1.2.3:6443', true],
  ['https://10.1.2.3:6443', '10.1.2.3:443', false],
  ['https://11.1.2.3:6443', '10.0.0.0/8', false],
  ['https://[fd00::1]:6443', 'fd00::/8', true],
  ['https://[fd00::1]:6443', 'fd00::1', true],
  ['https://[fd00::1]:6443', '[fd00::1]:6443', true],
  ['https://[fd00::1]:6443', '[fd00::1]:443', false],
  ['https://[fd00::1]:6443', '[fd00::1]', false],
  ['https://api.example.org', '10.0.0.0/8', false],
  // Neither a range of the other family, nor one that is none.
  ['https://10.1.2.3:6443', '::/0', false],
  ['https://[fd00::1]:6443', '0.0.0.0/0', false],
  ['https://10.1.2.3:6443', '10.1.2.3/33', false],
])('%s by NO_PROXY=%s', (server, no_proxy, direct) => {
  expect(found(new URL(server), { https_proxy: proxy, no_proxy }) === undefined).toBe(direct);
});

test('what is no proxy is refused by its name, without its password', () => {
  expect(() => proxyFor(https, 'socks4://me:secret@p:1', {})).toThrow(
    /proxy-url of the kubeconfig is "socks4:\/\/\*\*\*@p:1"; it has to be a URL of http, https or socks5/,
  );
  expect(() => proxyFor(https, undefined, { HTTPS_PROXY: 'ftp://p' })).toThrow(/HTTPS_PROXY is "ftp:\/\/p"/);
  expect(found(https, { HTTPS_PROXY: 'socks5h://p:1080' })).toBe('socks5h://p:1080');
  expect(nameOfProxy(new URL('http://me:secret@p:1'))).toBe('http://p:1');
});
