import type { RoleData } from '../role-data.ts';
import { tokenClientTargetSchema } from './target-file.ts';
import { tokenClientTwinSchema } from './twin.ts';

export const tokenClient = {
  role: 'token-client',
  targetFile: tokenClientTargetSchema,
  twin: tokenClientTwinSchema,
} as const satisfies RoleData;
