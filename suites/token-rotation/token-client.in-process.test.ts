import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import tls from 'node:tls';
import { exportJWK, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { close, listen, readBody, sendJson, urlOf } from '../../fixtures/workloads/lib/http.ts';
import { decodeToken } from '../../fixtures/workloads/lib/jwt.ts';
import { Observer } from '../../fixtures/workloads/observer/observer.ts';
import { AccessTokenCache } from '../../fixtures/workloads/token-client/access-tokens.ts';
import { referenceParts, TokenClient } from '../../fixtures/workloads/token-client/client.ts';
import { parseConfig, type TokenClientConfig } from '../../fixtures/workloads/token-client/config.ts';
import type { AccessToken } from '../../fixtures/workloads/token-client/token-endpoint.ts';
import { ProjectedTokenFile } from '../../fixtures/workloads/token-client/token-source.ts';
import {
  copyInPlace,
  linkInPlace,
  padInPlace,
  projectInPlace,
  remainingFiles,
} from '../../fixtures/workloads/token-probe/files.ts';
import { TokenProbe } from '../../fixtures/workloads/token-probe/probe.ts';
import { loadCatalogue, type Preconditions } from '../../harness/catalogue/catalogue.ts';
import { listWorkloads } from '../../harness/core/bundle.ts';
import { HarnessError, NotApplicable, NotTestable } from '../../harness/core/errors.ts';
import { type Finding, textOf } from '../../harness/core/findings.ts';
import { makePki, type RunPki } from '../../harness/core/pki.ts';
import { Resolver } from '../../harness/core/resolver.ts';
import { type SimulatedHosts, simulatedProviders, simulatedSetups } from '../../harness/fakes/simulated-providers.ts';
import {
  type ClientSession,
  FULLY_CONFIGURABLE,
  LATE,
  type SessionProvider,
  summarise,
} from '../../harness/roles/token-client/record.ts';
import { aSession } from '../../harness/roles/token-client/record-builders.ts';
import { driveClientSession } from '../../harness/roles/token-client/scenarios/session.ts';
import type { SessionPlan } from '../../harness/roles/token-client/scenarios/session-plan.ts';
import { forRequirement } from '../../harness/roles/token-client/simulated-record.ts';
import { keepsOthersWorking, neverFallsBack } from '../audience-isolation/token-client.checks.ts';
import { neverForwardsTheSubjectToken, sendsNoClientSecret } from '../token-exchange/token-client.checks.ts';
import { ROWS } from './client-session-rows.ts';
import {
  followsTheSymlinkSwap,
  neverPresentsAnExpiredToken,
  rereadsAtEveryExchange,
  rereadsOnSchedule,
} from './token-client.checks.ts';
import { writesNoToken } from './token-client-secrets.checks.ts';

type CreateClient = (config: TokenClientConfig) => TokenClient;

const { folder, created } = await vi.hoisted(async () => {
  const fs = await import('node:fs');
  const os = await import('node:os');
  return { folder: fs.mkdtempSync(`${os.tmpdir()}/client-session-`), created: [] as CreateClient[] };
});

// The entry of each client is taken as it is; its process and the path that pods have are not.
vi.mock('../../fixtures/workloads/token-client/service.ts', () => ({
  runTokenClient: (create: CreateClient) => created.push(create),
}));
vi.mock('../../fixtures/workloads/token-client/config.ts', async (original) => ({
  ...(await original<object>()),
  DEFAULT_TOKEN_PATH: `${folder}/token`,
}));

// As where the harness deploys the reference: TR-30 is evaluated at the level at which most is written.
vi.stubEnv('LOG_LEVEL', 'debug');

/** As on the accelerated clock; but time stands still while something happens, and is set from one call to the next. */
const ROTATION_MS = 16_000;
const SUBJECT_TOKEN_SECONDS = 25;
/** What the provider issues; longer where a client documents that it renews that much earlier. */
let accessTokenSeconds = 12;
const CALL_MS = 20;
const PORT = 8443;
/** Of all hosts but one, so that one certificate is for all: a long list of names is read at each handshake. */
const DOMAIN = 'session.test';
/** Of the hosts whose certificate nobody trusts; that of the others is not for their names. */
const UNTRUSTED_DOMAIN = 'untrusted.test';
/**
 * Time limit of a request to the provider with an outage; this and the client's patience are the only lengths of real
 * time.
 */
const TIMEOUT_MS = 300;
const HANGING = ['hangs-on-missing-file', 'no-time-limit'];

/**
 * One session comes after another, in real time, most of which is waiting: parts of this file run side by side, each in
 * a process of its own (vitest.config.ts). By itself it is one part.
 */
const [PART = 0, PARTS = 1] = process.env.TEST_PART?.split('/').map(Number) ?? [];
const isMine = (index: number): boolean => index % PARTS === PART;

/**
 * The rows of this session that each client must fail, by the catalogue: all others pass. The first one is the
 * reference.
 */
const { checkServerIdentity } = tls;

const CLIENTS: { name: string; workload: string; mustFail: string[] }[] = [
  { name: 'reference', workload: 'token-client', mustFail: [] },
  ...loadCatalogue().twins.flatMap((twin) =>
    twin.role === 'token-client' && twin.tokenClient.asTarget !== true
      ? [
          {
            name: twin.name,
            workload: `token-client-twins/${twin.tokenClient.variant}`,
            mustFail: twin.mustFail.filter((id) => id in ROWS),
          },
        ]
      : [],
  ),
];

/** As in `conformance prove`: all rows of the suites in which a twin must fail; for the reference all there are. */
function rowsOf(mustFail: string[]): Set<string> {
  const { requirements } = loadCatalogue();
  const suites = new Set(requirements.filter(({ id }) => mustFail.includes(id)).map(({ suite }) => suite));
  return new Set(requirements.filter(({ suite }) => mustFail.length === 0 || suites.has(suite)).map(({ id }) => id));
}

const stops: (() => unknown)[] = [];
const resolverRoutes: Record<string, { host: string; port: number }> = {};
/** One for all sessions: they share the folder. */
let probe: TokenProbe;
let projectedAt = 0;
let pki: RunPki;
let resolver: Resolver;
let untrusted: { cert: string; key: string };
let provider: { port: number; certificate: string; key: string };

beforeAll(async () => {
  for (const { workload } of CLIENTS) {
    await import(/* @vite-ignore */ new URL(`../../fixtures/workloads/${workload}/main.ts`, import.meta.url).href);
  }
  pki = await makePki('unit');
  const { cert, key } = await pki.issue('localhost', { names: [`*.${DOMAIN}`] });
  untrusted = await (await makePki('untrusted')).issue('localhost', { names: [`*.${UNTRUSTED_DOMAIN}`] });
  provider = { port: await startProvider(cert, key), certificate: cert, key };
  vi.useFakeTimers({ toFake: ['Date'] });
  await projectTokens();
  const files = [join(folder, 'token'), join(folder, 'staging-token')];
  probe = new TokenProbe({ files, intervalMs: 20, burstMs: 1 });
  probe.start();
  stops.push(() => probe.stop());
  resolver = new Resolver({ routes: resolverRoutes, ca: pki.ca });
  vi.stubGlobal('fetch', resolver.fetch);
});

afterAll(async () => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  for (const stop of stops) {
    await stop();
  }
  await resolver.close();
  rmSync(folder, { recursive: true });
});

