/** What was seen of a token client, and what can be asked of it: shared by the checks of all suites. */

import type { Stall } from '../../../fixtures/workloads/lib/heartbeat.ts';
import type { DecodedToken } from '../../../fixtures/workloads/lib/jwt.ts';
import type {
  ActRecord,
  ElsewhereRecord,
  ExchangeRecord,
  HandshakeRecord,
  ProviderRecord,
  ResourceRecord,
} from '../../../fixtures/workloads/observer/records.ts';
import type { Act } from '../../../fixtures/workloads/observer/simulated.ts';
import type { RemainingFile } from '../../../fixtures/workloads/token-probe/files.ts';
import type { Listener } from '../../../fixtures/workloads/token-probe/listeners.ts';
import type { FileObservations, TokenObservation } from '../../../fixtures/workloads/token-probe/probe.ts';
import { NotApplicable } from '../../core/errors.ts';
import { type Finding, missing, unlessStalled } from '../../core/findings.ts';
import type { SimulatedSetup } from '../../fakes/simulated-providers.ts';
import type { Grant } from '../../oauth/provider.ts';
import type { ClientCapability } from '../../role-data/token-client/target-file.ts';
import { reloadRoomSeconds } from './reload.ts';
import type { TokenLeak } from './token-leaks.ts';

/** A provider as the token client under test is configured for it. */
export interface SessionProvider {
  /** Its name at the identity provider, and in the client's configuration. */
  name: string;
  audience: string;
  clientId: string;
  scopes: string[];
  /** The token file that the client must read for it. */
  tokenPath: string;
  /** False where `tokenPath` is the default, which the configuration does not name. */
  pathConfigured: boolean;
  accessTokenLifetimeSeconds: number;
  /** By which it has its access tokens; absent: `jwt-bearer`. */
  grant?: Grant;
  /** The client documents that it takes an access token for expired so many seconds before its end. */
  skewSeconds?: number;
}

/**
 * Which properties of a provider the client's configuration can say: what it cannot be given is not asked of its
 * requests.
 */
export interface Configurable {
  clientId: boolean;
  scopes: boolean;
  /** The audience of its subject token, which some clients send as the `audience` of a token exchange. */
  audience: boolean;
  tokenExchangeAudience: boolean;
  tokenPath: boolean;
}

/** How its token requests differ from the RFCs, as declared. */
export interface TokenRequestDialect {
  encoding: 'form' | 'json';
  omits: readonly ('client_id' | 'scope')[];
  subjectTokenType?: string | undefined;
}

/** Of a client that can be configured with everything. */
export const FULLY_CONFIGURABLE: Configurable = {
  clientId: true,
  scopes: true,
  audience: true,
  tokenExchangeAudience: true,
  tokenPath: true,
};

/** Name under which the client knows the provider whose token file comes late. */
export const LATE = 'late';

/**
 * When a call was made: with the late provider's token file `missing`, then `blank`, then of
 * `white-space` alone, then there but `refused`, then good
 * (`recovered`); from a cold cache with calls of all providers at the same time (`concurrent`); many in a row
 * (`burst`); one after another, about one a second, while tokens rotate (`paced`); each provider once, the late one
 * first, with its token file blank again and its access token expired, or where that is good for longer a simulated one
 * in its place (`blanked`), and the late one once more with its token (`restored`); each simulated provider as often as
 * its part needs (`simulated`), the ones that fail while a token of theirs is about to be renewed (`renewal`), the one
 * whose answer to a cold call never comes (`hanging`), the one with an outage at the very end (`outage`).
 */
export type Phase =
  | 'missing'
  | 'blank'
  | 'white-space'
  | 'refused'
  | 'recovered'
  | 'concurrent'
  | 'burst'
  | 'paced'
  | 'blanked'
  | 'restored'
  | 'simulated'
  | 'renewal'
  | 'hanging'
  | 'outage';

/** The phases in which the late provider's token file holds no token, and how the file is then. */
const WITHOUT_TOKEN: Partial<Record<Phase, string>> = {
  missing: 'missing',
  blank: 'blank',
  'white-space': 'of white space only',
};

/** How the late provider's token file is in a phase in which it holds no token; undefined for every other phase. */
export function withoutToken(phase: Phase): string | undefined {
  return WITHOUT_TOKEN[phase];
}

