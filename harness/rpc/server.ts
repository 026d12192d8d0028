import { randomBytes, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fromControlError, toControlError } from './error.ts';
import type { ControlApi, ControlError } from './protocol.ts';

export type ControlHandlers = {
  [P in keyof ControlApi]: (request: ControlApi[P]['request']) => Promise<ControlApi[P]['response']>;
};

export interface ControlServer {
  url: string;
  secret: string;
  close(): Promise<void>;
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) {
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** The handlers of `/claim` and `/fulfil`: values that one worker makes and the others wait for. */
export function claimHandlers(): Pick<ControlHandlers, '/claim' | '/fulfil'> {
  const claims = new Map<string, PromiseWithResolvers<unknown>>();
  return {
    async '/claim'({ key }) {
      const existing = claims.get(key);
      if (existing !== undefined) {
        return { make: false, value: await existing.promise };
      }
      const claim = Promise.withResolvers<unknown>();
      // Whoever made it knows; the others may not have asked yet.
      claim.promise.catch(() => undefined);
      claims.set(key, claim);
      return { make: true };
    },
    async '/fulfil'({ key, value, error }) {
      const claim = claims.get(key);
      if (error === undefined) {
        claim?.resolve(value);
      } else {
        claim?.reject(fromControlError(error));
      }
      return {};
    },
  };
}

/**
 * Serves the environment to the test workers, on a free port of loopback, guarded by a secret that only they are given.
 * A request waits until the part that it asks for has started.
 */
export async function startControlServer(handlers: ControlHandlers): Promise<ControlServer> {
  const secret = randomBytes(24).toString('base64url');
  const expected = Buffer.from(`Bearer ${secret}`);
  const server: Server = createServer((request, response) => {
    const answer = (status: number, body: unknown): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    };
    const given = Buffer.from(request.headers.authorization ?? '');
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
      answer(401, { kind: 'harness error', message: 'wrong secret' } satisfies ControlError);
      return;
    }
    const path = request.url as keyof ControlApi;
    const handler = handlers[path] as ((body: unknown) => Promise<unknown>) | undefined;
    if (handler === undefined) {
      answer(404, { kind: 'harness error', message: `nothing is served at ${request.url}` } satisfies ControlError);
      return;
    }
    readBody(request)
      .then((body) => handler(JSON.parse(body)))
      .then((result) => answer(200, result))
      .catch((error: unknown) => answer(500, toControlError(error)));
  });
  // A part may take minutes to start where its image is pulled first.
  server.requestTimeout = 0;
  // It is the workers who close idle connections: a server that does so can be faster than their next question.
  server.keepAliveTimeout = 0;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    secret,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
