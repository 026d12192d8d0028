import type { V1Pod } from '@kubernetes/client-node';
import type { TokenObservation } from '../../fixtures/workloads/token-probe/probe.ts';
import { HarnessError, NotTestable } from '../../harness/core/errors.ts';
import type { ServiceAccountClaims } from '../../harness/core/token.ts';
import { createServiceAccount } from '../../harness/probes/pods.ts';
import {
  ASKED_SECONDS,
  type FileObservations,
  type ProbePod,
  type ProbePodOptions,
  startProbePod,
} from '../../harness/probes/token-probe.ts';
import type { RequirementContext } from '../../harness/rpc/context.ts';

export const SERVICE_ACCOUNT = 'agent';
/** Audiences of two providers that are no audience of the API server. */
export const PRODUCTION = 'https://production.conformance.test';
export const STAGING = 'https://staging.conformance.test';

/** The kubelet's jitter in seconds: it may ask that much before the mark (kubernetes pkg/kubelet/token, maxJitter). */
const JITTER_SECONDS = 10;
/** What is granted on top of the sync frequency, for the request and the write. */
const SLACK_SECONDS = 5;
/** Part of its life after which a token is replaced, at the latest after a day. */
const MARK = 0.8;
const DAY_SECONDS = 24 * 60 * 60;

/** The pod whose tokens rotate: two tokens, in a volume each. */
export function rotatingPod(t: RequirementContext): Promise<ProbePod> {
  return t.shared('rotating pod', async () => {
    const { name } = await t.namespace();
    await createServiceAccount(t, name, SERVICE_ACCOUNT, false);
    return startProbePod(t, name, {
      name: 'rotating',
      serviceAccount: SERVICE_ACCOUNT,
      volumes: { production: { token: PRODUCTION }, staging: { token: STAGING } },
    });
  });
}

/**
 * What is asked for a token that must still be good for a while after it was replaced: on the accelerated clock 60 s
 * leave less than ten of them.
 */
const LONG_ASKED_SECONDS = 900;

/**
 * Pods whose token files are looked at for who may read them, and one of which is asked for a token that it no longer
 * has.
 */
export function guardedPods(t: RequirementContext): Promise<Record<'group' | 'user', ProbePod>> {
  return t.shared('guarded pods', async () => {
    const { name: namespace } = await t.namespaceFor('modes');
    await createServiceAccount(t, namespace, SERVICE_ACCOUNT, false);
    const start = (name: string, options: Partial<ProbePodOptions>): Promise<ProbePod> =>
      startProbePod(t, namespace, {
        name,
        serviceAccount: SERVICE_ACCOUNT,
        volumes: { production: { token: PRODUCTION } },
        askedSeconds: t.clock.kind === 'accelerated' ? LONG_ASKED_SECONDS : ASKED_SECONDS,
        ...options,
      });
    const [group, user] = await Promise.all([
      start('group', { apiToken: true }),
      start('user', { withoutGroup: true, defaultMode: 0o444 }),
    ]);
    return { group, user };
  });
}

/** What was seen of the guarded pods until the first token had to be replaced; with that token's window. */
export async function observeGuardedPods(
  t: RequirementContext,
): Promise<{ window: RotationWindow; pods: { probe: ProbePod; files: FileObservations[] }[] }> {
  const { group, user } = await guardedPods(t);
  const { window } = await dueOf(t, group);
  return t.shared('guarded files', async () => {
    const pods = await Promise.all([group, user].map(async (probe) => ({ probe, files: await probe.observations() })));
    return { window, pods };
  });
}

/** When a token is due to be replaced. All times are Unix seconds. */
export interface RotationWindow {
  earliest: number;
  latest: number;
  expires: number;
}

/** The window of TR-03 for one token. */
export function rotationWindow(claims: ServiceAccountClaims, syncFrequencySeconds: number): RotationWindow {
  const { iat, exp } = claims;
  if (iat === undefined || exp === undefined) {
    throw new HarnessError('a ServiceAccount token without iat or exp');
  }
  const mark = iat + Math.min(MARK * (exp - iat), DAY_SECONDS);
  return {
    // `iat` is whole seconds, rounded down.
    earliest: mark - JITTER_SECONDS,
    latest: mark + 1.5 * syncFrequencySeconds + SLACK_SECONDS,
    expires: exp,
  };
}

