import type { RoleData } from '../role-data.ts';
import { sessionManagerTargetSchema } from './target-file.ts';
import { sessionManagerTwinSchema } from './twin.ts';

export const sessionManager = {
  role: 'session-manager',
  targetFile: sessionManagerTargetSchema,
  twin: sessionManagerTwinSchema,
  image: 'session-manager',
  // It makes pods when it is called, or sessions from objects.
  capabilitiesOfForms: ['pods', 'sessions'],
} as const satisfies RoleData;