function hostsOf(index: number): SimulatedHosts {
  const host = (name: string): string => `${name}-${index}.${DOMAIN}`;
  return {
    simulated: host('simulated'),
    tenants: host('tenants'),
    untrusted: `untrusted-${index}.${UNTRUSTED_DOMAIN}`,
    elsewhere: host('elsewhere'),
  };
}

/** Two realms on any host name: assertions for their own audience, unexpired, become ES256 access tokens. */
async function startProvider(cert: string, key: string): Promise<number> {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwk = { ...(await exportJWK(pair.publicKey)), kid: 'k', alg: 'ES256' };
  const server = createServer({ cert, key }, (request, response) => {
    void (async () => {
      const { pathname } = urlOf(request);
      const [, realm = ''] = /^\/realms\/(\w+)\//.exec(pathname) ?? [];
      const issuer = `https://${request.headers.host}/realms/${realm}`;
      if (realm !== '' && pathname.endsWith('/.well-known/openid-configuration')) {
        sendJson(response, 200, { issuer, token_endpoint: `${issuer}/token`, jwks_uri: `${issuer}/certs` });
        return;
      }
      if (pathname.endsWith('/certs')) {
        sendJson(response, 200, { keys: [jwk] });
        return;
      }
      const body = await readBody(request);
      if (!request.headers['content-type']?.startsWith('application/x-www-form-urlencoded')) {
        sendJson(response, 400, { error: 'invalid_request' });
        return;
      }
      const assertion = new URLSearchParams(body).get('assertion') ?? '';
      const { aud, exp = 0 } = decodeToken(assertion)?.claims ?? {};
      if (aud !== `audience-${realm}` || Number(exp) * 1000 <= Date.now()) {
        sendJson(response, 400, { error: 'invalid_grant' });
        return;
      }
      const claims = { iss: issuer, aud: `models-${realm}`, exp: Date.now() / 1000 + accessTokenSeconds };
      const token = await new SignJWT({ ...claims, jti: crypto.randomUUID() })
        .setProtectedHeader({ alg: 'ES256', kid: 'k' })
        .sign(pair.privateKey);
      sendJson(response, 200, { access_token: token, token_type: 'Bearer', expires_in: accessTokenSeconds });
    })();
  });
  stops.push(() => close(server));
  return listen(server, 0, '127.0.0.1');
}

