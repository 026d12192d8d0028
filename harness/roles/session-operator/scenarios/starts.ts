import { setTimeout as delay } from 'node:timers/promises';
import type { RequirementContext } from '../../../rpc/context.ts';
import { withSessionOperator } from '../launch.ts';
import { type OperatorRecord, summarise } from '../record.ts';

/** A process that cannot go on says so at its start. */
const EXIT_SECONDS = 20;
/** How long its health is asked while it cannot see any session. */
const BLIND_SECONDS = 6;
const HEALTH_EVERY_MS = 250;

export interface StartsRecord extends OperatorRecord {
  /** The variables without which it was started; each is the name of a replica. */
  without: string[];
  /** HTTP status of each answer while it could see no session; undefined: there was none. */
  blind: (number | undefined)[];
}

/** Starts it once without each of its required variables, and once while the API server cannot be reached. */
export async function observeStarts(t: RequirementContext): Promise<StartsRecord> {
  const { record, result } = await withSessionOperator(t, { purpose: 'starts' }, async (fixture) => {
    const { required } = fixture.target.start;
    for (const variable of required) {
      const started = await fixture.launch(variable, [variable]);
      await Promise.race([started.exited, delay(EXIT_SECONDS * 1000, undefined, { signal: t.signal })]);
      await started.stop();
    }
    await fixture.access.setFaults([{ kind: 'outage' }]);
    fixture.mark('blind');
    const started = await fixture.launch('blind');
    const blind: (number | undefined)[] = [];
    for (const until = Date.now() + BLIND_SECONDS * 1000; Date.now() < until; await delay(HEALTH_EVERY_MS)) {
      blind.push(await started.health());
    }
    return { without: required, blind };
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
