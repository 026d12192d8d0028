import { BAD_CERTIFICATES } from '../../../../fixtures/workloads/observer/simulated.ts';
import type { SimulatedName } from '../../../fakes/simulated-providers.ts';
import type { ClientCapability } from '../../../role-data/token-client/target-file.ts';
import { isTokenRequestTo, type SimulatedClient } from './simulated-client.ts';

/** Calls that are made at the same time, to see whether they share one exchange. */
const AT_ONCE = 5;

/** What one simulated provider is there for: only a client that is configured for it is asked. */
interface Part {
  provider: SimulatedName;
  /** The client has to have it as well. */
  capability?: ClientCapability;
  /** Absent: one call. */
  calls?(client: SimulatedClient, provider: SimulatedName): Promise<void>;
}

/** In this order: calls of one provider that stand apart let its short-lived access tokens end in between. */
const PARTS: readonly Part[] = [
  { provider: 'plain' },
  { provider: 'padded' },
  { provider: 'swapped', calls: swapFirst },
  { provider: 'no-expiry', calls: callWithNewToken },
  { provider: 'other-issuer', capability: 'discovery' },
  { provider: 'other-slash', capability: 'discovery' },
  { provider: 'tenant', capability: 'discovery' },
  { provider: 'untrusted', calls: connectTwice },
  { provider: 'redirecting-endpoint', calls: followEndpoint },
  { provider: 'redirecting-server', calls: followServer },
  { provider: 'refusing' },
  { provider: 'revoking' },
  { provider: 'revoking', calls: revoke },
  { provider: 'slow', capability: 'resident', calls: callAtOnce },
  { provider: 'exchange', capability: 'token_exchange' },
  { provider: 'exchange-audience', capability: 'token_exchange' },
  { provider: 'client-assertion', capability: 'client_credentials' },
  { provider: 'swapped', calls: swapSecond },
  { provider: 'no-expiry', calls: callWithNewToken },
  // Once more: a client that watches the file itself is notified of the first swap, by the end of the file that it
  // watches, and misses later ones.
  { provider: 'swapped', calls: swapFirst },
];

/**
 * The calls of the simulated providers that the client is configured for, to be made one after another; short, so that
 * they find their place between other calls.
 */
export function callsOfSimulatedProviders(client: SimulatedClient): (() => Promise<void>)[] {
  const { capabilities } = client.driver;
  return [
    () => client.putTokens(),
    ...PARTS.filter(
      ({ provider, capability }) =>
        client.isConfiguredFor(provider) && (capability === undefined || capabilities.includes(capability)),
    ).map(
      ({ provider, calls = callOnce }) =>
        () =>
          calls(client, provider),
    ),
  ];
}

async function callOnce({ call }: SimulatedClient, provider: SimulatedName): Promise<void> {
  await call('simulated', provider);
}

function callWithNewToken(client: SimulatedClient, provider: SimulatedName): Promise<void> {
  return client.callWithNewToken(provider);
}

function swapFirst(client: SimulatedClient): Promise<void> {
  return client.swapToken(client.driver.providers[0]?.tokenPath ?? '');
}

function swapSecond(client: SimulatedClient): Promise<void> {
  return client.swapToken(client.driver.providers[1]?.tokenPath ?? '');
}

/** Until the provider has answered with each of its two redirects; a client may pause in between. */
async function followEndpoint(client: SimulatedClient, provider: SimulatedName): Promise<void> {
  await callOnce(client, provider);
  // A client that is started for each call makes more than one request in it.
  if (!client.startsForEachCall) {
    await client.callUntilSeen(
      (record) => isTokenRequestTo(record, provider),
      2,
      () => client.call('simulated', provider),
    );
  }
}

/** Until the provider has shown each of its two certificates; a client may pause in between. */
async function connectTwice(client: SimulatedClient, provider: SimulatedName): Promise<void> {
  if (client.startsForEachCall) {
    // A client may connect more than once in a call, or may not.
    for (let count = 0; count < BAD_CERTIFICATES.length; count += 1) {
      await callOnce(client, provider);
    }
    return;
  }
  await client.callUntilSeen(
    ({ kind }) => kind === 'handshake',
    BAD_CERTIFICATES.length,
    () => client.call('simulated', provider),
  );
}

/** Once for each of the two redirects of the resource server. */
async function followServer(client: SimulatedClient, provider: SimulatedName): Promise<void> {
  await callOnce(client, provider);
  if (!client.startsForEachCall) {
    await callOnce(client, provider);
  }
}

/** The resource server refuses the access token: first this one only, then every one. */
async function revoke({ driver, call }: SimulatedClient, provider: SimulatedName): Promise<void> {
  for (const act of ['refuse-next-token', 'refuse-tokens'] as const) {
    await driver.act(provider, act);
    await call('simulated', provider, { act });
  }
}

async function callAtOnce({ call }: SimulatedClient, provider: SimulatedName): Promise<void> {
  await Promise.all(Array.from({ length: AT_ONCE }, () => call('simulated', provider)));
}
