import type { RequirementContext } from '../../../rpc/context.ts';
import { type OperatorFixture, patience, startHealthy, withSessionOperator } from '../launch.ts';
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
      const launched = await withSessionOperator(t, { purpose: 'sessions' }, (fixture) =>
        comeAndGo(fixture, elsewhere),
      );
      return launched.record;
    }),
  );
  t.evidence('sessions', summarise(record));
  return record;
}

async function comeAndGo(fixture: OperatorFixture, elsewhere: string): Promise<void> {
  const { sessions } = fixture.target;
  const eventually = patience(fixture, EVENTUALLY_SECONDS);
  await startHealthy(fixture);
  await fixture.bystander(
    `without the label ${sessions.selectorLabel}`,
    (labels) => delete labels[sessions.selectorLabel],
  );
  await fixture.bystander(`without the label ${sessions.hashLabel}`, (labels) => delete labels[sessions.hashLabel]);
  await fixture.bystander('in another namespace', () => undefined, elsewhere);
  // One after the other: what becomes of many at once is another requirement's (SR-08).
  const first = await fixture.begin('first');
  await eventually(() => fixture.isComplete(first));
  const second = await fixture.begin('second');
  await eventually(() => fixture.isComplete(second));
  await askAll(fixture, first);

  fixture.reconfigure(({ ingress }) => {
    ingress.splice(-1, 0, {
      hostname: `*.${fixture.edge.zone.ids.domain}`,
      service: 'http://wildcard.web.svc.cluster.local',
    });
  });
  const third = await fixture.begin('behind a wildcard');
  await eventually(() => fixture.isComplete(third));

  fixture.mark('ends');
  await fixture.end(first);
  await eventually(() => fixture.isGone(first));
  if (sessions.claimLabels !== undefined) {
    await fixture.watchFor(AFTERMATH_SECONDS);
    await fixture.endClaim(first);
    await eventually(() => fixture.isGone(first));
  }

  const taken = fixture.session('of a taken name');
  fixture.seed({ type: 'CNAME', name: taken.host, content: 'elsewhere.example.net', comment: 'of somebody else' });
  await fixture.begin(taken);
  await eventually(() => fixture.isRouted(taken));
  await fixture.watchFor(AFTERMATH_SECONDS);
  await fixture.end(taken);
  await eventually(() => fixture.isGone(taken));
  if (sessions.claimLabels !== undefined) {
    await fixture.endClaim(taken);
  }
  await fixture.watchFor(AFTERMATH_SECONDS);
}

/** Requests to a session by the name that it really has: what is wrong with the name is another requirement's. */
async function askAll(fixture: OperatorFixture, session: Session): Promise<void> {
  const theirs = fixture.edge.zone.records().find(({ name }) => name.includes(session.hash));
  const host = theirs?.name ?? session.host;
  const signIn = session.documented.routes.find(({ open }) => open);
  await fixture.ask(session, '/', { label: 'with a session', signedIn: true, host });
  await fixture.ask(session, '/', { label: 'without a session', signedIn: false, host });
  await fixture.ask(session, '/any/path?x=1', { label: 'without a session', signedIn: false, host });
  if (signIn !== undefined) {
    await fixture.ask(session, `${signIn.path}start`, { label: 'sign-in', signedIn: false, host });
  }
}
