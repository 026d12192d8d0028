import type { ClockSettings } from '../../rpc/protocol.ts';

/**
 * From the expiry of what a client remembers to the arrival of its next reading at a provider, with what a busy machine
 * adds.
 */
const SLACK_SECONDS = 3;

/**
 * Part of a token's life that is left when the kubelet replaces it (Kubernetes, "Service account token volume
 * projection": 80 %).
 */
const LEFT_AFTER_ROTATION = 0.2;

/** Longest life on the accelerated clock: a session crosses two rotations of each file. */
const LONGEST_ACCELERATED_SECONDS = 120;

/**
 * How long subject tokens must live for a client that reads its file again every `reloadSeconds`: what it read just
 * before a rotation must still be good when it reads again. On the accelerated clock not longer than two minutes,
 * whatever the client declares.
 */
export function lifetimeForReload(reloadSeconds: number, { kind, clientLifetimeSeconds }: ClockSettings): number {
  const wanted = Math.ceil((reloadSeconds + SLACK_SECONDS) / LEFT_AFTER_ROTATION);
  const longest = kind === 'accelerated' ? LONGEST_ACCELERATED_SECONDS : Number.POSITIVE_INFINITY;
  return Math.max(clientLifetimeSeconds, Math.min(wanted, longest));
}

/** The longest reload interval for which tokens of a life leave room. */
export function reloadRoomSeconds(lifetimeSeconds: number): number {
  return lifetimeSeconds * LEFT_AFTER_ROTATION - SLACK_SECONDS;
}