/** One call that the client was told to make, and how it says it ended. */
export interface Call {
  phase: Phase;
  provider: string;
  /** Number of the burst. */
  burst?: number;
  /** What the simulated provider had been told before. */
  act?: Act;
  at: string;
  durationMs: number;
  ok: boolean;
  status?: number;
  error?: string;
  /**
   * Of a call without a token file: the path of that file stands in the error, or in what the process of the call
   * wrote.
   */
  namesFile?: boolean;
  /** The client had not answered when the harness's patience ended. */
  unanswered?: true;
}

/** Of the pod that the client runs in. */
export interface ClientPodFacts {
  /** Its IP address. */
  address: string;
  /** RFC 3339, in whole seconds. */
  createdAt: string;
  /** Kubernetes put the ServiceAccount's token for the API server into it. */
  hasApiToken: boolean;
}

/** What identifies the client's process: it changes with a restart. */
export interface ProcessIdentity {
  podUid: string;
  restarts: number;
  /** Id of the container that runs it; absent where none runs, or where it is no container. */
  instance?: string;
  /** Absent for a process of this host. */
  pod?: ClientPodFacts;
}

/** One client watched over some time, from every side. */
export interface ClientSession {
  providers: SessionProvider[];
  /** The token file of the provider {@link LATE}, which gets a copy of the first provider's token. */
  latePath: string;
  files: FileObservations[];
  exchanges: ExchangeRecord[];
  resources: ResourceRecord[];
  /** All other requests to identity providers. */
  lookups: ProviderRecord[];
  /** What simulated providers were told. */
  acts: ActRecord[];
  /** What came to another origin along a redirect. */
  elsewhere: ElsewhereRecord[];
  /** Connections to the provider whose certificate nobody trusts. */
  handshakes: HandshakeRecord[];
  calls: Call[];
  /** How many of them are a burst of one provider. */
  burstCalls?: number;
  capabilities: ClientCapability[];
  configurable: Configurable;
  /** Absent: as the RFCs have it. */
  tokenRequest?: TokenRequestDialect;
  /** The simulated providers that the client was configured for; none where it could not be. */
  simulated: SimulatedSetup[];
  /** Where the session is seen by one requirement: the simulated providers that its row declares. */
  declared?: readonly string[];
  /** Milliseconds within which a call of the client ends, as declared, whatever the provider does. */
  timeLimitMs: number;
  /** Seconds that it takes an access token to live of which it is told nothing, where that is declared. */
  defaultLifeSeconds?: number;
  /** It reads its token file again at least so often, as declared; absent: at every exchange. */
  reloadSeconds?: number;
  /** Seconds that the subject tokens lived. */
  subjectLifeSeconds: number;
  /** Files that it left in the folders that it may write to; absent where nobody can look. */
  remaining?: RemainingFile[];
  /** Ports that were listened on where it runs; absent where nobody can look. */
  listeners?: Listener[];
  /**
   * Lines of the client's output, the tokens found in it, and the lines that ask somebody to log in at a simulated
   * provider; and of how many of its processes the output is gone.
   */
  output: { lines: number; leaks: TokenLeak[]; prompts: number[]; lost: number };
  /** Secrets that the client's pod is given, with where. */
  secrets: string[];
  before: ProcessIdentity;
  after: ProcessIdentity;
  /** The process before the outage of the simulated provider: `after`, or another instance of the client. */
  beforeOutage: ProcessIdentity;
  /** The process after the outage of the simulated provider. */
  afterOutage: ProcessIdentity;
  /** The process before providers fail while tokens are about to be renewed: `afterOutage`, or another instance. */
  beforeRenewals: ProcessIdentity;
  /** The process after that. */
  afterRenewals: ProcessIdentity;
  /**
   * When the harness, the client's pod, the observer or the way to the client stalled: what was late then says nothing.
   */
  stalls: Stall[];
}

export const BURST_CALLS = 10;

/** The token that a file held at an instant, and those that came after it. */
export function rotationsSince(
  observations: TokenObservation[],
  instant: number,
): { at: TokenObservation | undefined; later: TokenObservation[] } {
  const before = observations.filter(({ at }) => Date.parse(at) <= instant);
  return { at: before.at(-1), later: observations.slice(before.length) };
}

