import type { RequirementContext } from '../../rpc/context.ts';
import type { Target } from '../../targets/load.ts';
import type { TargetClient } from './configure/session.ts';
import { startPodClient } from './drivers/pod.ts';
import { startProcessClient } from './drivers/process/index.ts';

/** Starts the token client of a target file, so that it can be driven. The caller stops it. */
export function startTargetClient(t: RequirementContext, target: Target<'token-client'>): Promise<TargetClient> {
  return target.run.form === 'pod' ? startPodClient(t, target) : startProcessClient(t, target);
}
