/**
 * Leads a Node process whose DNS and tunnel API has a fixed base URL to the fake (`node --import …/fetch-shim.mjs`):
 * requests for https://api.cloudflare.com go to the address in CONFORMANCE_EDGE_URL. Plain JavaScript: it runs in the
 * target's own Node.
 */
import http from 'node:http';
import https from 'node:https';
import { syncBuiltinESMExports } from 'node:module';

const ORIGIN = 'https://api.cloudflare.com';
const edge = process.env.CONFORMANCE_EDGE_URL;
if (edge === undefined) {
  throw new Error('CONFORMANCE_EDGE_URL is not set: the harness starts the target with the address of its fake');
}

/** @param {string} url */
const moved = (url) => (url === ORIGIN || url.startsWith(`${ORIGIN}/`) ? edge + url.slice(ORIGIN.length) : url);

const fetchOfNode = globalThis.fetch;
globalThis.fetch = (input, init) => {
  if (input instanceof Request) {
    const url = moved(input.url);
    return fetchOfNode(url === input.url ? input : new Request(url, input), init);
  }
  return fetchOfNode(moved(String(input)), init);
};

// Clients that use node:https by themselves.
const requestOfNode = https.request;
https.request = (...args) => {
  const [first, ...rest] = args;
  const url = typeof first === 'string' || first instanceof URL ? new URL(first) : undefined;
  const options = url === undefined ? first : typeof rest[0] === 'object' ? rest.shift() : {};
  const host = url?.hostname ?? options?.hostname ?? options?.host;
  if (host !== new URL(ORIGIN).hostname) {
    return requestOfNode(...args);
  }
  const { hostname, port, protocol } = new URL(edge);
  const path = url === undefined ? options.path : `${url.pathname}${url.search}`;
  const send = protocol === 'http:' ? http.request : requestOfNode;
  return send({ ...options, protocol, hostname, host: hostname, port, path, agent: undefined }, ...rest);
};
https.get = (...args) => {
  const request = https.request(...args);
  request.end();
  return request;
};
syncBuiltinESMExports();
