import type { RequirementContext } from '../run/context.ts';
import { startPodClient } from './pod-client.ts';
import { startProcessClient } from './process-client.ts';
import type { Target } from './target-file.ts';
import type { TargetClient } from './token-client-target-session.ts';

/** Starts the token client of a target file, so that it can be driven. The caller stops it. */
export function startTargetClient(t: RequirementContext, target: Target<'token-client'>): Promise<TargetClient> {
  return target.run.form === 'pod' ? startPodClient(t, target) : startProcessClient(t, target);
}
