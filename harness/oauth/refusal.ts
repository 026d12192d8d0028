import { NotTestable, Violation } from '../core/errors.ts';
import { type Reason, statedReason } from './stated-reason.ts';
import { describeResponse, givesAccess, isAccepted, isRefused, type TokenResponse } from './token-response.ts';
import { Unreachable } from './transport.ts';

/** A request that must be refused. */
export interface Refusal {
  /** What is wrong with the token, for example `the audience of staging`. */
  fault: string;
  /** As which of the request's tokens it is presented, where there are several. */
  as?: string;
  /** What a provider that gives a reason may say. */
  reasons: Reason[];
  /** Sends the request with the bad token. */
  attempt(): Promise<TokenResponse>;
  /** What is wrong with an access token that it brought, where one may do no harm; absent where every one does. */
  harmOf?(accessToken: string): Promise<Harm>;
}

/**
 * Whether an access token does harm that somebody got who should have been refused; `undecided` where nobody can say.
 */
export type Harm = 'none' | { harm: string } | { undecided: string };

/** One refusal as it was seen; for the evidence. */
export interface RefusalSeen {
  fault: string;
  as?: string;
  /** Absent where no complete answer came. */
  status?: number;
  answer: string;
  /** `generic` where the answer gives no reason, or names several reasons and so states none. */
  reason: Reason | 'generic';
  /** Why this is none, or not for the right reason. */
  violation?: string;
  /** The violation is an answer that did not come in time, and nothing else. */
  late?: true;
  /** Why nothing can be said: the provider did not look at the token. */
  undecided?: string;
}

/** Answers that say that there were too many requests, and nothing of what was in this one (RFC 6585 section 4). */
const TOO_MANY = 429;

/**
 * Why an answer that gives no access is no refusal of what was sent: a fault of its own, or the provider did not look
 * at it, so that nothing is known.
 *
 * @param sent what was sent, for example `a token with the audience of staging`
 * @returns undefined where it was refused
 */
function whyNoRefusal(
  sent: string,
  response: TokenResponse,
): { violation: string; late?: true } | { undecided: string } | undefined {
  const answer = describeResponse(response);
  if (response.unanswered !== undefined) {
    return {
      violation: `gave no answer to ${sent} (${response.unanswered}); a refusal is 4xx (RFC 6749 section 5.2)`,
      ...lateness(response),
    };
  }
  if (response.status === TOO_MANY) {
    return { undecided: `limits the rate of requests (${answer}): it did not look at ${sent}` };
  }
  return isRefused(response)
    ? undefined
    : { violation: `answered ${answer} to ${sent}; a refusal is 4xx (RFC 6749 section 5.2)` };
}

async function evaluate({ fault, as, reasons, harmOf }: Refusal, response: TokenResponse): Promise<RefusalSeen> {
  const answer = describeResponse(response);
  const stated = statedReason(response.errorDescription ?? '');
  const seen: RefusalSeen = {
    fault,
    ...(as === undefined ? {} : { as }),
    ...(response.status === undefined ? {} : { status: response.status }),
    answer,
    reason: stated ?? 'generic',
  };
  if (givesAccess(response)) {
    const violation = `accepted a token with ${fault} (${answer})`;
    const harm = response.accessToken === undefined ? undefined : await harmOf?.(response.accessToken);
    if (harm === undefined) {
      return { ...seen, violation };
    }
    if (harm === 'none') {
      return seen;
    }
    return 'harm' in harm
      ? { ...seen, violation: `${violation}: ${harm.harm}` }
      : { ...seen, undecided: `${violation}, and ${harm.undecided}` };
  }
  const noRefusal = whyNoRefusal(`a token with ${fault}`, response);
  if (noRefusal !== undefined) {
    return { ...seen, ...noRefusal };
  }
  if (stated !== undefined && !reasons.includes(stated)) {
    return { ...seen, violation: `refused a token with ${fault}, but for another reason (${answer})` };
  }
  return seen;
}

/** How long a provider may leave requests without an answer, all of them together, before no more are sent. */
const LONGEST_SILENCE_MS = 90_000;

/** The time that a provider left requests without an answer: each may take as long as a request may take at all. */
export class Silence {
  #ms = 0;
  #requests = 0;

  /**
   * @param status of the answer, undefined where there was none
   * @param begin when the request was sent, by `performance.now()`
   */
  add(status: number | undefined, begin: number): void {
    if (status !== undefined) {
      return;
    }
    this.#requests += 1;
    this.#ms += performance.now() - begin;
  }

  get isEnough(): boolean {
    return this.#ms >= LONGEST_SILENCE_MS;
  }

  toString(): string {
    return `${this.#requests} bad tokens were not answered for ${Math.round(this.#ms / 1_000)} s`;
  }
}

/** What was seen of a series of refusals. */
export interface RefusalSeries {
  /** Only those whose controls were accepted, and those that were no refusal at all. */
  seen: RefusalSeen[];
  /** What the last control was answered: each of those before it was accepted. */
  control: { status?: number; answer: string };
  /** Why the series ends early: a control was refused, so that nothing more can be said. */
  controlRefused?: string;
  /** Why the series ends early, though the controls were accepted. */
  stopped?: string;
}