/** The session in short, without claims: what a report keeps of it. */
export function summarise(session: ClientSession): object {
  const { calls, exchanges, resources, files, output, secrets, before, after, beforeOutage, stalls } = session;
  const failed = calls.filter(({ ok }) => !ok);
  return {
    process: {
      before,
      after,
      beforeOutage,
      afterOutage: session.afterOutage,
      beforeRenewals: session.beforeRenewals,
      afterRenewals: session.afterRenewals,
    },
    failedExchanges: countFailures(exchanges),
    calls: {
      total: calls.length,
      from: calls.at(0)?.at,
      to: calls.at(-1)?.at,
      failed: failed.slice(0, 20),
      failedTotal: failed.length,
    },
    output: {
      lines: output.lines,
      lost: output.lost,
      tokens: output.leaks.slice(0, 20),
      tokensTotal: output.leaks.length,
    },
    secrets,
    capabilities: session.capabilities,
    stalls,
    rotations: files.map(({ path, observations, reads, missing, empty, partial }) => ({
      path,
      reads,
      missing,
      empty,
      partial,
      tokens: observations.map(({ at, sha256, claims }) => ({
        seenAt: at,
        sha256: sha256.slice(0, 12),
        iat: instant(claims.iat),
        exp: instant(claims.exp),
      })),
    })),
    exchanges: exchanges.slice(0, 60).map(({ at, provider, status, expiresIn, error, parameters }) => ({
      at,
      provider,
      status,
      ...(error === undefined ? {} : { error }),
      ...(expiresIn === undefined ? {} : { expiresIn }),
      presented: Object.entries(parameters).flatMap(([name, values]) =>
        values.flatMap((value) => (typeof value === 'string' ? [] : [`${name} ${value.sha256.slice(0, 12)}`])),
      ),
    })),
    resourceCalls: {
      total: resources.length,
      refused: resources.filter(({ status }) => status !== 200).slice(0, 20),
    },
  };
}

/** Exchanges that gave no token, counted by provider and status. */
function countFailures(exchanges: ExchangeRecord[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { provider, status, accessToken } of exchanges) {
    if (accessToken !== undefined) {
      continue;
    }
    const key = `${provider} ${status === 0 ? 'no answer' : status}`;
    counts[key] = (counts[key] ?? 0) + 1;
  }
  return counts;
}

export function instant(seconds: unknown): string | undefined {
  return typeof seconds === 'number' ? new Date(seconds * 1000).toISOString() : undefined;
}

/**
 * For what needs subject tokens that outlive the time for which the client remembers them.
 *
 * @throws NotApplicable where those of this clock do not
 */
export function assertRoomForReload({ reloadSeconds, subjectLifeSeconds }: ClientSession): void {
  if (reloadSeconds === undefined || leavesRoom(reloadSeconds, subjectLifeSeconds)) {
    return;
  }
  throw new NotApplicable(
    `not applicable on this clock: the client declares that it reads its token file again every ${reloadSeconds} s (tokenReloadSeconds), and a token that lives ${subjectLifeSeconds} s is replaced too shortly before its end for that; run with --clock real`,
  );
}

/** Whether a client that reads its file again so often never holds an expired token of that life. */
export function leavesRoom(reloadSeconds: number, subjectLifeSeconds: number): boolean {
  return reloadSeconds <= reloadRoomSeconds(subjectLifeSeconds);
}

/** From the reading of a file to the arrival of the request at the recorder, on a busy machine. */
export const READ_TO_ARRIVAL_MS = 2_000;

/**
 * What is known at once, or within a time limit, is told not later than this after it: the rest is the way to the pod
 * and back.
 */
export const FAIL_FAST_MS = 10_000;

/** Parameters in which a projected token is presented: RFC 7523 sections 2.1 and 2.2, RFC 8693 section 2.1. */
export const TOKEN_PARAMETERS = ['assertion', 'subject_token', 'client_assertion', 'actor_token'];

interface Presented {
  at: number;
  provider: string;
  parameter: string;
  token: DecodedToken;
}

export function observationsOf(session: ClientSession, path: string): TokenObservation[] {
  return session.files.find((file) => file.path === path)?.observations ?? [];
}

