import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';
import { Response } from 'undici';
import { describe, expect, test } from 'vitest';
import { NotTestable } from '../core/errors.ts';
import type { Fetch } from './fetch.ts';
import type { ProviderDescription } from './provider.ts';
import { resourceServerOf } from './resource-server.ts';

const ISSUER = 'https://idp.test/tenants/one';
const KEYS = 'https://idp.test/keys';
const OPENID = `${ISSUER}/.well-known/openid-configuration`;
const RFC_8414 = 'https://idp.test/.well-known/oauth-authorization-server/tenants/one';

const serverOf = (documents: Record<string, unknown>): ReturnType<typeof resourceServerOf> => {
  const fetch = async (url: string) =>
    url in documents ? Response.json(documents[url]) : Response.json({ error: 'not found' }, { status: 404 });
  return resourceServerOf(
    fetch as unknown as Fetch,
    {
      issuer: ISSUER,
      accessTokenAudience: 'models',
    } as ProviderDescription,
  );
};

const { privateKey, publicKey } = await generateKeyPair('ES256');
const published: JWK = { ...(await exportJWK(publicKey)), kid: 'one' };
const another: JWK = { ...(await exportJWK((await generateKeyPair('ES256')).publicKey)), kid: 'another' };
const token = (header: object = {}): Promise<string> =>
  new SignJWT({})
    .setProtectedHeader({ alg: 'ES256', ...header })
    .setIssuer(ISSUER)
    .setAudience('models')
    .setExpirationTime('1h')
    .sign(privateKey);

describe('the keys of a provider', () => {
  test.each([OPENID, RFC_8414])('by its metadata at %s', async (place) => {
    const refusal = await serverOf({ [place]: { jwks_uri: KEYS }, [KEYS]: { keys: [published] } });
    expect(await refusal(await token({ kid: 'one' }))).toBeUndefined();
  });

  test('each one that may have signed a token that names none', async () => {
    const refusal = await serverOf({ [OPENID]: { jwks_uri: KEYS }, [KEYS]: { keys: [another, published] } });
    expect(await refusal(await token())).toBeUndefined();
    const foreign = await serverOf({
      [OPENID]: { jwks_uri: KEYS },
      [KEYS]: { keys: [another, { ...another, kid: 'b' }] },
    });
    expect(await foreign(await token())).toMatch(/signature verification failed/);
  });

  test.each<[string, Record<string, unknown>, RegExp]>([
    ['no metadata', {}, /openid-configuration answered 404 and no JSON document/],
    ['metadata without keys', { [OPENID]: { issuer: ISSUER } }, /have no URL as jwks_uri: undefined/],
    ['metadata with a path', { [OPENID]: { jwks_uri: '/keys' } }, /have no URL as jwks_uri: "\/keys"/],
    ['keys that are none', { [OPENID]: { jwks_uri: KEYS }, [KEYS]: { keys: {} } }, /answered no JSON Web Key Set/],
    ['null', { [OPENID]: { jwks_uri: KEYS }, [KEYS]: null }, /answered 200 and no JSON document: null/],
  ])('%s: nothing can be said of its tokens', async (_, documents, message) => {
    await expect(serverOf(documents)).rejects.toThrow(NotTestable);
    await expect(serverOf(documents)).rejects.toThrow(message);
  });
});