/** Where each token file really is. */
const stamps = new Map<string, string>();

/** Projects a new token for each realm into the shared folder. */
async function projectTokens(): Promise<void> {
  projectedAt = Date.now();
  for (const [name, realm] of [
    ['token', 'production'],
    ['staging-token', 'staging'],
  ] as const) {
    const now = Date.now() / 1000;
    const claims = {
      iss: 'https://cluster.test',
      aud: `audience-${realm}`,
      iat: now,
      exp: now + SUBJECT_TOKEN_SECONDS,
      jti: crypto.randomUUID(),
    };
    const token = await new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).sign(new Uint8Array(32));
    const stamp = mkdtempSync(join(folder, '..stamp-'));
    const old = stamps.get(name);
    stamps.set(name, stamp);
    writeFileSync(join(stamp, name), token);
    symlinkSync(join(stamp, name), join(folder, `..${name}_tmp`));
    renameSync(join(folder, `..${name}_tmp`), join(folder, name));
    if (old !== undefined) {
      rmSync(old, { recursive: true });
    }
  }
}

/** Lets time go on until `instant`, with the rotations that fall into it, each seen by the probe when it happens. */
async function goOn(instant: number): Promise<void> {
  while (projectedAt + ROTATION_MS <= instant) {
    vi.setSystemTime(projectedAt + ROTATION_MS);
    const seen = observed();
    await projectTokens();
    while (observed() < seen + 2) {
      await delay(1);
    }
  }
  vi.setSystemTime(Math.max(instant, Date.now()));
}

const observed = (): number => probe.observations().reduce((sum, { observations }) => sum + observations.length, 0);

const ROTATIONS = { each: 2, total: 4 };

