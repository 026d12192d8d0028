import { Heartbeat } from '../../../../fixtures/workloads/lib/heartbeat.ts';
import { SHORT_LIFE_SECONDS } from '../../../fakes/simulated-providers.ts';
import type { SessionDriver } from '../driver.ts';
import { BURST_CALLS, type ClientSession, LATE, type ProcessIdentity } from '../record.ts';
import { type CallLog, callsOf, type MakeCall } from './calls.ts';
import { pace } from './rotations.ts';
import { hasRoom, RENEWAL_MARGIN_MS, type SessionPlan, untilReloaded } from './session-plan.ts';
import { sessionOf, whatWasSeen } from './session-record.ts';
import { callsOfSimulatedProviders } from './simulated-calls.ts';
import { SimulatedClient } from './simulated-client.ts';
import { callBeforeOutage, callDuringOutage, callDuringRenewals } from './simulated-failures.ts';

const CONCURRENT_CALLS = 5;

/** The same of a client that is started for each call. */
const CONCURRENT_STARTS = 1;

const BURST_STARTS = 4;

/** Calls after a refused one until one must succeed. */
const TRIES_AFTER_REFUSAL = 5;

/** An instance of the client that is asked for calls. */
interface Client {
  driver: SessionDriver;
  plan: SessionPlan;
  call: MakeCall;
  simulated: SimulatedClient;
  /** Every call starts it anew. */
  starts: boolean;
  /** Names of its providers. */
  names: string[];
  /** A token file that is there from the start. */
  goodToken: string;
}

function clientOf(driver: SessionDriver, plan: SessionPlan, log: CallLog): Client {
  const call = callsOf(driver, plan, log);
  return {
    driver,
    plan,
    call,
    simulated: new SimulatedClient(driver, call, plan.subjectLifeSeconds),
    starts: driver.startsForEachCall === true,
    names: driver.providers.map(({ name }) => name),
    goodToken: driver.providers[0]?.tokenPath ?? '',
  };
}

/**
 * Further instances of a client, watched by the same observer, which are asked what a client may not survive: one while
 * a provider is down, and one while providers fail whose access tokens are good.
 */
export interface Beside {
  outage: SessionDriver;
  renewals: SessionDriver;
}

/**
 * Drives a token client through every phase of the plan and returns what all sides saw.
 *
 * @param beside who meanwhile is asked what a client may not survive; absent: the client is asked that last
 * @throws NotTestable when the tokens did not rotate, or the client did not renew what it got by them, before the
 *   deadline
 */
export async function driveClientSession(
  driver: SessionDriver,
  plan: SessionPlan,
  beside?: Beside,
): Promise<ClientSession> {
  const heartbeat = new Heartbeat('the harness').start();
  const log: CallLog = { calls: [], slowWays: [] };
  const client = clientOf(driver, plan, log);
  const { simulated } = client;
  const before = await driver.identity();
  await callWithoutToken(client);
  await callAfterRefusal(client);
  // Only now: whatever asks for a token before the late one is there is taken for a fault (TR-28, AI-33).
  const survivedBeside = beside === undefined ? undefined : meanwhile(driveBeside(beside, plan, log));
  await callAtOnce(client);
  const parts = callsOfSimulatedProviders(simulated);
  // What runs once for each call is asked beside all else: it may take minutes, of which most are waits.
  const outage = client.starts
    ? meanwhile(callBeforeOutage(simulated).then(() => callDuringOutage(simulated)))
    : undefined;
  if (outage === undefined) {
    parts.push(() => callBeforeOutage(simulated));
  }
  const burstCalls = await callInRow(client);
  // A client whose reload interval has no room here would meet refusals that it does not meet on a real clock.
  if (plan.rotations !== undefined && hasRoom(driver, plan)) {
    await pace(driver, { ...plan, rotations: plan.rotations }, client.call, parts);
    await callWithBlankToken(client);
  }
  if (parts.length > 0) {
    driver.progress('calls the client for simulated providers');
  }
  for (const part of parts) {
    await part();
  }
  const after = await driver.identityAfter(before);
  // What a process that ended wrote is read once it is known to have ended.
  const survived = await (survivedBeside ?? driveFailures(simulated, after, outage));
  const others = beside === undefined ? [] : [beside.outage, beside.renewals];
  const seen = await whatWasSeen(driver, others);
  heartbeat.stop();
  return sessionOf(driver, others, seen, {
    calls: log.calls,
    burstCalls,
    subjectLifeSeconds: plan.subjectLifeSeconds,
    before,
    after,
    ...survived,
    stalls: [...heartbeat.stalls(), ...log.slowWays],
  });
}

/** For what is awaited at the end: until then nobody else looks at it, and its failure waits for that. */
function meanwhile<T>(going: Promise<T>): Promise<T> {
  going.catch(() => undefined);
  return going;
}

/** While a token file is missing, then empty, then blank. */
async function callWithoutToken({ driver, call }: Client): Promise<void> {
  driver.progress('calls the client while a token file of its is missing, empty and blank');
  await call('missing', LATE);
  await driver.copy('/dev/null', driver.latePath);
  await call('blank', LATE);
  await driver.pad('/dev/null', driver.latePath);
  await call('white-space', LATE);
}

