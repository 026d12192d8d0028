import type { RoleData } from '../role-data.ts';
import { jobRunnerTargetSchema } from './target-file.ts';
import { jobRunnerTwinSchema } from './twin.ts';

export const jobRunner = {
  role: 'job-runner',
  targetFile: jobRunnerTargetSchema,
  twin: jobRunnerTwinSchema,
  image: 'job-runner',
} as const satisfies RoleData;