async function watchClient(
  index: number,
  plan: Pick<SessionPlan, 'rotations'> = { rotations: ROTATIONS },
  {
    create = created[index],
    skewSeconds,
    ...declared
  }: { create?: CreateClient; reloadSeconds?: number; skewSeconds?: number } = {},
): Promise<ClientSession> {
  const own = mkdtempSync(join(tmpdir(), 'client-session-own-'));
  const cacheDir = join(own, 'cache');
  const hosts = hostsOf(index);
  const setups = simulatedSetups({
    hosts,
    port: PORT,
    tokenPath: join(own, 'simulated-token'),
    swappedPath: join(own, 'swapped', 'token'),
  });
  const observer = new Observer({
    ports: { https: 0, http: 0 },
    address: '127.0.0.1',
    tls: { certificate: provider.certificate, key: provider.key, ca: pki.ca },
    identityProvider: {
      host: `idp-${index}.${DOMAIN}`,
      port: PORT,
      upstream: { address: '127.0.0.1', port: provider.port },
    },
    providers: ['production', 'staging'].map((name) => ({
      name,
      issuer: `https://idp-${index}.${DOMAIN}:${PORT}/realms/${name}`,
      tokenEndpoint: `https://idp-${index}.${DOMAIN}:${PORT}/realms/${name}/token`,
      accessTokenAudience: `models-${name}`,
    })),
    simulated: {
      providers: simulatedProviders({ hosts, port: PORT, holdMs: 150 }),
      elsewhere: hosts.elsewhere,
      untrusted: { host: hosts.untrusted, certificate: untrusted.cert, key: untrusted.key },
    },
  });
  const { https, http } = await observer.start();
  for (const host of [`idp-${index}.${DOMAIN}`, `models-${index}.${DOMAIN}`, ...Object.values(hosts)]) {
    resolver.add(`${host}:${PORT}`, { host: '127.0.0.1', port: https });
  }
  const latePath = join(own, 'late-token');
  const providers: SessionProvider[] = ['production', 'staging'].map((name, number) => ({
    name,
    audience: `audience-${name}`,
    clientId: `client-${name}`,
    scopes: ['openid'],
    tokenPath: join(folder, number === 0 ? 'token' : 'staging-token'),
    pathConfigured: number > 0,
    accessTokenLifetimeSeconds: accessTokenSeconds,
    ...(skewSeconds === undefined ? {} : { skewSeconds }),
  }));
  stops.push(() => rmSync(own, { recursive: true }));
  const written: string[] = [];
  const output = vi.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
    written.push(String(chunk));
    return true;
  });
  const baseURL = (name: string): string => `https://models-${index}.${DOMAIN}:${PORT}/${name}/v1`;
  const configOf = (name: string, tokenPath: string): object => ({
    baseURL: baseURL(name),
    oauth2: {
      issuer: `https://idp-${index}.${DOMAIN}:${PORT}/realms/${name}`,
      clientId: `client-${name}`,
      scopes: ['openid'],
      authFlow: 'jwt_bearer',
      subjectTokenSource: { type: 'kubernetes_sa', tokenPath },
    },
  });
  const config = parseConfig({
    cacheDir,
    providers: {
      ...Object.fromEntries(providers.map(({ name, tokenPath }) => [name, configOf(name, tokenPath)])),
      [LATE]: configOf('production', latePath),
      ...Object.fromEntries(
        setups.map(({ name, tokenPath, impatient, ...setup }) => [
          name,
          {
            baseURL: baseURL(name),
            oauth2: {
              ...setup,
              subjectTokenSource: { type: 'kubernetes_sa', tokenPath },
              ...(impatient === true ? { timeoutMs: TIMEOUT_MS } : {}),
            },
          },
        ]),
      ),
    },
  });
  const start = (): TokenClient => {
    if (create === undefined) {
      throw new Error(`no client has the number ${index}`);
    }
    return create(config);
  };
  let client = start();
  let restarts = 0;
  const exit = vi.spyOn(process, 'exit').mockImplementation((code) => {
    restarts += 1;
    client = start();
    throw new Error(`the process ended with ${code}`);
  });
  try {
    return await driveClientSession(
      {
        providers,
        latePath,
        capabilities: ['cache', 'client_credentials', 'discovery', 'resident', 'token_exchange'],
        configurable: FULLY_CONFIGURABLE,
        ...declared,
        simulated: setups,
        timeLimitMs: TIMEOUT_MS,
        async call(name, patienceMs) {
          await goOn(Date.now() + CALL_MS);
          const result = await Promise.race([client.call(name), delay(patienceMs, undefined, { ref: false })]);
          written.push(`${JSON.stringify(result) ?? ''}\n`);
          return result;
        },
        observations: async () => probe.observations(),
        records: async () => {
          const response = await fetch(`http://127.0.0.1:${http}/records`);
          return ((await response.json()) as { records: [] }).records;
        },
        refuseNext: async (name) => {
          await fetch(`http://127.0.0.1:${http}/refuse?provider=${name}`, { method: 'POST' });
        },
        act: async (name, act, lifeSeconds) => {
          const life = lifeSeconds === undefined ? '' : `&life=${lifeSeconds}`;
          await fetch(`http://127.0.0.1:${http}/act?provider=${name}&act=${act}${life}`, { method: 'POST' });
        },
        copy: async (from, to) => copyInPlace(from, to),
        pad: async (from, to) => padInPlace(from, to),
        link: async (from, to) => linkInPlace(from, to),
        project: async (from, to) => projectInPlace(from, to),
        remaining: async () => remainingFiles(cacheDir),
        identity: async () => ({ podUid: 'uid', restarts }),
        identityAfter: async () => ({ podUid: 'uid', restarts }),
        finish: async () => client.end(),
        output: async () => ({ text: written.join('') }),
        secrets: async () => [],
        stalls: async () => [],
        async until(instant) {
          // What hangs does so in real time: a long wait must outlast it.
          if (instant.getTime() - Date.now() > 4_000) {
            await delay(TIMEOUT_MS / 3);
          }
          await goOn(instant.getTime());
        },
        progress: () => {},
      },
      {
        subjectLifeSeconds: SUBJECT_TOKEN_SECONDS,
        paceMs: 1_000,
        // A client that hangs must not be waited for, all others however long they take.
        patienceMs: HANGING.includes(CLIENTS[index]?.name ?? '') ? 2_000 : 30_000,
        ...plan,
      },
    );
  } finally {
    output.mockRestore();
    exit.mockRestore();
    delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
    tls.checkServerIdentity = checkServerIdentity;
    await observer.stop();
  }
}

