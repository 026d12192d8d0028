import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { NotApplicable, UsageError } from '../../../core/errors.ts';
import { readIncompatiblePair } from '../../../core/incompatible-pair.ts';
import { SIMULATED_HOSTS, simulatedSetups } from '../../../fakes/simulated-providers.ts';
import type { ProviderDescription } from '../../../oauth/provider.ts';
import { loadTarget, type Target } from '../../../targets/load.ts';
import { whyNoCache } from '../observe-cache.ts';
import { FULLY_CONFIGURABLE, LATE } from '../record.ts';
import { agreeOnGrant, type ConfiguredProvider, configurableBy } from './files.ts';
import { ConfigurationSets, cacheProvidersWithout, configuredSimulated } from './session.ts';

const FOLDER = fileURLToPath(new URL('../../../../fixtures/targets/token-clients/', import.meta.url));
const GIVEN = { plugin: '/plugin.js', image: 'some/image:1' };

function load(file: string): Target<'token-client'> {
  const target = loadTarget(`${FOLDER}${file}`, GIVEN);
  if (target.role !== 'token-client') {
    throw new Error(`${file} is of the role ${target.role}`);
  }
  return target;
}

const opencode = load('opencode-oauth2-plugin/target.yaml');

function provider(name: string, tokenPath = `/tokens/${name}`): ConfiguredProvider {
  return {
    name,
    issuer: `https://idp.test/${name}`,
    tokenEndpoint: `https://idp.test/${name}/token`,
    audience: name,
    clientId: 'client',
    scopes: ['openid'],
    tokenPath,
    pathConfigured: true,
    accessTokenLifetimeSeconds: 42,
    baseURL: `https://models.test/${name}/v1`,
    grant: 'jwt-bearer',
    clientAuthentication: 'none',
  };
}

test.each(globSync('*/*.yaml', { cwd: FOLDER }))('%s has the right shape, and is named after its file', (file) => {
  const [folder, name = ''] = file.split('/');
  const form = basename(name, '.yaml');
  expect(load(file).name).toBe(form === 'target' ? folder : `${folder}-${form}`);
});

