import { request as httpRequest, type OutgoingHttpHeaders } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { BlockList, connect, isIP, isIPv6, type Socket } from 'node:net';
import { SocksClient } from 'socks';
import { UsageError } from '../../../core/errors.ts';
import { publicAuthorities } from './authorities.ts';

/** How long a proxy may take to open a tunnel, and an API server to take a connection. */
export const CONNECT_SECONDS = 30;

/** A proxy refused, or could not be reached: nothing is said about what is behind it. */
export class ProxyError extends Error {
  override readonly name = 'ProxyError';
}

const SCHEMES = ['http:', 'https:', 'socks5:'];

/**
 * Schemes that the variables of the environment may name beside those of `proxy-url` (Go, net/http
 * ProxyFromEnvironment).
 */
const ENVIRONMENT_SCHEMES = [...SCHEMES, 'socks5h:'];

/** @throws UsageError for what kubectl does not take either */
export function checkProxyUrl(url: string, where: string, schemes: readonly string[] = SCHEMES): URL {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || !schemes.includes(parsed.protocol) || parsed.hostname === '') {
    throw new UsageError(`${where} is "${withoutPassword(url)}"; it has to be a URL of http, https or socks5`);
  }
  return parsed;
}

/** A URL, or what was meant to be one, for messages. */
export function withoutPassword(url: string): string {
  return url.replace(/(\/\/|^)[^/@]*@/, '$1***@');
}

/** A proxy's URL for messages: without what it was given to know us by. */
export function nameOfProxy(proxy: URL): string {
  return withoutPassword(`${proxy.protocol}//${proxy.host}`);
}

const bare = (host: string): string => host.replace(/^\[|\]$/g, '');

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

function portOf(url: URL): string {
  return url.port || (url.protocol === 'https:' ? '443' : '80');
}

/** `host:port` or `[address]:port`; whatever has no port is an address or a name as a whole. */
function splitPort(word: string): [string, string | undefined] {
  const [, address, name, port] = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d*)$/.exec(word) ?? [];
  // `example.org:` is about every port.
  return port === undefined ? [word, undefined] : [address ?? name ?? '', port || undefined];
}

/**
 * True where an entry of NO_PROXY is about the address, by the rules of Go's `httpproxy` package, which kubectl has.
 */
function isExcepted(word: string, host: string, port: string): boolean {
  if (word === '*') {
    return true;
  }
  const range = /^(.+)\/(\d+)$/.exec(word);
  if (range !== null) {
    const [, network = '', bits = ''] = range;
    const family = isIP(network);
    if (family === 0 || family !== isIP(host) || Number(bits) > (family === 4 ? 32 : 128)) {
      return false;
    }
    const list = new BlockList();
    list.addSubnet(network, Number(bits), family === 4 ? 'ipv4' : 'ipv6');
    return list.check(host, family === 4 ? 'ipv4' : 'ipv6');
  }
  const [address, only] = splitPort(word);
  if (address === '' || (only !== undefined && only !== port)) {
    return false;
  }
  if (isIP(address) !== 0) {
    return address === host;
  }
  const domain = address.replace(/^\*\./, '.');
  // `.example.org` is about what is below it, `example.org` about itself, too.
  return domain.startsWith('.') ? host.endsWith(domain) : host === domain || host.endsWith(`.${domain}`);
}

/**
 * The proxy on the way to a server: `proxy-url` of the kubeconfig, else `HTTPS_PROXY` (or `HTTP_PROXY` for an http
 * server), unless `NO_PROXY` has it or it is this host; as kubectl decides it. Both spellings of the variables count,
 * the upper one first.
 *
 * @throws UsageError for a variable that names no proxy
 */
export function proxyFor(server: URL, proxyUrl: string | undefined, env: NodeJS.ProcessEnv): URL | undefined {
  if (proxyUrl !== undefined) {
    return checkProxyUrl(proxyUrl, 'proxy-url of the kubeconfig');
  }
  const [upper, lower] = server.protocol === 'https:' ? ['HTTPS_PROXY', 'https_proxy'] : ['HTTP_PROXY', 'http_proxy'];
  const named = env[upper ?? ''] || env[lower ?? ''];
  if (!named) {
    return undefined;
  }
  const host = bare(server.hostname).toLowerCase();
  const exceptions = (env.NO_PROXY || env.no_proxy || '')
    .split(',')
    .map((word) => word.trim().toLowerCase())
    .filter((word) => word !== '');
  if (isLoopback(host) || exceptions.some((word) => isExcepted(word, host, portOf(server)))) {
    return undefined;
  }
  return checkProxyUrl(named.includes('://') ? named : `http://${named}`, upper ?? '', ENVIRONMENT_SCHEMES);
}