/** What was seen of the pod and its files from its start until the first token had to be replaced. */
export interface Rotation {
  before: V1Pod;
  after: V1Pod;
  window: RotationWindow;
  /** Restarts of the pod's containers, one that the kubelet has not reported yet included. */
  restarts: number;
  /**
   * What the probe saw; absent where the pod or its container was replaced meanwhile, and all that it had seen is lost.
   */
  files?: FileObservations[];
}

/** Longest that a rotation is waited for, in lives of a token as the clock has them. */
const LONGEST_WAIT = 1.5;

function fileOf(files: FileObservations[], path: string): FileObservations {
  const file = files.find((candidate) => candidate.path === path);
  if (file === undefined) {
    throw new HarnessError(`the probe does not watch ${path}`);
  }
  return file;
}

/**
 * Waits until the first token of a pod's volume `production` must have been replaced: when that was, and what it was.
 */
async function dueOf(
  t: RequirementContext,
  probe: ProbePod,
): Promise<{ window: RotationWindow; first: TokenObservation }> {
  const path = probe.path('production', 'token');
  const first = await t.shared(`first content of ${probe.name}`, async () => {
    const [observation] = fileOf(await probe.observations(), path).observations;
    if (observation === undefined) {
      throw new NotTestable(`the pod is Ready, but there is no token at ${path}`);
    }
    return observation;
  });
  const window = rotationWindow(first.claims as ServiceAccountClaims, t.clock.syncFrequencySeconds);
  const wait = window.latest - Date.now() / 1000;
  if (wait > LONGEST_WAIT * t.clock.lifetimeSeconds + 1.5 * t.clock.syncFrequencySeconds) {
    throw new NotTestable(
      `the token lives ${window.expires - (first.claims.iat as number)} s, so that it is due to be replaced in ${Math.round(wait)} s only (see TR-02)`,
    );
  }
  await t.clock.until(new Date(window.latest * 1000), 'the kubelet replaces the token until then');
  return { window, first };
}

/** Waits until the first token must have been replaced, then takes stock; once for all requirements of the file. */
export async function observeRotation(t: RequirementContext): Promise<Rotation> {
  const probe = await rotatingPod(t);
  const { window, first } = await dueOf(t, probe);
  return t.shared('rotation', async () => {
    const { core } = await t.cluster();
    const before = probe.pod;
    const after = await core.readNamespacedPod({ name: probe.name, namespace: probe.namespace });
    const reported = restartsOf(after);
    if (after.metadata?.uid !== before.metadata?.uid || reported > 0) {
      return { before, after, window, restarts: reported };
    }
    // The kubelet reports a restart late; a probe that was started again has not seen what the first one saw.
    const files = await probe.observations();
    const [oldest] = fileOf(files, probe.path('production', 'token')).observations;
    const goesOn = oldest?.at === first.at && oldest.sha256 === first.sha256;
    return { before, after, window, ...(goesOn ? { restarts: 0, files } : { restarts: 1 }) };
  });
}

function restartsOf(pod: V1Pod): number {
  return (pod.status?.containerStatuses ?? []).reduce((sum, { restartCount }) => sum + restartCount, 0);
}

/**
 * The files that were watched, the one that is evaluated first.
 *
 * @throws NotTestable where the pod or its container was replaced, so that the probe in it knows nothing of what was
 *   before
 */
export function watchedFiles({ files }: Rotation): [FileObservations, ...FileObservations[]] {
  const [evaluated, ...others] = files ?? [];
  if (evaluated === undefined) {
    throw new NotTestable('the pod was replaced or restarted while its token was watched (see TR-06)');
  }
  return [evaluated, ...others];
}

/** The tokens before and after the first rotation. @throws NotTestable where nothing rotated */
export function rotatedTokens(
  rotation: Rotation,
): [FileObservations['observations'][number], FileObservations['observations'][number]] {
  const [before, after] = watchedFiles(rotation)[0].observations;
  if (before === undefined || after === undefined) {
    throw new NotTestable('nothing rotated in time (see TR-03), so nothing can be said of a rotation');
  }
  return [before, after];
}
