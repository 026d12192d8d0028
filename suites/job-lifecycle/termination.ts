import type { V1Pod } from '@kubernetes/client-node';
import { NotTestable, Violation } from '../../harness/core/errors.ts';
import { FollowedLog } from '../../harness/kubernetes/logs.ts';
import { START_SECONDS } from '../../harness/probes/pods.ts';
import type { RequirementContext } from '../../harness/rpc/context.ts';
import { eventsOf, gone, type JobFixture, SCRIPT, scriptPod, secondsBetween, terminationOf } from './jobs.ts';

/** Beyond its grace nothing may live on; the slack is for a machine that is short of time. */
export const KILL_SLACK_SECONDS = 30;

/** What came of a pod that was deleted. */
export interface Terminated {
  firstLine: string;
  /** When its first process said that it was told to end. */
  termAt?: Date;
  /** When the API server was asked to delete it. */
  askedAt: Date;
  termination: ReturnType<typeof terminationOf>;
  /** Seconds from the deletion to the end of the pod object. */
  goneAfter: number;
}

/** Runs a pod until it has written its first line, deletes it, and gives what came of it. */
export async function terminate(
  t: RequirementContext,
  own: JobFixture,
  kind: string,
  { script, graceSeconds, saysTerm = false }: { script: string; graceSeconds: number; saysTerm?: boolean },
): Promise<Terminated> {
  const cluster = await t.cluster();
  await using pods = await own.recordPods();
  const name = `jl-08-${kind}`;
  await own.createPod(name, { ...scriptPod(own.image, script), terminationGracePeriodSeconds: graceSeconds });
  await cluster.podReady(own.namespace, name, START_SECONDS);
  await using log = FollowedLog.open(cluster, { namespace: own.namespace, pod: name, container: SCRIPT });
  // Before that the trap is not set, and the first process of a container ignores what it has no handler for.
  const first = await log.line((text) => text.startsWith('pid '), {
    what: 'the first line',
    deadlineSeconds: START_SECONDS,
  });
  const deletedAt = new Date();
  const deleted = await cluster.core.deleteNamespacedPod({ name, namespace: own.namespace });
  const deadlineSeconds = graceSeconds + KILL_SLACK_SECONDS;
  const term = saysTerm
    ? await log.line((text) => text.startsWith('TERM '), { what: 'word of SIGTERM', deadlineSeconds })
    : undefined;
  const last = await gone(pods, name, deadlineSeconds);
  const states = eventsOf(pods.events, name).map(({ object }) => terminationOf(object));
  return {
    firstLine: first.text,
    ...(term === undefined ? {} : { termAt: new Date(Number(term.text.split(' ')[1]) * 1000) }),
    askedAt: deletionAskedAt(deleted),
    termination: states.findLast((state) => state !== undefined),
    goneAfter: secondsBetween(deletedAt, last.at),
  };
}

/**
 * Seconds from SIGTERM to the end. Word of SIGTERM is late where the pod is CPU-starved, and SIGTERM cannot have come
 * before the deletion was asked for: the longer of both times is nearer to the truth.
 */
export function secondsFromTerm({ termAt, termination, askedAt }: Terminated): number {
  if (termination === undefined || termAt === undefined) {
    throw new NotTestable('the pod was gone before its status told when its container had ended');
  }
  return Math.max(...[termAt, askedAt].map((from) => secondsBetween(from, termination.finishedAt)));
}

/** By the API server's clock: `deletionTimestamp` is when the grace period has passed (Kubernetes API, ObjectMeta). */
function deletionAskedAt({ metadata }: V1Pod): Date {
  const graceSeconds = metadata?.deletionGracePeriodSeconds ?? Number.NaN;
  return new Date(new Date(metadata?.deletionTimestamp ?? Number.NaN).getTime() - graceSeconds * 1000);
}

/** Exit code of a process that SIGKILL ended: 128 and the signal's number (POSIX, Shell Command Language). */
export const KILLED = 137;

/**
 * Holds the exit code of a container that was told to end against what it ends with.
 *
 * @throws NotTestable where its pod was gone before its status told
 * @throws Violation that may be the machine's fault where it was killed at the end of its grace period
 */
export function expectExit(what: string, { termination }: Pick<Terminated, 'termination'>, expected: number): void {
  if (termination === undefined) {
    throw new NotTestable(`${what}: the pod was gone before its status told`);
  }
  if (termination.exitCode !== expected) {
    throw new Violation(`${what}: ${termination.exitCode}, expected ${expected}`, termination.exitCode === KILLED);
  }
}
