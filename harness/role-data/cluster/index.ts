import type { RoleData } from '../role-data.ts';
import { clusterTargetSchema } from './target-file.ts';
import { clusterTwinSchema } from './twin.ts';

export const cluster = {
  role: 'cluster',
  targetFile: clusterTargetSchema,
  twin: clusterTwinSchema,
} as const satisfies RoleData;
