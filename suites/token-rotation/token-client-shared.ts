import { NotTestable } from '../../harness/core/errors.ts';
import type { Finding } from '../../harness/core/findings.ts';
import type { ClientSession } from '../../harness/roles/token-client/record.ts';

/**
 * @throws NotTestable where the client's process ended so often, or wrote so much, that not all of its output could be
 *   kept
 */
export function requireWholeOutput({ output: { lost } }: ClientSession): void {
  if (lost > 0) {
    throw new NotTestable(
      `the client ended so often, or wrote so much, that the node kept not all that ${lost} of its processes wrote: nothing can be said of that`,
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
