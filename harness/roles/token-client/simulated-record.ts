import type { ExchangeRecord, ResourceRecord } from '../../../fixtures/workloads/observer/records.ts';
import type { Act } from '../../../fixtures/workloads/observer/simulated.ts';
import { HarnessError } from '../../core/errors.ts';
import { type Finding, missing } from '../../core/findings.ts';
import type { SimulatedName, SimulatedSetup } from '../../fakes/simulated-providers.ts';
import { type Call, type ClientSession, describeCall, endOf, failuresOf, type Phase } from './record.ts';

/** Phases in which a client is called for simulated providers. */
const SIMULATED_PHASES: ReadonlySet<Phase> = new Set(['simulated', 'renewal', 'hanging', 'outage']);

/**
 * When the first of the calls to a provider that were under way at an instant had begun; that instant, where none was.
 */
export function startOfCalls({ calls, capabilities }: ClientSession, name: string, instant: number): number {
  // A client that is started for each call may look after all its providers then; beside a simulated one it has no
  // other.
  const concerns = ({ provider, phase }: Call): boolean =>
    provider === name || !(capabilities.includes('resident') || SIMULATED_PHASES.has(phase));
  return calls.reduce((first, call) => {
    const began = Date.parse(call.at);
    return concerns(call) && began <= instant && endOf(call) >= instant ? Math.min(first, began) : first;
  }, instant);
}

/**
 * The session as one requirement sees it: it may look only at simulated providers that its row in requirements.yaml
 * declares.
 */
export function forRequirement(session: ClientSession, declared: readonly string[]): ClientSession {
  return { ...session, declared };
}

/**
 * @throws HarnessError for a simulated provider that the row of the requirement does not declare: without it the client
 *   is not called for it
 */
function assertDeclared({ declared }: ClientSession, name: SimulatedName): void {
  if (declared !== undefined && !declared.includes(name)) {
    throw new HarnessError(
      `the check looks at the simulated provider "${name}", which the requirement does not declare (preconditions.simulatedProviders)`,
    );
  }
}

/** How the client was configured for a simulated provider. */
export function simulatedSetup(session: ClientSession, name: SimulatedName): SimulatedSetup | undefined {
  assertDeclared(session, name);
  return session.simulated.find((setup) => setup.name === name);
}

export function callsOfSimulated(session: ClientSession, name: SimulatedName): Call[] {
  assertDeclared(session, name);
  return session.calls.filter(({ phase, provider }) => phase === 'simulated' && provider === name);
}

/** Calls of a provider that fails while its token is about to be renewed, in their order. */
export function renewalCalls(session: ClientSession, name: SimulatedName): Call[] {
  assertDeclared(session, name);
  return session.calls.filter(({ phase, provider }) => phase === 'renewal' && provider === name);
}

/** Calls of the provider whose answer to the first of them never comes. */
export function hangingCalls(session: ClientSession): Call[] {
  assertDeclared(session, 'hanging');
  return session.calls.filter(({ phase }) => phase === 'hanging');
}

/**
 * Records of a simulated provider that came after it was told to do something, and before it was told the next thing.
 */
export function duringAct<R extends { place?: number; provider?: string }>(
  session: ClientSession,
  records: R[],
  name: SimulatedName,
  act: Act,
): R[] {
  assertDeclared(session, name);
  const told = session.acts.filter(({ provider }) => provider === name);
  return told.flatMap((record, index) => {
    if (record.act !== act) {
      return [];
    }
    const [from = 0, to = Number.POSITIVE_INFINITY] = [record.place, told[index + 1]?.place];
    return records.filter(({ provider, place = -1 }) => provider === name && place >= from && place < to);
  });
}

/** Calls of the simulated provider that has an outage, those before and after it included. */
export function outageCalls(session: ClientSession): Call[] {
  assertDeclared(session, 'outage');
  return session.calls.filter(({ phase }) => phase === 'outage');
}

export function exchangesAtSimulated(session: ClientSession, name: SimulatedName): ExchangeRecord[] {
  assertDeclared(session, name);
  return session.exchanges.filter(({ provider }) => provider === name);
}

/** Requests to the resource server of a simulated provider. */
export function resourcesAtSimulated(session: ClientSession, name: SimulatedName): ResourceRecord[] {
  assertDeclared(session, name);
  return session.resources.filter(({ provider }) => provider === name);
}

/** A refusal counts where a good provider, simulated in the same way, is used with success. */
export function control(session: ClientSession): Finding[] {
  return succeeded(session, 'plain', 'the control, a call with a good provider,');
}

export function succeeded(session: ClientSession, name: SimulatedName, what: string): Finding[] {
  const calls = callsOfSimulated(session, name);
  if (calls.length === 0) {
    return [missing(`${what} was not made`)];
  }
  return failuresOf(calls, (call) => `${what} failed: ${describeCall(call)}`);
}
