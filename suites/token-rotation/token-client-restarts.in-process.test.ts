import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { Observer } from '../../fixtures/workloads/observer/observer.ts';
import type { ExchangeRecord } from '../../fixtures/workloads/observer/records.ts';
import type { TokenClient } from '../../fixtures/workloads/token-client/client.ts';
import { parseConfig, type TokenClientConfig } from '../../fixtures/workloads/token-client/config.ts';
import { loadCatalogue } from '../../harness/catalogue/catalogue.ts';
import type { Finding } from '../../harness/core/findings.ts';
import { makePki } from '../../harness/core/pki.ts';
import { Resolver } from '../../harness/core/resolver.ts';
import { type SimulatedHosts, simulatedProviders, simulatedSetups } from '../../harness/fakes/simulated-providers.ts';
import type { CacheSession } from '../../harness/roles/token-client/cache-record.ts';
import { driveCacheSession } from '../../harness/roles/token-client/scenarios/restarts.ts';
import { keepsConfigurationsApart, reusesTheKeptCache, survivesABadCache } from './token-client-cache.checks.ts';

type CreateClient = (config: TokenClientConfig) => TokenClient;

const created = vi.hoisted(() => [] as CreateClient[]);

// The entry of each client is taken as it is; its process is not.
vi.mock('../../fixtures/workloads/token-client/service.ts', () => ({
  runTokenClient: (create: CreateClient) => created.push(create),
}));

const ROWS: Record<string, (session: CacheSession) => Finding[]> = {
  'TR-32': reusesTheKeptCache,
  'TR-33': keepsConfigurationsApart,
  'TR-34': survivesABadCache,
};

const CLIENTS: { name: string; workload: string; mustFail: string[] }[] = [
  { name: 'reference', workload: 'token-client', mustFail: [] },
  ...loadCatalogue().twins.flatMap((twin) => {
    const mustFail = twin.mustFail.filter((id) => id in ROWS);
    return twin.role === 'token-client' && twin.tokenClient.asTarget !== true && mustFail.length > 0
      ? [{ name: twin.name, workload: `token-client-twins/${twin.tokenClient.variant}`, mustFail }]
      : [];
  }),
];

const PORT = 8443;
const HOSTS: SimulatedHosts = {
  simulated: 'simulated.test',
  tenants: 'tenants.test',
  untrusted: 'untrusted.test',
  elsewhere: 'elsewhere.test',
};

let folder: string;
let observer: Observer;
let resolver: Resolver;
let http: number;
let next = 0;

beforeAll(async () => {
  for (const { workload } of CLIENTS) {
    await import(/* @vite-ignore */ new URL(`../../fixtures/workloads/${workload}/main.ts`, import.meta.url).href);
  }
  folder = mkdtempSync(join(tmpdir(), 'client-cache-session-'));
  writeFileSync(join(folder, 'token'), 'subject-token');
  const pki = await makePki('unit');
  const { cert, key } = await pki.issue('models.test', { names: Object.values(HOSTS) });
  observer = new Observer({
    ports: { https: 0, http: 0 },
    address: '127.0.0.1',
    tls: { certificate: cert, key, ca: pki.ca },
    identityProvider: { host: 'idp.test', port: PORT, upstream: { address: '127.0.0.1', port: 9 } },
    providers: [],
    simulated: {
      providers: simulatedProviders({ hosts: HOSTS, port: PORT }),
      elsewhere: HOSTS.elsewhere,
      untrusted: { host: HOSTS.untrusted, certificate: cert, key },
    },
  });
  const ports = await observer.start();
  http = ports.http;
  const route = { host: '127.0.0.1', port: ports.https };
  resolver = new Resolver({
    ca: pki.ca,
    routes: { [`models.test:${PORT}`]: route, [`${HOSTS.simulated}:${PORT}`]: route },
  });
  vi.stubGlobal('fetch', resolver.fetch);
});

afterAll(async () => {
  vi.unstubAllGlobals();
  await resolver.close();
  await observer.stop();
  rmSync(folder, { recursive: true });
});