/** The findings of a row; none where it is not applicable to the client, and why where it is not testable. */
function applicable(evaluate: (session: ClientSession) => Finding[], session: ClientSession): Finding[] {
  try {
    return evaluate(session);
  } catch (error) {
    if (error instanceof NotApplicable) {
      return [];
    }
    if (error instanceof NotTestable) {
      return [error.message];
    }
    throw error;
  }
}

describe('a session with', () => {
  test.each(CLIENTS.filter((_, index) => isMine(index)))(
    '$name fails $mustFail and nothing else',
    { timeout: 120_000 },
    async (client) => {
      const index = CLIENTS.indexOf(client);
      const session = await watchClient(index);
      const evaluated = rowsOf(client.mustFail);
      const findings = Object.fromEntries(
        Object.entries(ROWS)
          .filter(([id]) => evaluated.has(id))
          .map(([id, evaluate]) => [id, applicable(evaluate, session)] as const)
          .filter(([, found]) => found.length > 0),
      );
      expect(
        Object.keys(findings).sort(),
        JSON.stringify({ findings, session: summarise(session) }, undefined, 1),
      ).toEqual(client.mustFail.toSorted());
      expect(JSON.stringify(session), 'no whole token is kept').not.toMatch(
        /eyJ[\w-]+\.[\w-]+\.(?!SIGNATURE-CUT)[\w-]+/,
      );
    },
  );
});

/** Reads its file again once what it remembers is older than its interval: as Kubernetes' documentation allows. */
class OnSchedule extends ProjectedTokenFile {
  #read: { token: string; at: number } | undefined;
  readonly #intervalMs: number;

  constructor(path: string, intervalMs: number) {
    super(path);
    this.#intervalMs = intervalMs;
  }

  override async read(): Promise<string> {
    if (this.#read === undefined || Date.now() - this.#read.at >= this.#intervalMs) {
      this.#read = { token: await super.read(), at: Date.now() };
    }
    return this.#read.token;
  }
}

