import { setTimeout as delay } from 'node:timers/promises';
import type { RequirementContext } from '../../../rpc/context.ts';
import { withSessionOperator } from '../launch.ts';
import { type OperatorRecord, summarise } from '../record.ts';

/** A process that cannot go on says so at its start. */
const EXIT_SECONDS = 20;
/** How long its health is asked, from its first answer on, while it cannot see any session. */
const BLIND_SECONDS = 6;
const HEALTH_EVERY_MS = 250;

export interface StartsRecord extends OperatorRecord {
  /** The variables without which it was started; each is the name of a replica. */
  without: string[];
  /** Those of them without which it was still running when the harness ended it. */
  wentOn: string[];
  /** HTTP status of each answer while it could see no session; undefined: there was none. */
  blind: (number | undefined)[];
}

/** Starts it once without each of its required variables, and once while the API server cannot be reached. */
export async function observeStarts(t: RequirementContext): Promise<StartsRecord> {
  const { record, result } = await withSessionOperator(t, { purpose: 'starts' }, async (fixture) => {
    const { required } = fixture.target.start;
    const wentOn: string[] = [];
    // A process that is a pod has to start before it can exit.
    const patienceMs = Math.max(EXIT_SECONDS, fixture.target.startSeconds) * 1000;
    for (const variable of required) {
      const started = await fixture.launch(variable, [variable]);
      const itself = await Promise.race([
        started.exited.then(() => true),
        delay(patienceMs, false, { signal: t.signal }),
      ]);
      if (!itself) {
        wentOn.push(variable);
      }
      await started.stop();
    }
    await fixture.access.setFaults([{ kind: 'outage' }]);
    fixture.mark('blind');
    const started = await fixture.launch('blind');
    const blind: (number | undefined)[] = [];
    // One that takes its time to start says nothing before.
    let until = Date.now() + Math.max(BLIND_SECONDS, fixture.target.startSeconds) * 1000;
    for (; Date.now() < until && fixture.exitOf('blind') === undefined; await delay(HEALTH_EVERY_MS)) {
      const status = await started.health();
      if (status !== undefined && blind.every((each) => each === undefined)) {
        until = Date.now() + BLIND_SECONDS * 1000;
      }
      blind.push(status);
    }
    return { without: required, wentOn, blind };
  });
  const whole = { ...record, ...result };
  t.evidence('starts', {
    without: whole.without.map((variable) => ({
      variable,
      exit: whole.replicas.find(({ replica }) => replica === variable)?.exit,
      output: whole.lines
        .filter(({ replica }) => replica === variable)
        .map(({ text }) => text)
        .slice(-5),
    })),
    healthWithoutApiServer: result.blind,
    ...(summarise(record) as object),
  });
  return whole;
}
