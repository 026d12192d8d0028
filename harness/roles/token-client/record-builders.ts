/** Records of a session for tests of what is made of them: seconds count from a start of their own. */

import type { ExchangeRecord, ResourceRecord } from '../../../fixtures/workloads/observer/records.ts';
import { type Call, type ClientSession, FULLY_CONFIGURABLE } from './record.ts';

export const START = Date.UTC(2026, 0, 1);

/** An instant, by its seconds from the start. */
export const iso = (seconds: number): string => new Date(START + seconds * 1000).toISOString();

/** A call that succeeded. */
export const aCall = (
  phase: Call['phase'],
  provider: string,
  [from, to]: [number, number],
  change: Partial<Call> = {},
): Call => ({
  phase,
  provider,
  at: iso(from),
  durationMs: (to - from) * 1000,
  ok: true,
  ...change,
});

/** An exchange that gave an access token. */
export const anExchange = (provider: string, at: number, change: Partial<ExchangeRecord> = {}): ExchangeRecord => ({
  kind: 'exchange',
  at: iso(at),
  provider,
  method: 'POST',
  path: `/realms/${provider}/token`,
  contentType: 'application/x-www-form-urlencoded',
  authorization: null,
  parameters: {},
  status: 200,
  durationMs: 100,
  accessToken: `access-${at}`,
  ...change,
});

/** A request to a provider's resource server; records are placed by their seconds. */
export const aRequest = (provider: string, at: number, status: number): ResourceRecord => ({
  kind: 'resource',
  at: iso(at),
  place: at,
  provider,
  method: 'GET',
  path: '/',
  status,
});

/** A session that saw nothing. */
export const aSession = (change: Partial<ClientSession>): ClientSession => ({
  providers: [],
  latePath: '/late',
  files: [],
  exchanges: [],
  resources: [],
  lookups: [],
  acts: [],
  elsewhere: [],
  handshakes: [],
  calls: [],
  capabilities: [],
  configurable: FULLY_CONFIGURABLE,
  simulated: [],
  timeLimitMs: 0,
  subjectLifeSeconds: 25,
  output: { lines: 0, leaks: [], prompts: [], lost: 0 },
  secrets: [],
  before: { podUid: 'uid', restarts: 0 },
  after: { podUid: 'uid', restarts: 0 },
  beforeOutage: { podUid: 'uid', restarts: 0 },
  afterOutage: { podUid: 'uid', restarts: 0 },
  beforeRenewals: { podUid: 'uid', restarts: 0 },
  afterRenewals: { podUid: 'uid', restarts: 0 },
  stalls: [],
  ...change,
});
