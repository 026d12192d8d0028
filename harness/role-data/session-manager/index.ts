import type { RoleData } from '../role-data.ts';
import { sessionManagerTargetSchema } from './target-file.ts';
import { sessionManagerTwinSchema } from './twin.ts';

export const sessionManager = {
  role: 'session-manager',
  targetFile: sessionManagerTargetSchema,
  twin: sessionManagerTwinSchema,
  image: 'session-manager',
} as const satisfies RoleData;
