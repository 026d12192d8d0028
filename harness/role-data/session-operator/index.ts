import type { RoleData } from '../role-data.ts';
import { sessionOperatorTargetSchema } from './target-file.ts';
import { sessionOperatorTwinSchema } from './twin.ts';

export const sessionOperator = {
  role: 'session-operator',
  targetFile: sessionOperatorTargetSchema,
  twin: sessionOperatorTwinSchema,
} as const satisfies RoleData;
