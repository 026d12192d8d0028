import { UsageError } from './errors.ts';

/**
 * How long the harness waits for its own environment and for a target to get going, in seconds. Bounds that the
 * contract itself sets (a refusal by `exp` + leeway, a report within its documented time) are not here: they stand with
 * their checks, and no factor changes them.
 */
export const TIME_LIMITS = {
  podStart: { seconds: 120, what: 'a pod gets ready, its images pulled' },
  deploymentReady: { seconds: 120, what: "the pod of a target's own Deployment gets ready" },
  volumeProvisioning: { seconds: 90, what: 'a claim is bound' },
  processStart: { seconds: 90, what: 'a call of a client that is a process of its own for each call' },
  startSlack: { seconds: 30, what: 'beyond the start time that a target documents' },
  taskEnd: { seconds: 90, what: 'a short task of a job runner ends, its pod started and its image there' },
  targetInstall: { seconds: 600, what: 'the commands that install a target' },
  setupCommand: { seconds: 120, what: 'a command that sets an identity provider up' },
  keycloakStart: { seconds: 120, what: 'Keycloak answers after the start of its container' },
  keycloakPodStart: { seconds: 300, what: 'Keycloak answers after the start of its pod, built and with a schema' },
  keycloakRequest: { seconds: 60, what: 'a request of the administrator to Keycloak' },
  adminRequest: { seconds: 30, what: 'a request to the admin API of a provider by target file' },
  providerRequest: { seconds: 30, what: 'a request to a token endpoint or a resource server' },
  accessKnown: { seconds: 30, what: "a change of a Role is known to the API server's authorizer" },
  policyEffect: { seconds: 30, what: 'an admission policy takes effect' },
  requirement: { seconds: 500, what: 'a whole requirement, accelerated clock (for targets five times as long)' },
  requirementRealClock: { seconds: 1_500, what: 'a whole requirement, real clock (for targets five times as long)' },
} as const satisfies Record<string, { seconds: number; what: string }>;

export type TimeLimit = keyof typeof TIME_LIMITS;

/** By which the test workers, which are processes of their own, know the factor of `--timeout-factor`. */
const FACTOR_VARIABLE = 'KUBE_AGENT_CONFORMANCE_TIMEOUT_FACTOR';

/** @throws UsageError for what is no number between 1 and 20 */
export function setTimeoutFactor(factor: number): void {
  if (!(factor >= 1 && factor <= 20)) {
    throw new UsageError(`--timeout-factor ${factor}: give a number between 1 and 20`);
  }
  process.env[FACTOR_VARIABLE] = String(factor);
}

/** A time limit of {@link TIME_LIMITS} in seconds, times the factor of the run. */
export function limitSeconds(limit: TimeLimit): number {
  return TIME_LIMITS[limit].seconds * Number(process.env[FACTOR_VARIABLE] ?? 1);
}
