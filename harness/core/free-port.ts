import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { HarnessError } from './errors.ts';

/** Below the ports that kernels give of their own accord (Linux: from 32768, IANA: from 49152). */
const FROM = 12_000;
const TO = 32_000;
const ATTEMPTS = 50;

/** Ports that this process gave: whoever is to listen there may not do so yet. */
const given = new Set<number>();

/**
 * A TCP port at which nobody listens, for a program that is yet to start. No kernel gives it to somebody else until
 * then, as it might one that it chose itself.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const port = randomInt(FROM, TO);
    if (!given.has(port) && (await isFree(port))) {
      given.add(port);
      return port;
    }
  }
  throw new HarnessError(`none of ${ATTEMPTS} TCP ports between ${FROM} and ${TO} is free on this host`);
}

/** Whether it can be listened at, at every address. */
async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const { promise, resolve } = Promise.withResolvers<boolean>();
  server.once('error', () => resolve(false));
  server.listen(port, () => server.close(() => resolve(true)));
  return await promise;
}
