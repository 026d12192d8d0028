import type { RequirementContext } from '../../../rpc/context.ts';
import { type OperatorBench, patience, startHealthy, withSessionOperator } from '../launch.ts';
import { type OperatorRecord, type Session, summarise } from '../record.ts';

/**
 * Until everything of a session is there, or gone, where nothing disturbs: beyond that the check speaks of loss, and
 * not of time.
 */
export const EVENTUALLY_SECONDS = 30;

/** How long is looked on for what must not happen. */
const AFTERMATH_SECONDS = 2;

/**
 * Sessions come and go, with pods beside them that are none: requests go through the edge, one after somebody put a
 * wildcard rule into the tunnel, one whose name somebody else's record has. Most requirements are evaluated from this.
 */
export async function observeSessions(t: RequirementContext): Promise<OperatorRecord> {
  const record = await t.sharedByAllFiles('session operator: sessions', () =>
    t.withNamespace('operator elsewhere', 'restricted', async (elsewhere) => {
      const launched = await withSessionOperator(t, { purpose: 'sessions' }, (bench) => comeAndGo(bench, elsewhere));
      return launched.record;
    }),
  );
  t.evidence('sessions', summarise(record));
  return record;
}

async function comeAndGo(bench: OperatorBench, elsewhere: string): Promise<void> {
  const { sessions } = bench.target;
  const eventually = patience(bench, EVENTUALLY_SECONDS);
  await startHealthy(bench);
  await bench.bystander(
    `without the label ${sessions.selectorLabel}`,
    (labels) => delete labels[sessions.selectorLabel],
  );
  await bench.bystander(`without the label ${sessions.hashLabel}`, (labels) => delete labels[sessions.hashLabel]);
  await bench.bystander('in another namespace', () => undefined, elsewhere);
  // One after the other: what becomes of many at once is another requirement's (SR-08).
  const first = await bench.begin('first');
  await eventually(() => bench.isComplete(first));
  const second = await bench.begin('second');
  await eventually(() => bench.isComplete(second));
  await askAll(bench, first);

  bench.reconfigure(({ ingress }) => {
    ingress.splice(-1, 0, {
      hostname: `*.${bench.edge.zone.ids.domain}`,
      service: 'http://wildcard.web.svc.cluster.local',
    });
  });
  const third = await bench.begin('behind a wildcard');
  await eventually(() => bench.isComplete(third));

  bench.mark('ends');
  await bench.end(first);
  await eventually(() => bench.isGone(first));
  if (sessions.claimLabels !== undefined) {
    await bench.watchFor(AFTERMATH_SECONDS);
    await bench.endClaim(first);
    await eventually(() => bench.isGone(first));
  }

  const taken = bench.session('of a taken name');
  bench.seed({ type: 'CNAME', name: taken.host, content: 'elsewhere.example.net', comment: 'of somebody else' });
  await bench.begin(taken);
  await eventually(() => bench.isRouted(taken));
  await bench.watchFor(AFTERMATH_SECONDS);
  await bench.end(taken);
  await eventually(() => bench.isGone(taken));
  if (sessions.claimLabels !== undefined) {
    await bench.endClaim(taken);
  }
  await bench.watchFor(AFTERMATH_SECONDS);
}

/** Requests to a session by the name that it really has: what is wrong with the name is another requirement's. */
async function askAll(bench: OperatorBench, session: Session): Promise<void> {
  const theirs = bench.edge.zone.records().find(({ name }) => name.includes(session.hash));
  const host = theirs?.name ?? session.host;
  const signIn = session.documented.routes.find(({ open }) => open);
  await bench.ask(session, '/', { label: 'with a session', signedIn: true, host });
  await bench.ask(session, '/', { label: 'without a session', signedIn: false, host });
  await bench.ask(session, '/any/path?x=1', { label: 'without a session', signedIn: false, host });
  if (signIn !== undefined) {
    await bench.ask(session, `${signIn.path}start`, { label: 'sign-in', signedIn: false, host });
  }
}