describe('the cache of a pod', () => {
  const folder = mkdtempSync(join(tmpdir(), 'token-client-target-test-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const reference = readFileSync(`${FOLDER}reference/target.yaml`, 'utf8');

  /** The reference's target file, with one of its lines changed. */
  function changed(line: string, to: string): Target {
    expect(reference).toContain(line);
    const file = join(folder, 'target.yaml');
    writeFileSync(file, reference.replace(line, to));
    return loadTarget(file);
  }

  test('is evaluated where the file says on which volume it is', () => {
    expect(whyNoCache(load('reference/target.yaml'))).toBeUndefined();
    const unsaid = changed('  cacheVolume: cache\n', '');
    expect(unsaid.role === 'token-client' && whyNoCache(unsaid)).toMatch(/run\.cacheVolume.*emptyDir in run\.pod/);
    const unable = changed(' cache, discovery', ' discovery');
    expect(unable.role === 'token-client' && whyNoCache(unable)).toMatch(/declares the capabilities.*not cache/);
  });

  const MOUNT = '- { name: cache, mountPath: /var/cache/token-client }';

  test.each([
    ['is not there', 'cacheVolume: cache', 'cacheVolume: cash', /no volume "cash"; it has tokens, config, cache/],
    ['is something else', 'cacheVolume: cache', 'cacheVolume: config', /"config" of run\.pod is no emptyDir/],
    ['is not mounted', MOUNT, '', /the container "client" of run\.pod does not mount the volume "cache"/],
    ['cannot be written', MOUNT, MOUNT.replace(' }', ', readOnly: true }'), /"cache" read-only/],
    ['is called a folder', 'cacheVolume: cache', 'cacheFolder: /var/cache/token-client', /cacheFolder/],
  ])('is wrong use on a volume that %s', (_, line, to, said) => {
    const act = (): unknown => changed(line, to);
    expect(act).toThrow(UsageError);
    expect(act).toThrow(said);
  });
});

describe('the grant', () => {
  const described = (...grants: ProviderDescription['grants']): ProviderDescription => ({
    ...provider('production'),
    accessTokenAudience: 'inference',
    grants,
  });

  test('is the first that both can', () => {
    const wanted = { grant: 'token-exchange', clientAuthentication: 'none' } as const;
    expect(
      agreeOnGrant(
        opencode,
        'idp',
        described({ grant: 'client-assertion', clientAuthentication: 'subject-token' }, wanted, {
          grant: 'jwt-bearer',
          clientAuthentication: 'none',
        }),
      ),
    ).toEqual(wanted);
  });

  test.each([
    [
      { grant: 'jwt-bearer', clientAuthentication: 'subject-token' } as const,
      42,
      /takes jwt-bearer with the client authentication subject-token, which needs the capabilities jwt_bearer and client_assertion, and nothing else.*--idp embedded/,
    ],
    [
      { grant: 'jwt-bearer', clientAuthentication: 'none' } as const,
      30,
      /expired 30 s before its end.*longer than 30 s/,
    ],
  ])('with %j and a life of %i s there is none: the pair is told', (grant, accessTokenLifetimeSeconds, told) => {
    const agree = (): unknown =>
      agreeOnGrant(opencode, 'keycloak', { ...described(grant), accessTokenLifetimeSeconds });
    expect(agree).toThrow(NotApplicable);
    expect(agree).toThrow(told);
    try {
      agree();
    } catch (error) {
      expect(readIncompatiblePair((error as Error).message)?.between).toEqual(['opencode-oauth2-plugin', 'keycloak']);
    }
  });
});

test('a client that has its tokens by client credentials is one pair with a provider that takes the assertion of a client', () => {
  const declared = { ...opencode, capabilities: ['client_credentials' as const] };
  const grant = { grant: 'client-assertion', clientAuthentication: 'subject-token' } as const;
  const description = { ...provider('production'), accessTokenAudience: 'inference', grants: [grant] };
  expect(agreeOnGrant(declared, 'keycloak', description)).toEqual(grant);
  const secret = { grant: 'client-assertion', clientAuthentication: 'client-secret-post' } as const;
  expect(() => agreeOnGrant(declared, 'keycloak', { ...description, grants: [secret] })).toThrow(
    /declares the capabilities client_credentials; .* which needs a client secret, and nothing else/,
  );
});

describe('what a client can be given', () => {
  const setups = simulatedSetups({ hosts: SIMULATED_HOSTS, port: 443, tokenPath: '/token', swappedPath: '/swapped' });
  /** A target that is described by less than the plugin. */
  const target = (change: Partial<Target<'token-client'>>): Target<'token-client'> => ({ ...opencode, ...change });
  const simulatedFor = (change: Partial<Target<'token-client'>>): ReturnType<typeof configuredSimulated> =>
    configuredSimulated(target(change), setups, (name) => name);

  test('is what its provider mentions', () => {
    expect(configurableBy(opencode)).toEqual({ ...FULLY_CONFIGURABLE, audience: false });
    expect(configurableBy(target({ provider: { url: '${provider.tokenEndpoint}' } }))).toEqual({
      clientId: false,
      scopes: false,
      audience: false,
      tokenExchangeAudience: false,
      tokenPath: false,
    });
  });

  test.each([
    ['none that it declares', { scopes: [] }, []],
    ['its own', { scopes: ['models'] }, ['models']],
    ['openid where nothing is declared', {}, ['openid']],
    ['none where it cannot be given any', { provider: {} }, []],
  ])('at simulated providers it has the scopes: %s', (_, change, scopes) => {
    const { configured, simulated } = simulatedFor(change);
    expect(new Set([...configured, ...simulated].map((one) => one.scopes))).toEqual(new Set([scopes]));
  });

  test('decides which simulated providers it is configured for', () => {
    const names = ({ simulated }: ReturnType<typeof configuredSimulated>): string[] =>
      simulated.map(({ name }) => name);
    expect(names(simulatedFor({}))).toContain('exchange-audience');
    expect(names(simulatedFor({ provider: {} }))).not.toContain('exchange-audience');
    expect(names(simulatedFor({}))).not.toContain('client-assertion');
    const only = simulatedFor({ capabilities: ['client_credentials'] });
    expect(names(only)).not.toContain('exchange');
    expect(only.configured.find(({ name }) => name === 'plain')).toMatchObject({
      grant: 'client-assertion',
      clientAuthentication: 'subject-token',
    });
  });

  test('decides what differs between its starts with a cache', () => {
    expect(cacheProvidersWithout(opencode)).toEqual([]);
    expect(cacheProvidersWithout(target({ capabilities: ['jwt_bearer', 'cache'] }))).toEqual(['audience']);
    expect(cacheProvidersWithout(target({ provider: {} }))).toEqual(['client', 'audience']);
  });
});

describe('the configuration', () => {
  const sets = new ConfigurationSets(opencode, [provider('production'), provider('staging')], [], '/late/token', {});
  const configured = (set: string): Record<string, { options: { oauth2: object } }> =>
    JSON.parse(sets.files[set]?.['opencode.json'] ?? '').provider;

  test('has each provider by its name, as the target file writes it', () => {
    expect(configured('usual').production).toEqual({
      name: 'production',
      options: {
        baseURL: 'https://models.test/production/v1',
        oauth2: {
          issuer: 'https://idp.test/production',
          clientId: 'client',
          scopes: ['openid'],
          authFlow: 'jwt_bearer',
          subjectTokenSource: { type: 'kubernetes_sa', tokenPath: '/tokens/production' },
        },
      },
    });
  });

  test('names no path where the default is to be used', () => {
    const [production, staging] = [{ ...provider('production'), pathConfigured: false }, provider('staging')];
    const { files } = new ConfigurationSets(opencode, [production, staging], [], '/late/token', {});
    const written = JSON.parse(files.usual?.['opencode.json'] ?? '').provider;
    expect(written.production.options.oauth2.subjectTokenSource).toEqual({ type: 'kubernetes_sa' });
    expect(written.staging.options.oauth2.subjectTokenSource.tokenPath).toBe('/tokens/staging');
  });

  test('has the late provider beside the first one only while it has no token', () => {
    expect(Object.keys(configured('late'))).toEqual(['staging', LATE]);
    expect(sets.setFor(LATE)).toBe('late');
    expect(sets.setFor('production')).toBe('usual');
    sets.copied('/dev/null', '/late/token');
    expect(sets.setFor('production')).toBe('all');
    expect(Object.keys(configured('all'))).toEqual(['production', 'staging', LATE]);
    sets.copied('/tokens/production', '/late/token');
    expect(sets.setFor('production')).toBe('usual');
  });
});
