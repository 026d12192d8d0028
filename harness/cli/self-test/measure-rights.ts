/**
 * Measures what requirements ask of a live cluster, for `conformance plan`: evaluates them on the cluster of
 * KUBECONFIG, as a user who may do everything there, and adds what was asked to harness/run/live/measured.json.
 *
 *   npm run measure-rights -- rbac-minimal TR-07
 */
import { writeFileSync } from 'node:fs';
import { executeWithRerun } from '../../run/execute.ts';
import { measuredOf, readMeasured } from '../../run/live/measured.ts';
import { DEFAULT_OPTIONS, Session } from '../../run/session.ts';
import { Console } from '../output.ts';

const isId = (word: string): boolean => /^[A-Z]{2}-\d/.test(word);

const words = process.argv.slice(2);
const output = new Console();
const session = new Session(
  {
    ...DEFAULT_OPTIONS,
    cluster: 'kubeconfig',
    identityProvider: 'embedded',
    clock: 'real',
    suites: words.filter((word) => !isId(word)),
    requirements: words.filter(isId),
  },
  output.progress,
);
await executeWithRerun(session, output.of({ planned: session.planned.length, several: false }));
const measured = readMeasured();
for (const [id, row] of Object.entries(measuredOf(session.environment.asked()))) {
  measured[id] = { ...measured[id], ...row };
}
const sorted = Object.fromEntries(
  Object.entries(measured)
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .map(([id, row]) => [
      id,
      Object.fromEntries(Object.entries(row).toSorted(([one], [other]) => (one < other ? -1 : 1))),
    ]),
);
writeFileSync(new URL('../../run/live/measured.json', import.meta.url), `${JSON.stringify(sorted, null, 2)}\n`);
