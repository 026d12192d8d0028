import { randomBytes, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { EnvironmentApi } from './environment-api.ts';
import { fromControlError, toControlError } from './error.ts';
import type { ControlError } from './protocol.ts';

/**
 * The calls of {@link EnvironmentApi} as they are answered: each is told who asks, by name or as the candidate itself.
 */
export type EnvironmentHandlers<Asker = string> = {
  [Call in keyof EnvironmentApi]: (
    request: Parameters<EnvironmentApi[Call]>[0],
    asker: Asker,
  ) => ReturnType<EnvironmentApi[Call]>;
};

/** Handlers of any calls, by their names. */
export type Handlers = Record<string, (request: never, asker: never) => Promise<unknown>>;

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

/** The handlers of values that one worker makes and the others wait for. */
export function claimHandlers(): Pick<EnvironmentHandlers, 'claim' | 'fulfil'> {
  const claims = new Map<string, PromiseWithResolvers<unknown>>();
  return {
    async claim({ key }, candidate) {
      const existing = claims.get(`${candidate}\n${key}`);
      if (existing !== undefined) {
        return { make: false, value: await existing.promise };
      }
      const claim = Promise.withResolvers<unknown>();
      // Whoever made it knows; the others may not have asked yet.
      claim.promise.catch(() => undefined);
      claims.set(`${candidate}\n${key}`, claim);
      return { make: true };
    },
    async fulfil({ key, value, error }, candidate) {
      const claim = claims.get(`${candidate}\n${key}`);
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
export async function startControlServer(handlers: Handlers): Promise<ControlServer> {
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
    const call = (request.url ?? '').slice(1);
    if (!Object.hasOwn(handlers, call)) {
      answer(404, { kind: 'harness error', message: `there is no call ${call}` } satisfies ControlError);
      return;
    }
    const handler = handlers[call] as (request: unknown, candidate: unknown) => Promise<unknown>;
    readBody(request)
      .then((body) => JSON.parse(body) as { candidate: unknown; request: unknown })
      .then((body) => handler(body.request, body.candidate))
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