/** The late token is there, and the first request with it is refused. */
async function callAfterRefusal(client: Client): Promise<void> {
  const { driver, call } = client;
  await putLateToken(client);
  await driver.refuseNext(driver.providers[0]?.name ?? '');
  await call('refused', LATE);
  // A client may pause after a refusal.
  for (let count = 0; count < TRIES_AFTER_REFUSAL; count += 1) {
    const { ok, unanswered = false } = await call('recovered', LATE);
    if (ok || unanswered) {
      return;
    }
    await driver.until(new Date(Date.now() + 2_000));
  }
}

/**
 * A copy gets old, and a process may take some seconds from its start to its reading; one that runs already reads it at
 * once.
 */
function putLateToken({ driver, starts, goodToken }: Client): Promise<void> {
  return (starts ? driver.link : driver.copy)(goodToken, driver.latePath);
}

/** Calls of all providers at the same time, before the client has a token of any. */
async function callAtOnce({ driver, call, starts, names }: Client): Promise<void> {
  driver.progress('calls the client at the same time and in a row');
  const cold = Array.from({ length: starts ? CONCURRENT_STARTS : CONCURRENT_CALLS }, () => names).flat();
  await Promise.all(cold.map((name) => call('concurrent', name)));
}

/** Calls of each provider in a row, and the first paced one of each. @returns how many in each row */
async function callInRow({ call, starts, names }: Client): Promise<number> {
  const burstCalls = starts ? BURST_STARTS : BURST_CALLS;
  for (const [burst, name] of names.entries()) {
    for (let count = 0; count < burstCalls; count += 1) {
      await call('burst', name, { burst });
    }
  }
  for (const name of names) {
    await call('paced', name);
  }
  return burstCalls;
}

/** Calls after the late token file was made blank, and once more when it has its token again. */
async function callWithBlankToken(client: Client): Promise<void> {
  const { driver, plan, call, names } = client;
  await driver.copy('/dev/null', driver.latePath);
  // It may remember the token for so long.
  await untilReloaded(driver, plan.subjectLifeSeconds);
  const { ok } = await call('blanked', LATE);
  if (ok) {
    // Its last access token may be good for long yet, and it may go on with that (TR-38).
    await callWithoutAnyToken(client);
  }
  for (const name of names) {
    await call('blanked', name);
  }
  await putLateToken(client);
  await call('restored', LATE);
}

/** A good call of a provider whose access token ends soon, and one with its token file blank when it has ended. */
async function callWithoutAnyToken({ driver, call, goodToken }: Client): Promise<void> {
  const setup = driver.simulated.find(({ name }) => name === 'emptied');
  if (setup === undefined) {
    return;
  }
  await driver.copy(goodToken, setup.tokenPath);
  await call('simulated', setup.name);
  await driver.copy('/dev/null', setup.tokenPath);
  await driver.until(new Date(Date.now() + SHORT_LIFE_SECONDS * 1_000 + RENEWAL_MARGIN_MS));
  await call('blanked', setup.name);
}

/** The processes of a client around what it may not survive. */
type FailuresSurvived = Pick<ClientSession, 'beforeOutage' | 'afterOutage' | 'beforeRenewals' | 'afterRenewals'>;

/**
 * Drives two further instances of the client, each through what it may not survive; the renewals after the outage: they
 * are made within a few seconds, for which a run is too busy at its beginning.
 */
async function driveBeside({ outage, renewals }: Beside, plan: SessionPlan, log: CallLog): Promise<FailuresSurvived> {
  const { survived } = await driveOutage(clientOf(outage, plan, log));
  const [survivedOutage, survivedRenewals] = await Promise.all([
    survived,
    driveRenewals(clientOf(renewals, plan, log)),
  ]);
  return { ...survivedOutage, ...survivedRenewals };
}

/** @returns once the calls are made: what comes to be known of the process */
async function driveOutage({
  driver,
  simulated,
}: Client): Promise<{ survived: Promise<Pick<FailuresSurvived, 'beforeOutage' | 'afterOutage'>> }> {
  const beforeOutage = await driver.identity();
  await callBeforeOutage(simulated);
  driver.progress('calls the client while a simulated provider is down');
  await callDuringOutage(simulated);
  const survived = driver.identityAfter(beforeOutage).then((afterOutage) => ({ beforeOutage, afterOutage }));
  return { survived: meanwhile(survived) };
}

async function driveRenewals({
  driver,
  simulated,
}: Client): Promise<Pick<FailuresSurvived, 'beforeRenewals' | 'afterRenewals'>> {
  const beforeRenewals = await driver.identity();
  const isAsked = await callDuringRenewals(simulated);
  return { beforeRenewals, afterRenewals: isAsked ? await driver.identityAfter(beforeRenewals) : beforeRenewals };
}

/**
 * Lets the providers fail that a client may not survive, one kind of failure after the other.
 *
 * @param outage the calls during the outage where they are being made already
 */
async function driveFailures(
  client: SimulatedClient,
  beforeOutage: ProcessIdentity,
  outage?: Promise<void>,
): Promise<FailuresSurvived> {
  const { driver } = client;
  const isDown = client.isConfiguredFor('outage');
  if (isDown) {
    driver.progress('calls the client while a simulated provider is down');
  }
  await (outage ?? callDuringOutage(client));
  let afterOutage = beforeOutage;
  const isAsked = await callDuringRenewals(client, async () => {
    afterOutage = isDown ? await driver.identityAfter(beforeOutage) : beforeOutage;
  });
  return {
    beforeOutage,
    afterOutage,
    beforeRenewals: afterOutage,
    afterRenewals: isAsked ? await driver.identityAfter(afterOutage) : afterOutage,
  };
}
