import { loadCatalogue } from '../../catalogue/catalogue.ts';
import { roleDefinition } from '../../roles/index.ts';

/**
 * Expensive rows that start pods of the harness's which no cheap one starts: Jobs, volume workers, a token client on a
 * claim and with two providers, the deployment of the reference job runner and its preflight, prompts and templates.
 */
const EXPENSIVE = [
  ...['JL-01', 'JL-07', 'JL-08', 'PV-01', 'PV-03', 'PV-04', 'PV-06', 'PV-07', 'TR-09', 'TR-13'],
  ...['RB-30', 'AI-32', 'TR-32'],
  ...['JL-20', 'JL-33', 'JL-40', 'JL-43', 'PV-20', 'PV-21', 'PV-25'],
];

/** Rows whose pods must not be evaluated under assigned uids, each with why. */
const EXEMPT: Record<string, string> = {};

/**
 * Ids of the requirements that are evaluated on a cluster that assigns uids as OpenShift's restricted-v2 does
 * (environment/cluster/assigned-uids.ts): every pod of the harness's must be admitted there, and work. What runs under
 * Pod Security `baseline` is somebody else's manifest, as it was written (JL-09).
 */
export function rowsUnderAssignedUids(): string[] {
  return loadCatalogue()
    .requirements.filter(
      ({ id, role, expensive }) =>
        roleDefinition(role).needsNoPods !== true &&
        (expensive !== true || EXPENSIVE.includes(id)) &&
        EXEMPT[id] === undefined,
    )
    .map(({ id }) => id);
}