function credentialsOf(proxy: URL): OutgoingHttpHeaders {
  if (proxy.username === '' && proxy.password === '') {
    return {};
  }
  const words = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  return { 'proxy-authorization': `Basic ${Buffer.from(words).toString('base64')}` };
}

function connectBy(proxy: URL, host: string, port: number, ca: readonly string[]): Promise<Socket> {
  const target = `${isIPv6(host) ? `[${host}]` : host}:${port}`;
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const secure = proxy.protocol === 'https:';
  const ask = secure ? httpsRequest : httpRequest;
  const request = ask({
    host: bare(proxy.hostname),
    port: portOf(proxy),
    method: 'CONNECT',
    path: target,
    headers: { host: target, ...credentialsOf(proxy) },
    agent: false,
    ...(secure
      ? { ca: [...publicAuthorities(), ...ca], servername: isIP(bare(proxy.hostname)) === 0 ? proxy.hostname : '' }
      : {}),
  });
  request.setTimeout(CONNECT_SECONDS * 1000, () => request.destroy(new Error(`no tunnel after ${CONNECT_SECONDS} s`)));
  request.on('connect', (answer, socket: Socket, head: Buffer) => {
    socket.setTimeout(0);
    if (answer.statusCode === 200) {
      if (head.length > 0) {
        socket.unshift(head);
      }
      resolve(socket);
      return;
    }
    socket.destroy();
    const why = answer.statusCode === 407 ? ': it wants a username and a password (http://NAME:PASSWORD@host)' : '';
    reject(
      new ProxyError(
        `the proxy ${nameOfProxy(proxy)} opened no tunnel to ${target}: ${answer.statusCode} ${answer.statusMessage}${why}`,
      ),
    );
  });
  request.on('response', (answer) => {
    answer.resume();
    reject(new ProxyError(`the proxy ${nameOfProxy(proxy)} answered ${answer.statusCode} to CONNECT ${target}`));
  });
  request.on('error', (error) =>
    reject(new ProxyError(`no tunnel through the proxy ${nameOfProxy(proxy)} to ${target}`, { cause: error })),
  );
  request.end();
  return promise;
}

async function connectBySocks(proxy: URL, host: string, port: number): Promise<Socket> {
  try {
    const { socket } = await SocksClient.createConnection({
      command: 'connect',
      // The name is resolved by the proxy.
      destination: { host, port },
      timeout: CONNECT_SECONDS * 1000,
      proxy: {
        host: bare(proxy.hostname),
        port: Number(proxy.port || 1080),
        type: 5,
        ...(proxy.username === '' ? {} : { userId: decodeURIComponent(proxy.username) }),
        ...(proxy.password === '' ? {} : { password: decodeURIComponent(proxy.password) }),
      },
    });
    return socket;
  } catch (error) {
    throw new ProxyError(`no tunnel through the proxy ${nameOfProxy(proxy)} to ${host}:${port}`, { cause: error });
  }
}

/**
 * Opens a connection to a host, through a proxy where there is one.
 *
 * @param options.ca certificates, PEM, that a proxy of https may have been issued by beside the public ones
 * @throws ProxyError where the proxy does not open a tunnel; the system's error where the host itself cannot be reached
 */
export function dial(
  host: string,
  port: number,
  { proxy, ca = [] }: { proxy?: URL | undefined; ca?: readonly string[] } = {},
): Promise<Socket> {
  if (proxy !== undefined) {
    return proxy.protocol.startsWith('socks') ? connectBySocks(proxy, host, port) : connectBy(proxy, host, port, ca);
  }
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const socket = connect({ host, port, autoSelectFamily: true });
  socket.setTimeout(CONNECT_SECONDS * 1000, () =>
    socket.destroy(
      Object.assign(new Error(`no connection to ${host}:${port} after ${CONNECT_SECONDS} s`), { code: 'ETIMEDOUT' }),
    ),
  );
  socket.once('error', reject);
  socket.once('connect', () => {
    socket.setTimeout(0);
    socket.off('error', reject);
    resolve(socket);
  });
  return promise;
}
