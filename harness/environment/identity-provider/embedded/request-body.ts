import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import type Provider from 'oidc-provider';
import type { KoaContextWithOIDC } from 'oidc-provider';
import type { EmbeddedBehaviour } from './behaviour.ts';
import type { ClientRegistry } from './clients.ts';

/** Far above any projected token (about 1 KiB), far below what would hurt. */
const BODY_LIMIT_BYTES = 48 * 1024;
const DROPPED_LIMIT_BYTES = 8 * 1024 * 1024;

/**
 * The body, or undefined if it is too large; then the rest is read and dropped, so that the client comes to see the
 * answer.
 */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  let chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request) {
    length += (chunk as Buffer).length;
    if (length > DROPPED_LIMIT_BYTES) {
      break;
    }
    if (length > BODY_LIMIT_BYTES) {
      chunks = [];
    } else {
      chunks.push(chunk as Buffer);
    }
  }
  return length > BODY_LIMIT_BYTES ? undefined : Buffer.concat(chunks).toString('utf8');
}

/**
 * What happens to a request before oidc-provider sees it. That wants every client to name itself by
 * `client_id`; with a `client_assertion` it is optional (RFC 7521 section 4.2). So it is filled in from the assertion;
 * the assertion itself is verified where the grant is handled.
 *
 * @param host of the issuer
 */
export function readTokenRequest(
  host: string,
  clients: ClientRegistry,
  behaviour: EmbeddedBehaviour,
): Parameters<Provider['use']>[0] {
  return async (ctx, next) => {
    // The URLs of the discovery document are the issuer's, by whatever name the request came.
    ctx.req.headers.host = host;
    if (ctx.method !== 'POST' || !ctx.is('application/x-www-form-urlencoded')) {
      return next();
    }
    const body = await readBody(ctx.req);
    if (body === undefined) {
      behaviour.refuseLongBody(ctx, BODY_LIMIT_BYTES);
      return undefined;
    }
    const replayed = Buffer.from(withClientId(body, clients));
    ctx.req.headers['content-length'] = String(replayed.length);
    ctx.req = Readable.from([replayed], { objectMode: false }) as IncomingMessage;
    await next();
    behaviour.finish(ctx as KoaContextWithOIDC);
    return undefined;
  };
}

function withClientId(body: string, clients: ClientRegistry): string {
  const form = new URLSearchParams(body);
  const assertion = form.get('client_assertion');
  if (assertion !== null && !form.has('client_id')) {
    form.set('client_id', clients.clientNamedBy(assertion));
  }
  return form.toString();
}