describe.runIf(isMine(1))('a client that declares a reload interval', { timeout: 120_000 }, () => {
  const onSchedule =
    (seconds: number): CreateClient =>
    (config) =>
      new TokenClient(config, {
        ...referenceParts(config),
        sourceOf: ({ subjectTokenSource }) => new OnSchedule(subjectTokenSource.tokenPath, seconds * 1_000),
      });
  const failed = (session: ClientSession): string[] =>
    Object.entries(ROWS).flatMap(([id, evaluate]) => (applicable(evaluate, session).length > 0 ? [id] : []));

  test('and keeps it fails nothing; TR-22 quotes it', async () => {
    const session = await watchClient(0, undefined, { create: onSchedule(2), reloadSeconds: 2 });
    expect(failed(session)).toEqual([]);
    expect(() => rereadsAtEveryExchange(session)).toThrow(/again every 2 s \(tokenReloadSeconds\); TR-37/);
  });

  test('and reads less often fails TR-37', async () => {
    const session = await watchClient(0, undefined, { create: onSchedule(20), reloadSeconds: 2 });
    expect(failed(session)).toContain('TR-37');
  });

  test('and reads its file once fails TR-37', async () => {
    const index = CLIENTS.findIndex(({ name }) => name === 'reads-once');
    expect(failed(await watchClient(index, undefined, { reloadSeconds: 2 }))).toEqual(
      expect.arrayContaining(['TR-23', 'TR-36', 'TR-37']),
    );
  });

  test('for which the tokens of the clock leave no room is told which clock it needs', async () => {
    const session = aSession({ reloadSeconds: 60, subjectLifeSeconds: 120 });
    for (const evaluate of [
      neverPresentsAnExpiredToken,
      followsTheSymlinkSwap,
      rereadsOnSchedule,
      keepsOthersWorking,
    ]) {
      expect(() => evaluate(session)).toThrow(/^not applicable on this clock: .* every 60 s .* run with --clock real$/);
    }
    const room = aSession({ reloadSeconds: 21, subjectLifeSeconds: 120 });
    expect(rereadsOnSchedule(room).map(textOf)).toEqual(['no provider was presented a second token']);
  });
});

/** Renews its access tokens so long before their end. */
class EarlyRenewal extends AccessTokenCache {
  readonly #skewMs: number;

  constructor(skewMs: number) {
    super();
    this.#skewMs = skewMs;
  }

  protected override renewalTime({ expiresAt }: AccessToken): number {
    return expiresAt - this.#skewMs;
  }
}

test.runIf(isMine(2)).each([120, 225, 300, 1_200].map((skewSeconds, index) => ({ skewSeconds, index })))(
  'a client that documents a skew of $skewSeconds s fails nothing',
  {
    timeout: 60_000,
  },
  async ({ skewSeconds, index }) => {
    accessTokenSeconds = skewSeconds + 12;
    try {
      const create: CreateClient = (config) =>
        new TokenClient(config, referenceParts(config, undefined, new EarlyRenewal(skewSeconds * 1_000)));
      const session = await watchClient(index + 1, undefined, { create, skewSeconds });
      const findings = Object.entries(ROWS).flatMap(([id, evaluate]) =>
        applicable(evaluate, session).map((each) => [id, each]),
      );
      // Its cache is in memory alone.
      expect(findings.filter(([id]) => id !== 'TR-31')).toEqual([]);
      // It waits for no whole life: the calls of the providers end within some minutes.
      const paced = session.calls.filter(({ phase }) => phase === 'paced').map(({ at }) => Date.parse(at));
      expect((paced.at(-1) ?? 0) - (paced[0] ?? 0)).toBeLessThan(150_000);
    } finally {
      accessTokenSeconds = 12;
    }
  },
);

const { requirements } = loadCatalogue();
const preconditionsOf = (id: string): Preconditions =>
  requirements.find((requirement) => requirement.id === id)?.preconditions ?? {};

test.runIf(isMine(3))(
  'what is seen only across rotations declares that it needs them',
  { timeout: 120_000 },
  async () => {
    const session = await watchClient(0, {});
    const failed = Object.entries(ROWS).filter(([, evaluate]) => applicable(evaluate, session).length > 0);
    // How many rotations it crosses by chance depends on how long its other parts take.
    expect(failed.map(([id]) => id)).toEqual(expect.arrayContaining(['AI-32', 'TR-22']));
    expect(failed.filter(([id]) => preconditionsOf(id).rotations !== true)).toEqual([]);
  },
);

