import { z } from 'zod';
import { policyRuleSchema, SENSITIVE_RIGHTS } from '../../core/policy-rule.ts';
import { targetBase } from '../target-base.ts';

const text = z.string().trim().min(1);
const seconds = z.number().positive();
const labels = z.record(z.string(), z.string()).refine((given) => Object.keys(given).length > 0, 'at least one label');
const environment = z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), z.string());

/** Abilities that requirements ask for. An operator that does not declare one is not evaluated by them. */
export const SESSION_OPERATOR_CAPABILITIES = [
  /** Several replicas may run at once. */
  'replicas',
  /** Its routes go through an ingress that authenticates users. */
  'authenticated-routes',
] as const;

const routeSchema = z.strictObject({
  /** Its documented name. */
  name: text,
  /** A path that it takes, below the session's host. */
  path: z.string().startsWith('/').default('/'),
  /** True where it has to work without a session: it signs users in. */
  open: z.boolean().default(false),
});

/**
 * A target file of the role `session-operator`. Everywhere below `start` and `manifests` these stand for what a run
 * knows: `${namespace}`, `${edge.token}`, `${edge.zone}`, `${edge.tunnel}`, `${edge.domain}`, `${edge.url}` (the fake,
 * without `/client/v4`), `${ingress.url}`, `${router.url}`, `${router.service}`, `${middleware}` (the middleware that
 * authenticates), `${health.port}`, `${replica}`, `${image}` (a stock Node), `${operator.main}` (the program of the
 * harness's own operator, or of a twin of it), `${reference.program}` (the reference, one file); below `documented`
 * also `${session.hash}` and `${session.host}`, and below `sessions` `${session.hash}`.
 */
const shape = z.strictObject({
  ...targetBase,
  role: z.literal('session-operator'),
  capabilities: z.array(z.enum(SESSION_OPERATOR_CAPABILITIES)).default([]),

  /** How one replica is started. */
  start: z.union([
    z.strictObject({
      /**
       * A child process. `node` is the Node of the harness; an argument that begins with `./` or
       * `../` is a path relative to the target file. Its kubeconfig is named by `KUBECONFIG`.
       */
      command: z.array(text).min(1),
      env: environment.default({}),
      /** Variables without which it has to exit and name them (SR-12). */
      required: z.array(text).default([]),
      /**
       * How its requests for https://api.cloudflare.com reach the fake:
       * `fetch-shim`: it is a Node process, started with a module that moves them; `configured`:
       * `env` has `${edge.url}`.
       */
      edge: z.enum(['fetch-shim', 'configured']).default('fetch-shim'),
    }),
    /**
     * A pod of the template in `manifests`, as a ServiceAccount that is bound to `rules`. It reaches the fake by
     * hostAliases, and trusts it by NODE_EXTRA_CA_CERTS.
     */
    z.strictObject({
      inCluster: z.literal(true),
      /** Where its container answers for its health. */
      healthPort: z.number().int().positive(),
      required: z.array(text).default([]),
    }),
  ]),
  /** Longest time from its start to a healthy answer. */
  startSeconds: seconds.default(30),
  /** Path that says whether it is healthy, at `${health.port}`. */
  healthPath: z.string().startsWith('/').default('/healthz'),

  /** What a session looks like in the cluster. */
  sessions: z.strictObject({
    /** Labels of its pods, with `${session.hash}` in one of them. */
    labels,
    /** The label that says whose pods are sessions: without it a pod is none. */
    selectorLabel: text,
    /** The label that holds the hash: without it a pod is none. */
    hashLabel: text,
    /** Routes are made for every pod that is listed, or for those alone that are Ready. */
    pods: z.enum(['listed', 'ready']).default('listed'),
    /** Labels of its claim, where the DNS record goes with that. */
    claimLabels: labels.optional(),
  }),

  /** The rights that its documentation asks for: it has these and no others. */
  rules: z.strictObject({
    namespaced: z.array(policyRuleSchema).default([]),
    cluster: z.array(policyRuleSchema).default([]),
    /**
     * What it needs beyond that and does not document: given wherever something else is evaluated than its
     * documentation. RB-20 is evaluated without.
     */
    undocumented: z.array(policyRuleSchema).default([]),
    /** What of these reaches further than its work does, and why it is needed (RB-22). */
    declared: z.partialRecord(z.enum(SENSITIVE_RIGHTS), text).default({}),
  }),

  /** Its own deployment as it is installed (WH-07): YAML files, relative to the target file. */
  manifests: z
    .strictObject({
      files: z.array(text).min(1),
      /** Name of the Deployment or StatefulSet. */
      workload: text,
      /** The operator's container in it. */
      container: text,
      replicas: z.number().int().positive().default(1),
      /** Variables of that container that are credentials. */
      credentials: z.array(text).default([]),
      /** Why its root file system is writable; absent: it is to be read-only. */
      writableRootFilesystem: text.optional(),
    })
    .optional(),

  documented: z.strictObject({
    /** A session's host. */
    host: text,
    record: z.strictObject({ type: text, content: text, proxied: z.boolean().optional() }),
    /** The service that the session's tunnel rule leads to. */
    tunnelService: text,
    routes: z.array(routeSchema).min(1),
    /** Service that signs users in, `NAMESPACE/NAME`. */
    signInService: z.string().regex(/^[^/]+\/[^/]+$/, 'NAMESPACE/NAME'),
    /** A session's record goes with its pod, or with its claim. */
    recordRemovedWith: z.enum(['pod', 'claim']).default('pod'),
    /** How long it may take to exit after SIGTERM. */
    sigtermSeconds: seconds.default(10),
    /** A regular expression for lines of its output that report a failure. */
    errorLines: text.default('\\b(error|fail(ed|ure)?|fatal|exception|unhandled|panic)\\b'),
  }),
});

export const sessionOperatorTargetSchema = shape.superRefine(({ start, manifests, sessions, documented }, context) => {
  const refuse = (path: string[], message: string): void => context.addIssue({ code: 'custom', path, message });
  if ('inCluster' in start && manifests === undefined) {
    refuse(['manifests'], '`start.inCluster` needs them: what is to be started is there');
  }
  for (const key of ['selectorLabel', 'hashLabel'] as const) {
    if (!Object.hasOwn(sessions.labels, sessions[key])) {
      refuse(['sessions', key], `${sessions[key]} is none of \`sessions.labels\``);
    }
  }
  if (sessions.labels[sessions.hashLabel]?.includes('${session.hash}') === false) {
    refuse(['sessions', 'labels', sessions.hashLabel], 'the hash label has no ${session.hash}');
  }
  if (!documented.host.includes('${session.hash}')) {
    refuse(['documented', 'host'], 'no ${session.hash}: all sessions would have one host');
  }
  if (documented.recordRemovedWith === 'claim' && sessions.claimLabels === undefined) {
    refuse(['sessions', 'claimLabels'], '`documented.recordRemovedWith: claim` needs them');
  }
  try {
    new RegExp(documented.errorLines, 'i');
  } catch (error) {
    refuse(['documented', 'errorLines'], (error as Error).message);
  }
});
