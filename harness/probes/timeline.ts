import { z } from 'zod';
import type { ExchangeRecord, ResourceRecord } from '../../fixtures/workloads/observer/records.ts';
import type { FileObservations } from '../../fixtures/workloads/token-probe/probe.ts';

/** Label of the evidence that a report's timeline is made of. */
export const TIMELINE = 'timeline';

/** Something that happened to a token. */
export const timelineEventSchema = z.strictObject({
  at: z.iso.datetime().describe('RFC 3339, UTC'),
  token: z.string().describe('the first 12 hexadecimal digits of the SHA-256 of the token'),
  kind: z.enum(['subject token', 'access token']),
  event: z
    .enum(['minted', 'mounted', 'replaced', 'presented', 'exchanged', 'issued', 'used', 'refused', 'expired'])
    .describe(
      'minted: its iat; mounted, replaced: its file; presented, exchanged, refused: a token endpoint or a resource server',
    ),
  where: z.string().describe('the file, or the name of the provider'),
  detail: z.string().optional(),
});

export type TimelineEvent = z.infer<typeof timelineEventSchema>;

const short = (sha256: string): string => sha256.slice(0, 12);

function instantOf(seconds: unknown): string | undefined {
  return typeof seconds === 'number' ? new Date(seconds * 1000).toISOString() : undefined;
}

/** What was seen of tokens in files, at token endpoints and at resource servers, in the order of time. */
export function timelineOf(
  files: FileObservations[],
  exchanges: ExchangeRecord[],
  resources: ResourceRecord[],
): TimelineEvent[] {
  const mounted = files.flatMap(({ path, observations }) =>
    observations.flatMap(({ at, sha256, claims }, index): TimelineEvent[] => {
      const token = short(sha256);
      const next = observations[index + 1];
      const minted = instantOf(claims.iat);
      const expired = instantOf(claims.exp);
      const event = { token, kind: 'subject token', where: path } as const;
      return [
        ...(minted === undefined ? [] : [{ ...event, at: minted, event: 'minted' } as const]),
        { ...event, at, event: 'mounted' },
        ...(next === undefined
          ? []
          : [{ ...event, at: next.at, event: 'replaced', detail: `by ${short(next.sha256)}` } as const]),
        ...(expired === undefined || Date.parse(expired) > Date.now()
          ? []
          : [{ ...event, at: expired, event: 'expired' } as const]),
      ];
    }),
  );
  const presented = exchanges.flatMap(({ at, durationMs, provider, parameters, status, accessToken, error }) => {
    const answered = new Date(Date.parse(at) + durationMs).toISOString();
    const tokens = Object.entries(parameters).flatMap(([name, values]) =>
      values.flatMap((value) => (typeof value === 'string' ? [] : [{ name, token: short(value.sha256) }])),
    );
    return [
      ...tokens.flatMap(({ name, token }): TimelineEvent[] => [
        { at, token, kind: 'subject token', event: 'presented', where: provider, detail: name },
        {
          at: answered,
          token,
          kind: 'subject token',
          event: status === 200 ? 'exchanged' : 'refused',
          where: provider,
          ...(status === 200 ? {} : { detail: `${status}${error === undefined ? '' : ` ${error}`}` }),
        },
      ]),
      ...(accessToken === undefined
        ? []
        : [
            {
              at: answered,
              token: short(accessToken),
              kind: 'access token',
              event: 'issued',
              where: provider,
            } as const,
          ]),
    ];
  });
  const used = resources.flatMap(({ at, provider, status, token, reason }): TimelineEvent[] =>
    token === undefined
      ? []
      : [
          {
            at,
            token: short(token.sha256),
            kind: 'access token',
            event: status === 200 ? 'used' : 'refused',
            where: provider,
            ...(status === 200 ? {} : { detail: `${status}${reason === undefined ? '' : ` ${reason}`}` }),
          },
        ],
  );
  return inOrder([...mounted, ...presented, ...used]);
}

/** The same events in the order of time. */
export function inOrder(events: TimelineEvent[]): TimelineEvent[] {
  return events.toSorted((one, other) => Date.parse(one.at) - Date.parse(other.at));
}
