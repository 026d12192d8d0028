import { HarnessError } from '../core/errors.ts';
import type { ProviderDescription } from '../oauth/provider.ts';
import { groupFindings, type RefusalSeries } from '../oauth/refusal.ts';
import { attemptsWith, type DeclaredExchange, seeSeries } from './declared-exchanges.ts';
import type { Matrix } from './matrix.ts';

/** An audience, and whose it is. */
export interface MatrixToken {
  name: string;
  audience: string;
}

/** The providers of some exchanges, each once. */
export function providersOf(exchanges: DeclaredExchange[]): ProviderDescription[] {
  return [...new Map(exchanges.map(({ provider }) => [provider.name, provider])).values()];
}

/** The exchanges of an N × N matrix: those that are evaluated, and those of references alongside them. */
export interface MatrixExchanges {
  evaluated: DeclaredExchange[];
  peers: DeclaredExchange[];
}

/** The providers as a report has them. */
export function matrixProviders({ evaluated, peers }: MatrixExchanges): Matrix['providers'] {
  return [evaluated, peers].flatMap((exchanges, index) =>
    providersOf(exchanges).map(({ name, issuer, audience }) => ({ name, issuer, audience, underTest: index === 0 })),
  );
}

/**
 * Presents a token of each audience by an exchange: its own must be accepted, before and after each other one, which
 * must be refused.
 */
export async function presentEach(
  exchange: DeclaredExchange,
  tokens: MatrixToken[],
): Promise<{ series: RefusalSeries; cells: Matrix['subjectTokens'] }> {
  const { provider, label } = exchange;
  // Nothing in this token distinguishes two providers of one audience.
  const others = tokens.filter(({ audience }) => audience !== provider.audience);
  const attempts = others.flatMap(({ audience }) =>
    attemptsWith(exchange, {
      fault: faultOf(audience),
      reasons: ['audience'],
      make: () => exchange.genuine({ audiences: [audience] }),
    }),
  );
  const series = await seeSeries(exchange, attempts);
  const column = { provider: provider.name, exchange: label };
  const control = {
    ...column,
    audience: provider.audience,
    token: provider.name,
    ...(series.control.status === undefined ? {} : { status: series.control.status }),
    outcome: series.controlRefused === undefined ? 'accepted' : 'refused',
    ...(series.controlRefused === undefined ? {} : { reason: series.control.answer }),
    asItMust: series.controlRefused === undefined,
  } as const;
  const cells = others.flatMap(({ name, audience }) =>
    series.seen
      .filter(({ fault }) => fault === faultOf(audience))
      .map(({ as, status, reason, violation }) => ({
        ...column,
        ...(as === undefined ? {} : { as }),
        audience,
        token: name,
        ...(status === undefined ? {} : { status }),
        outcome: outcomeOf(status),
        ...(outcomeOf(status) === 'refused' ? { reason } : {}),
        asItMust: violation === undefined,
      })),
  );
  return { series, cells: [control, ...cells] };
}

const faultOf = (audience: string): string => `the audience ${audience}`;

function outcomeOf(status = 0): 'accepted' | 'refused' | 'other' {
  if (status >= 200 && status <= 299) {
    return 'accepted';
  }
  return status >= 400 && status <= 499 ? 'refused' : 'other';
}

/** @throws HarnessError where a reference did what it must not: that proves nothing about the target */
export function requireGood(peers: { finding: string; where: string }[]): void {
  if (peers.length > 0) {
    throw new HarnessError(`a reference alongside the target: ${groupFindings(peers)}`);
  }
}
