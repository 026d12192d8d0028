import { NotTestable } from '../../harness/core/errors.ts';
import type { Finding } from '../../harness/core/findings.ts';
import type { ClientSession } from '../../harness/roles/token-client/record.ts';

/**
 * The log of a container's last but one process is kept, and none before that one (Kubernetes, Logging Architecture).
 *
 * @throws NotTestable where the client's process was started so often that not all of its output is known
 */
export function requireWholeOutput({ before, afterRenewals }: ClientSession): void {
  const lost = afterRenewals.restarts - before.restarts - 1;
  if (lost > 0) {
    throw new NotTestable(
      `the client ended ${lost + 1} times, and what it wrote before the last time but one is gone: nothing can be said of it`,
    );
  }
}

/** The first finding, with how many more there are like it. */
export function once(findings: Finding[]): Finding[] {
  const [first, ...more] = findings;
  if (first === undefined || more.length === 0) {
    return findings;
  }
  return [
    typeof first === 'string'
      ? `${first} (and ${more.length} more)`
      : { ...first, text: `${first.text} (and ${more.length} more)` },
  ];
}
