import { NotTestable } from '../../core/errors.ts';
import { type ClientSession, describeCall, withoutToken } from './record.ts';

/**
 * A client that asked nobody anything in a whole session was not set up to reach them: that is one cause, and no
 * verdict on each of its rows.
 *
 * @throws NotTestable with the error of its first call that had a token to present, and what it needs
 */
export function requireReached({ calls, exchanges, lookups, resources }: ClientSession): void {
  const isAnswered = calls.some(({ ok }) => ok);
  const first = calls.find(({ phase }) => withoutToken(phase) === undefined);
  if (first === undefined || isAnswered || exchanges.length + lookups.length + resources.length > 0) {
    return;
  }
  throw new NotTestable(
    `the client never reached anything: in ${calls.length} calls it asked neither a provider nor a resource server. The first one: ${describeCall(first)}. The host names of a run exist in no DNS server: a process must send its requests through the proxy that HTTPS_PROXY names (\${proxy.url}), and some HTTP clients do not heed that by themselves (fixtures/targets/token-clients/certify-an-sdk.md)`,
  );
}