/**
 * Sends requests that must be refused, each between two controls: the same request with a good token, accepted just
 * before and just after. Without them a refusal proves nothing: a provider that refuses all would be conformant.
 *
 * A `violation` and a `controlRefused` are for the caller to report, so that one finding does not hide the next.
 *
 * @param control sends the request with a fresh good token
 */
export async function seeRefusals(control: () => Promise<TokenResponse>, refusals: Refusal[]): Promise<RefusalSeries> {
  let last: RefusalSeries['control'] | undefined;
  const controlFailure = async (when: string): Promise<string | undefined> => {
    let response: TokenResponse;
    try {
      response = await control();
    } catch (error) {
      // Nothing was answered yet: then it is the way there that is missing, and nothing is said about the provider.
      if (!(error instanceof Unreachable) || last === undefined) {
        throw error;
      }
      return `the provider cannot be reached any more ${when} (${error.message}), so that a refusal proves nothing`;
    }
    last = {
      ...(response.status === undefined ? {} : { status: response.status }),
      answer: describeResponse(response),
    };
    if (isAccepted(response)) {
      return undefined;
    }
    return `a good token ${notTaken(response)} ${when} (${describeResponse(response)}), so that a refusal proves nothing`;
  };
  const seen: RefusalSeen[] = [];
  const silence = new Silence();
  let controlRefused = await controlFailure('before any bad one was sent');
  for (const refusal of refusals) {
    if (controlRefused !== undefined) {
      break;
    }
    const begin = performance.now();
    const finding = await evaluate(refusal, await refusal.attempt());
    controlRefused = await controlFailure(`just after one with ${refusal.fault}`);
    if (controlRefused === undefined || finding.violation !== undefined) {
      seen.push(finding);
    }
    silence.add(finding.status, begin);
    if (silence.isEnough) {
      return { seen, control: last ?? { answer: 'none' }, stopped: `${silence}, and not all of the others were sent` };
    }
  }
  return { seen, control: last ?? { answer: 'none' }, ...(controlRefused === undefined ? {} : { controlRefused }) };
}

/** Places that are named for a finding; the evidence has all of them. */
const NAMED_PLACES = 3;

/** What was found, and by which exchange. */
export interface ProviderFinding {
  finding: string;
  where: string;
  /** An answer did not come in time, which may be the machine's fault. */
  late?: true;
}

/** `late` of a finding that comes of an answer which did not come in time. */
export function lateness({ timedOut }: Pick<TokenResponse, 'timedOut'>): { late?: true } {
  return timedOut === true ? { late: true } : {};
}

/**
 * One line for each finding, with where it was found: `accepted …: production jwt-bearer; staging jwt-bearer; 4 more`.
 */
export function groupFindings(findings: ProviderFinding[]): string {
  const places = Map.groupBy(findings, ({ finding }) => finding);
  return [...places]
    .map(([finding, found]) => {
      const named = found.slice(0, NAMED_PLACES).map(({ where }) => where);
      const more = found.length > NAMED_PLACES ? [`${found.length - NAMED_PLACES} more`] : [];
      return `${finding}: ${[...named, ...more].join('; ')}`;
    })
    .join('\n');
}

/**
 * Ends a requirement by what was found.
 *
 * @throws Violation with all of it, if there is a violation
 * @throws NotTestable if nothing is known but that something could not be evaluated
 */
export function conclude(violations: ProviderFinding[], untestable: ProviderFinding[]): void {
  if (violations.length > 0) {
    const mayBeTheMachine = violations.every(({ late }) => late === true);
    throw new Violation(groupFindings([...violations, ...untestable]), mayBeTheMachine);
  }
  if (untestable.length > 0) {
    throw new NotTestable(groupFindings(untestable));
  }
}

/**
 * Adds why an answer that gives no access is no refusal either: a fault, or that the provider did not look at what was
 * sent, so that nothing is known.
 */
export function addUnlessRefused(
  { sent, where }: { sent: string; where: string },
  response: TokenResponse,
  { violations, untestable }: { violations: ProviderFinding[]; untestable: ProviderFinding[] },
): void {
  const why = whyNoRefusal(sent, response);
  if (why !== undefined) {
    if ('violation' in why) {
      violations.push({ finding: why.violation, where, ...(why.late === true ? { late: true } : {}) });
    } else {
      untestable.push({ finding: why.undecided, where });
    }
  }
}

/** An exchange that refuses what it must accept: its other refusals prove nothing. */
export function refusesGood({ label }: { label: string }, response: TokenResponse): ProviderFinding {
  return { finding: `a good token ${notTaken(response)} (${describeResponse(response)}), see TX-10`, where: label };
}

/** What became of a good token that brought no access token: `is refused`, `is not answered`. */
export function notTaken({ unanswered, status = 0 }: TokenResponse): string {
  if (unanswered !== undefined) {
    return 'is not answered';
  }
  return status >= 400 && status <= 499 ? 'is refused' : 'brings no access token';
}