test.runIf(isMine(3))(
  'a requirement declares exactly the simulated providers that its check looks at',
  {
    timeout: 120_000,
  },
  async () => {
    const session = await watchClient(0);
    // What a twin of TX-05 does wrong happens at this provider, and is seen wherever it happens.
    const seenElsewhere = ['TX-05 revoking'];
    for (const [id, evaluate] of Object.entries(ROWS)) {
      const { simulatedProviders = [] } = preconditionsOf(id);
      expect(() => applicable(evaluate, forRequirement(session, simulatedProviders)), id).not.toThrow();
      for (const name of simulatedProviders) {
        if (seenElsewhere.includes(`${id} ${name}`)) {
          continue;
        }
        const others = simulatedProviders.filter((other) => other !== name);
        expect(() => evaluate(forRequirement(session, others)), `${id} without ${name}`).toThrow(HarnessError);
      }
    }
  },
);

test.runIf(isMine(3))('what the clients of the catalogue do not do', { timeout: 120_000 }, async () => {
  const session = await watchClient(0);
  const [exchange] = session.exchanges;
  const [resource] = session.resources;
  if (exchange === undefined || resource?.token === undefined) {
    throw new Error('nothing was recorded');
  }
  const foreign = { ...resource.token, sha256: 'another', claims: { iss: 'https://cluster.test' } };
  const withExchange = (change: object): ClientSession => ({ ...session, exchanges: [{ ...exchange, ...change }] });
  const wrong: [Finding[], RegExp][] = [
    [sendsNoClientSecret(withExchange({ authorization: 'Basic' })), /an Authorization header \(Basic\)/],
    [sendsNoClientSecret(withExchange({ path: '/token?client_secret=s' })), /client_secret in the URL/],
    [sendsNoClientSecret({ ...session, secrets: ['client (volume client)'] }), /given the Secret client/],
    [
      neverForwardsTheSubjectToken({ ...session, resources: [resource, { ...resource, token: foreign }] }),
      /a token of the cluster's issuer/,
    ],
    [neverForwardsTheSubjectToken({ ...session, resources: [] }), /accepted an access token/],
    [writesNoToken(withExchange({ accessToken: undefined, echoed: true })), /no token was exchanged/],
    [writesNoToken(withExchange({ accessToken: 'digest', echoed: undefined })), /no error repeated a token/],
    [
      keepsOthersWorking({ ...session, calls: session.calls.filter(({ phase }) => phase !== 'paced') }),
      /worked before/,
    ],
    [neverFallsBack({ ...session, resources: [{ ...resource, at: session.calls[0]?.at ?? '' }] }), /was sent a token/],
  ];
  for (const [findings, told] of wrong) {
    expect(findings.map(textOf)).toEqual([expect.stringMatching(told)]);
  }
});

test.runIf(isMine(0))('every row of the role has a verdict, and every variant a twin', () => {
  // Those of the cache, and those of other suites, are seen elsewhere.
  const rows = requirements.filter(
    ({ role, id, suite }) =>
      role === 'token-client' && suite !== 'rbac-minimal' && !['TR-32', 'TR-33', 'TR-34'].includes(id),
  );
  expect(Object.keys(ROWS).sort()).toEqual(rows.map(({ id }) => id).sort());
  const variants = listWorkloads().filter((workload) => workload.startsWith('token-client-twins/'));
  expect(
    CLIENTS.slice(1)
      .map(({ workload }) => workload)
      .sort(),
  ).toEqual(variants);
});

test.runIf(isMine(0))('a session that saw nothing satisfies no row', () => {
  const nothing = aSession({ latePath: '', remaining: [] });
  for (const [id, evaluate] of Object.entries(ROWS)) {
    const own = id === 'TR-37' ? { ...nothing, reloadSeconds: 2 } : nothing;
    expect(evaluate(own), id).not.toEqual([]);
  }
});
