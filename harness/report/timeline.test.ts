import { expect, test } from 'vitest';
import { TIMELINE, timelineOf } from '../probes/timeline.ts';
import { collectTimeline } from './timeline.ts';

const START = Date.UTC(2026, 0, 1);
const iso = (seconds: number): string => new Date(START + seconds * 1000).toISOString();
const [A, B] = ['a'.repeat(64), 'b'.repeat(64)];
const decoded = (sha256: string, from: number) => ({
  sha256,
  header: {},
  claims: { iat: START / 1000 + from, exp: START / 1000 + from + 25 },
});

const events = timelineOf(
  [
    {
      path: '/tokens/token',
      reads: 2,
      burstReads: 0,
      absent: 0,
      missing: 0,
      empty: 0,
      partial: 0,
      defects: [],
      modes: [],
      observations: [
        { ...decoded(A ?? '', 0), at: iso(1), inode: 1 },
        { ...decoded(B ?? '', 16), at: iso(17), inode: 2 },
      ],
    },
  ],
  [
    {
      kind: 'exchange',
      at: iso(2),
      provider: 'production',
      method: 'POST',
      path: '/token',
      contentType: '',
      authorization: null,
      parameters: { assertion: [decoded(A ?? '', 0)], scope: ['openid'] },
      status: 400,
      durationMs: 500,
      error: 'invalid_grant',
    },
  ],
  [
    {
      kind: 'resource',
      at: iso(3),
      provider: 'production',
      method: 'GET',
      path: '/v1/models',
      status: 200,
      token: decoded('c'.repeat(64), 2),
    },
  ],
);

test('what happened to each token is told in the order of time', () => {
  expect(events.map(({ at, token, event, where }) => [at, token[0], event, where])).toEqual([
    [iso(0), 'a', 'minted', '/tokens/token'],
    [iso(1), 'a', 'mounted', '/tokens/token'],
    [iso(2), 'a', 'presented', 'production'],
    [iso(2.5), 'a', 'refused', 'production'],
    [iso(3), 'c', 'used', 'production'],
    [iso(16), 'b', 'minted', '/tokens/token'],
    [iso(17), 'a', 'replaced', '/tokens/token'],
    [iso(17), 'b', 'mounted', '/tokens/token'],
    [iso(25), 'a', 'expired', '/tokens/token'],
    [iso(41), 'b', 'expired', '/tokens/token'],
  ]);
  expect(events[3]?.detail).toBe('400 invalid_grant');
});

test('a run keeps each event once, whichever requirements saw it', () => {
  const item = { label: TIMELINE, at: iso(50), data: events };
  expect(collectTimeline([item, item, { label: 'other', at: iso(50), data: 1 }])).toEqual(events);
});
