import { z } from 'zod';
import { cluster } from './cluster/index.ts';
import { identityProvider } from './identity-provider/index.ts';
import { jobRunner } from './job-runner/index.ts';
import type { RoleData } from './role-data.ts';
import { sessionManager } from './session-manager/index.ts';
import { sessionOperator } from './session-operator/index.ts';
import { tokenClient } from './token-client/index.ts';

/**
 * The roles as data, in the order of the reference pages. A role is a line here and a line in harness/roles/index.ts,
 * which says how it is driven; the type checker asks for the second where it has the first.
 */
const ROLE_DATA = [cluster, identityProvider, tokenClient, jobRunner, sessionManager, sessionOperator] as const;

/** The slots of the environment that have a contract. */
export type Role = (typeof ROLE_DATA)[number]['role'];
export const ROLES: readonly Role[] = ROLE_DATA.map(({ role }) => role);
export const roleSchema = z.enum(ROLES);

const [first, ...others] = ROLE_DATA;

/** The shape of a target file, by its role; in the order of the names, as the published JSON Schema has them. */
export const targetSchema = z.discriminatedUnion('role', [
  first.targetFile,
  ...others.toSorted((a, b) => a.role.localeCompare(b.role)).map(({ targetFile }) => targetFile),
]);

/** The ways in which a twin is broken, by its role: data for the part of the environment that starts it. */
export const twinSchema = z.discriminatedUnion('role', [first.twin, ...others.map(({ twin }) => twin)]);

/** See {@link RoleData.capabilitiesOfForms}; none where the role has one form alone. */
export function capabilitiesOfForms(role: Role): readonly string[] {
  const data: RoleData | undefined = ROLE_DATA.find((one) => one.role === role);
  return data?.capabilitiesOfForms ?? [];
}

type ReferenceImage = Extract<(typeof ROLE_DATA)[number], { image: string }>['image'];

/** Images of fixtures/images that pods of a candidate run: `workload` is the agent of tasks and sessions. */
export type NodeImage = 'workload' | ReferenceImage;
export const NODE_IMAGES: readonly NodeImage[] = [
  'workload',
  ...ROLE_DATA.flatMap((data) => ('image' in data ? [data.image] : [])),
];