async function restartClient(create: CreateClient): Promise<CacheSession> {
  const cache = mkdtempSync(join(folder, 'cache-'));
  const setups = simulatedSetups({
    hosts: HOSTS,
    port: PORT,
    tokenPath: join(folder, 'token'),
    swappedPath: join(folder, 'swapped', 'token'),
  });
  const read = async (path: string): Promise<unknown> => (await fetch(`http://127.0.0.1:${http}${path}`)).json();
  const seen = ((await read('/records')) as { records: [] }).records.length;
  let client: TokenClient | undefined;
  let corruptFiles = 0;
  return driveCacheSession(
    {
      setup: (simulated) => setups.find(({ name }) => name === simulated) as (typeof setups)[number],
      async start(start, providers) {
        if (start === 'corrupt') {
          const files = readdirSync(cache);
          for (const name of files) {
            writeFileSync(join(cache, name), '{"key":');
          }
          corruptFiles = files.length;
        }
        // Nobody can write below a file, not even a user who may write everywhere.
        const folders = { emptied: mkdtempSync(join(folder, 'emptied-')), unwritable: join(folder, 'token', 'cache') };
        const config = {
          cacheDir: start === 'emptied' || start === 'unwritable' ? folders[start] : cache,
          providers: Object.fromEntries(
            providers.map(({ name, simulated, tokenPath, ...oauth2 }) => [
              name,
              {
                baseURL: `https://models.test:${PORT}/${simulated}/v1`,
                oauth2: { ...oauth2, subjectTokenSource: { type: 'kubernetes_sa', tokenPath } },
              },
            ]),
          ),
        };
        try {
          client = create(parseConfig(config));
          return undefined;
        } catch (error) {
          return (error as Error).message;
        }
      },
      end: async () => {
        client = undefined;
      },
      call: async (provider) => client?.call(provider),
      mark: async () => {
        await fetch(`http://127.0.0.1:${http}/act?provider=cached&act=good`, { method: 'POST' });
      },
      corruptFiles: () => corruptFiles,
      records: async () => ((await read(`/records?since=${seen}`)) as { records: [] }).records,
      stalls: async () => [],
      progress: () => {},
    },
    10_000,
  );
}

test.each(CLIENTS)('$name fails $mustFail and nothing else', { timeout: 120_000 }, async ({ mustFail }) => {
  const create = created[next];
  next += 1;
  if (create === undefined) {
    throw new Error('no such client');
  }
  const session = await restartClient(create);
  const findings = Object.fromEntries(
    Object.entries(ROWS)
      .map(([id, evaluate]) => [id, evaluate(session)] as const)
      .filter(([, found]) => found.length > 0),
  );
  expect(Object.keys(findings), JSON.stringify({ findings, calls: session.calls }, undefined, 1)).toEqual(mustFail);
});

test('what a client got at its start, before it was called, is its own too', () => {
  const starts = ['kept', 'replaced', 'emptied'] as const;
  const calls = starts.map((start) => ({ start, provider: 'same', at: '', durationMs: 0, ok: true }));
  const exchange = (place: number, client: string) =>
    ({
      kind: 'exchange',
      place,
      accessToken: 'access',
      parameters: { client_id: [client] },
    }) as unknown as ExchangeRecord;
  const session: CacheSession = {
    calls,
    // A start at 0, 20 and 40, a call at 10, 30 and 50.
    marks: calls.flatMap((call, index) => [
      { start: call.start, place: 20 * index },
      { start: call.start, call, place: 20 * index + 10 },
    ]),
    without: [],
    failedStarts: [],
    corruptFiles: 1,
    exchanges: [exchange(5, 'client-same'), exchange(6, 'client-issuer'), exchange(45, 'client-same')],
    resources: [],
    stalls: [],
  };
  expect(reusesTheKeptCache(session)).toEqual([]);
  expect(reusesTheKeptCache({ ...session, exchanges: [...session.exchanges, exchange(25, 'client-same')] })).toEqual([
    'with a cache that is replaced 1 calls made 1 exchanges, not 0',
  ]);
});

test('a session that saw nothing satisfies no row', () => {
  const nothing: CacheSession = {
    calls: [],
    marks: [],
    without: [],
    failedStarts: [],
    corruptFiles: 0,
    exchanges: [],
    resources: [],
    stalls: [],
  };
  for (const [id, evaluate] of Object.entries(ROWS)) {
    expect(evaluate(nothing), id).not.toEqual([]);
    // Any of it may be the machine's fault.
    expect(
      evaluate(nothing).filter((finding) => typeof finding === 'string'),
      id,
    ).toEqual([]);
  }
});