/** What was recorded between the calls of the late provider, which shares the first one's endpoint and token. */
export function betweenLate<R extends { at: string }>({ calls }: ClientSession, records: R[]): R[] {
  const from = Date.parse(calls.find(({ provider }) => provider !== LATE)?.at ?? '');
  const blanked = calls.find(({ phase }) => phase === 'blanked')?.at;
  const to = blanked === undefined ? Number.POSITIVE_INFINITY : Date.parse(blanked);
  return records.filter(({ at }) => Date.parse(at) > from && Date.parse(at) < to);
}

/**
 * What was recorded while the late provider had no token, from the first call: a client that is one process for all its
 * calls may look after all its providers at its start, the first one included, which shares its endpoint with the late
 * one.
 */
export function beforeToken<R extends { at: string }>({ calls }: ClientSession, records: R[], there: Call): R[] {
  const [from, to] = [Date.parse(calls[0]?.at ?? ''), Date.parse(there.at)];
  return records.filter(({ at }) => Date.parse(at) >= from && Date.parse(at) < to);
}

/**
 * Whether another provider than the late one, which shares the first one's endpoint, was presented its own token: a
 * client may look after all that it is configured for, whichever of them is called.
 */
export function isForItself(session: ClientSession, exchange: ExchangeRecord): boolean {
  const provider = session.providers.slice(1).find(({ name }) => name === exchange.provider);
  if (provider === undefined) {
    return false;
  }
  const own = new Set(observationsOf(session, provider.tokenPath).map(({ sha256 }) => sha256));
  return tokensIn([exchange]).every(({ token }) => own.has(token.sha256));
}

export function presentedTokens(session: ClientSession): Presented[] {
  const between = new Set(betweenLate(session, session.exchanges));
  return tokensIn(session.exchanges.filter((exchange) => between.has(exchange) || isForItself(session, exchange)));
}

export function tokensIn(exchanges: ExchangeRecord[]): Presented[] {
  return exchanges.flatMap(({ at, provider, parameters }) =>
    TOKEN_PARAMETERS.flatMap((parameter) =>
      (parameters[parameter] ?? []).flatMap((token) =>
        typeof token === 'string' ? [] : [{ at: Date.parse(at), provider, parameter, token }],
      ),
    ),
  );
}

export function endOf({ at, durationMs }: Call): number {
  return Date.parse(at) + durationMs;
}

/** Those that failed, told by `text`; a machine that stalls may let a call fail that would not. */
export function failuresOf(calls: Call[], text: (call: Call) => string): Finding[] {
  return calls.filter(({ ok }) => !ok).map((call) => unlessStalled(text(call), Date.parse(call.at), endOf(call)));
}

/** Whether two looks saw one and the same process, running. */
export function isSameProcess(before: ProcessIdentity, after: ProcessIdentity): boolean {
  return before.podUid === after.podUid && before.restarts === after.restarts && before.instance === after.instance;
}

export function restarts(before: ProcessIdentity, after: ProcessIdentity): string[] {
  if (isSameProcess(before, after)) {
    return [];
  }
  const container =
    before.instance === after.instance
      ? ''
      : `, container ${before.instance ?? '(none running)'} → ${after.instance ?? '(none running)'}`;
  return [
    `the client's process was replaced: restarts ${before.restarts} → ${after.restarts}, pod ${before.podUid} → ${after.podUid}${container}`,
  ];
}

export function describeCall({ provider, at, status, error }: Call): string {
  return `${provider} at ${at}: ${error ?? `status ${status}`}`;
}

export function iso(milliseconds: number): string {
  return Number.isFinite(milliseconds) ? new Date(milliseconds).toISOString() : 'an unknown time';
}

/** Calls that are told apart by time are further apart than the lives of a token; clocks may differ by so much. */
export const CLOCKS_MS = 1_000;

export function digestsOfFile(session: ClientSession, path: string): string[] {
  return observationsOf(session, path).map(({ sha256 }) => sha256);
}

/** What was not seen may be missing because the machine stalled. */
export function unseen(calls: Call[], what: string): Finding[] {
  const [call] = calls;
  return call === undefined
    ? [missing(`${what}, since no such call was made`)]
    : [unlessStalled(`${what}, so nothing is known: ${describeCall(call)}`, Date.parse(call.at), endOf(call))];
}
