/** Records of calls to the simulated providers, for tests of what is made of them: of a client that is one process. */

import type { ExchangeRecord, ResourceRecord } from '../../../fixtures/workloads/observer/records.ts';
import { type Finding, textOf } from '../../core/findings.ts';
import { type SimulatedName, simulatedSetups } from '../../fakes/simulated-providers.ts';
import type { Call, ClientSession } from './record.ts';
import { aCall, anExchange, aRequest, aSession } from './record-builders.ts';

export const HOSTS = {
  simulated: 'simulated.test',
  tenants: 'tenants.test',
  untrusted: 'untrusted.test',
  elsewhere: 'elsewhere.test',
};
export const simulated = simulatedSetups({
  hosts: HOSTS,
  port: 8443,
  tokenPath: '/token',
  swappedPath: '/swapped/token',
});

export const call = (provider: SimulatedName, from: number, to: number, change: Partial<Call> = {}): Call =>
  aCall('simulated', provider, [from, to], change);

/** A good call to the provider that does everything right. */
export const plain = call('plain', 0, 0.1);

/** What makes a call one that failed. */
export const failed = { ok: false, error: 'refused' };

export const exchange = (provider: SimulatedName, at: number, change: Partial<ExchangeRecord> = {}): ExchangeRecord =>
  anExchange(provider, at, change);

export const request = (provider: SimulatedName, at: number, status: number): ResourceRecord =>
  aRequest(provider, at, status);

export const session = (change: Partial<ClientSession>): ClientSession =>
  aSession({ latePath: '', capabilities: ['resident'], simulated, timeLimitMs: 3_000, ...change });

export const told = (findings: Finding[]): string[] => findings.map(textOf);
