import { NotTestable } from '../../../core/errors.ts';
import type { SessionDriver } from '../driver.ts';
import { rotationsSince } from '../record.ts';
import type { MakeCall } from './calls.ts';
import { RENEWAL_MARGIN_MS, type SessionPlan } from './session-plan.ts';

/**
 * One call of each provider a turn, one after another, until the tokens have rotated often enough. In each turn one of
 * the further parts has its place, until none is left.
 */
export async function pace(
  driver: SessionDriver,
  { paceMs, subjectLifeSeconds, rotations }: Required<Omit<SessionPlan, 'patienceMs'>>,
  call: MakeCall,
  parts: (() => Promise<void>)[],
): Promise<void> {
  const began = Date.now();
  const deadline = began + deadlineSeconds(driver, subjectLifeSeconds, rotations) * 1000;
  let told = '';
  for (let turn = Date.now(); ; turn = Math.max(turn + paceMs, Date.now())) {
    const { missing, seen } = await progressOf(driver, began, rotations);
    if (missing === undefined) {
      return;
    }
    if (turn > deadline) {
      throw new NotTestable(`after ${Math.round((turn - began) / 1000)} s ${missing}: ${seen}`);
    }
    if (seen !== told) {
      driver.progress(`calls the client across rotations; ${seen}`);
    }
    told = seen;
    await driver.until(new Date(turn));
    for (const { name } of driver.providers) {
      await call('paced', name);
    }
    await parts.shift()?.();
  }
}

/** What a session takes beside what it waits for. */
const BESIDE_SECONDS = 60;

/**
 * Longest time until every file rotated as often as is wanted and the access tokens have ended that the last replaced
 * tokens gave: the first rotation may be as far away as a whole life.
 */
function deadlineSeconds(driver: SessionDriver, subjectLifeSeconds: number, { each }: { each: number }): number {
  return (each + 1) * subjectLifeSeconds + accessLifeOf(driver) + BESIDE_SECONDS;
}

/** The longest life of an access token of the providers. */
function accessLifeOf({ providers }: SessionDriver): number {
  return Math.max(0, ...providers.map(({ accessTokenLifetimeSeconds }) => accessTokenLifetimeSeconds));
}

/** What is still to be waited for, undefined where there is nothing, and how far each provider's token has come. */
async function progressOf(
  driver: SessionDriver,
  began: number,
  { each, total }: { each: number; total: number },
): Promise<{ missing: string | undefined; seen: string }> {
  const files = await driver.observations();
  const counts = driver.providers.map((provider) => {
    const observed = files.find(({ path }) => path === provider.tokenPath)?.observations ?? [];
    const { at, later } = rotationsSince(observed, began);
    // What the last rotation that counts took away: a client that saw the rotations before may have missed that one.
    const replaced = [at, ...later][each - 1];
    const expiresAt = Number(replaced?.claims.exp ?? Number.POSITIVE_INFINITY) * 1000;
    const { name, accessTokenLifetimeSeconds: life, skewSeconds = 0 } = provider;
    return {
      name,
      rotations: later.length,
      expiresAt,
      // Every client needs a new access token once the one that it got last with that subject token is renewed, as it
      // documents, ...
      renewedAt: expiresAt + (life - skewSeconds) * 1000 + RENEWAL_MARGIN_MS,
      // ... or has ended, at the latest.
      endedAt: expiresAt + life * 1000 + RENEWAL_MARGIN_MS,
    };
  });
  const seen = counts
    .map(({ name, rotations, expiresAt }) => {
      const expiry = Number.isFinite(expiresAt) ? `, its replaced token expires at ${timeOf(expiresAt)}` : '';
      return `${name} rotated ${rotations} times${expiry}`;
    })
    .join('; ');
  const sum = counts.reduce((so, { rotations }) => so + rotations, 0);
  if (sum < total || counts.some(({ rotations }) => rotations < each)) {
    return { missing: `the token files had not rotated ${each} times each and ${total} times together`, seen };
  }
  const now = Date.now();
  const waiting = counts.filter(({ renewedAt }) => now <= renewedAt);
  const names = (some: { name: string }[]): string => some.map(({ name }) => name).join(' and ');
  if (waiting.length > 0) {
    return { missing: `the access tokens of the replaced tokens had not ended (${names(waiting)})`, seen };
  }
  const open = counts.filter(({ endedAt }) => now <= endedAt);
  if (open.length === 0) {
    return { missing: undefined, seen };
  }
  const records = await driver.records();
  const still = open.filter(
    ({ name, expiresAt }) =>
      !records.some(({ kind, at, ...record }) => {
        return kind === 'exchange' && 'provider' in record && record.provider === name && Date.parse(at) > expiresAt;
      }),
  );
  return still.length === 0
    ? { missing: undefined, seen }
    : { missing: `the client had not renewed its access tokens as it documents (skewSeconds; ${names(still)})`, seen };
}

function timeOf(milliseconds: number): string {
  return new Date(milliseconds).toISOString().slice(11, 19);
}
