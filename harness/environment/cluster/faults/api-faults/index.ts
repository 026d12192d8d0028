import { AUTHENTICATION_FAULTS } from './authentication.ts';
import { AUTHORIZATION_FAULTS } from './authorization.ts';
import type { Fault } from './exchange.ts';
import { JOB_FAULTS } from './jobs.ts';
import { TOKEN_REQUEST_FAULTS } from './token-requests.ts';
import { VOLUME_FAULTS } from './volumes.ts';

/** How a faulty API server can differ from the real one, by the name that suites/SUITE/twins.yaml gives. */
export const FAULTS: Record<string, () => Fault> = {
  ...AUTHENTICATION_FAULTS,
  ...TOKEN_REQUEST_FAULTS,
  ...AUTHORIZATION_FAULTS,
  ...JOB_FAULTS,
  ...VOLUME_FAULTS,
};
