import { relative } from 'node:path';
import { NotApplicable } from '../../../core/errors.ts';
import { fill, type Values } from '../../../core/placeholders.ts';
import { type Registration, subjectOf, type WorkloadIdentity } from '../../../oauth/provider.ts';
import type { IdentityProviderTarget } from './servers.ts';
import type { ProviderSetup } from './setup.ts';
import { workloadValues } from './values.ts';

/** Registers a client as the target file describes. @param values of the provider and the workload */
export async function register(
  setup: ProviderSetup,
  target: IdentityProviderTarget,
  values: Values,
): Promise<Registration> {
  const { clientId: id = '${workload.clientId}', clientSecret: secret, workloads: _, ...step } = target.register ?? {};
  const filled = fill({ id, secret }, values, `${target.file}: register`);
  const { clientId = filled.id, clientSecret = filled.secret } = await setup.apply(step, values, 'register');
  return {
    clientId: typeof clientId === 'string' ? clientId : filled.id,
    ...(typeof clientSecret === 'string' ? { clientSecret } : {}),
  };
}

/**
 * The client that the file names for a ServiceAccount. @throws NotApplicable for any other ServiceAccount than those
 * that are registered already
 */
export async function findRegistration(
  { register: { workloads, ...common } = { clientId: '' }, file }: IdentityProviderTarget,
  workload: WorkloadIdentity,
  values: Values,
): Promise<Registration> {
  const known = workloads?.serviceAccounts.find(({ name }) => name === workload.serviceAccount);
  if (known === undefined || workload.namespace !== workloads?.namespace) {
    throw new NotApplicable(
      `${relative(process.cwd(), file)} says "register.workloads": no ServiceAccount but those can be registered, and ${subjectOf(workload)} is none of them`,
    );
  }
  const id = known.clientId ?? common.clientId;
  const secret = known.clientSecret ?? common.clientSecret;
  const filled = fill({ id, secret }, { ...values, ...workloadValues(workload) }, `${file}: register.workloads`);
  return { clientId: filled.id, ...(filled.secret === undefined ? {} : { clientSecret: filled.secret }) };
}
