import { z } from 'zod';
import { policyRuleSchema, SENSITIVE_RIGHTS } from '../../core/policy-rule.ts';
import { labelSelector, targetBase } from '../target-base.ts';

const text = z.string().trim().min(1);
const seconds = z.number().positive();

/** Abilities that requirements ask for. A runner that does not declare one is not evaluated by them. */
export const JOB_RUNNER_CAPABILITIES = [
  /** Proves at its start that it can create what it needs. */
  'preflight',
  /** Ends a task on request. */
  'cancel',
  /** Ends a task by a time limit. */
  'timeout',
  /** Gives the agent's output while it runs. */
  'stream',
  /** Merges a pod template of the user's. */
  'pod-template',
  /** Goes on with an earlier session by its id. */
  'session',
  /** Takes image, pull secrets, DNS, secrets and environment from the pod that it runs in. */
  'inherit',
  /** Mounts the claim of the pod that it runs in. */
  'shared-claim',
] as const;

const resourcesSchema = z.strictObject({
  requests: z.record(z.string(), z.string()).optional(),
  limits: z.record(z.string(), z.string()).optional(),
});

/** Kinds of faults of a pod (JL-26): names for documented times. */
export const POD_FAULTS = [
  'image-pull',
  'unschedulable',
  'config',
  'mount',
  'init',
  'out-of-memory',
  'deadline',
  'eviction',
] as const;
export type PodFault = (typeof POD_FAULTS)[number];

/**
 * A target file of the role `job-runner`. Everywhere below `start` and `objects` these stand for what a run knows:
 * `${namespace}`, `${worker.id}`, `${image}` (the workload image), `${serviceAccount}` (of the runner's kubeconfig),
 * `${runner.main}` (the program of the harness's own runner, or of a twin of it), `${claim}` (a claim that the harness
 * makes for the capability `shared-claim`). The files of `manifests` also have `${config}` and `${runner.image}` (the
 * reference runner's, fixtures/images/job-runner).
 */
const shape = z.strictObject({
  ...targetBase,
  role: z.literal('job-runner'),
  capabilities: z.array(z.enum(JOB_RUNNER_CAPABILITIES)).default([]),

  start: z.union([
    /**
     * A child process that speaks JSON lines on stdin and stdout (fixtures/workloads/job-runner/README.md has every
     * line). Its settings are a JSON file named by `RUNNER_CONFIG`, its kubeconfig is named by `KUBECONFIG`. `node` is
     * the Node of the harness; an argument that begins with `./` or `../` is a path relative to the target file.
     */
    z.strictObject({
      command: z.array(text).min(1),
      protocol: z.literal('json-lines'),
      env: z.record(z.string(), z.string()).default({}),
    }),
    /**
     * A TypeScript module, relative to the target file, that exports `driver` (harness/roles/job-runner/driver.ts): for
     * every other protocol.
     */
    z.strictObject({
      module: text,
      /** Handed to the driver as they are. */
      options: z.record(z.string(), z.unknown()).default({}),
      env: z.record(z.string(), z.string()).default({}),
    }),
    /**
     * In the cluster, by its `manifests`: it runs as a ServiceAccount that is bound to `rules`. `${config}` in them is
     * its settings as JSON. Work goes to this Service through the API server's proxy: `POST /requests` takes a line,
     * `GET /events?after=N` gives them, each with its `number` (fixtures/workloads/job-runner/README.md has every
     * line); `headers` go with both.
     */
    z.strictObject({
      service: text,
      port: z.number().int().positive(),
      protocol: z.literal('http'),
      headers: z.record(z.string(), z.string()).default({}),
      env: z.record(z.string(), z.string()).default({}),
    }),
  ]),
  /** Longest time from its start to being ready. */
  startSeconds: seconds.default(60),

  /**
   * Objects that the harness makes in the namespace before the first start, in this order: what the runner's deployment
   * would bring.
   */
  objects: z.array(z.record(z.string(), z.unknown())).default([]),
  /** Pod Security level that the runner's namespace needs; the rows of hardening say what they think of it. */
  podSecurity: z.enum(['restricted', 'baseline', 'privileged']).default('restricted'),
  /**
   * The runner's own deployment, as its agents see it (capabilities `inherit`, `shared-claim`, `session`): a pod among
   * `objects`, there or here. Those rows are evaluated in a namespace with the objects, rights and settings of this
   * part beside all others.
   */
  deployment: z
    .strictObject({
      pod: text,
      container: text,
      /** Where the shared claim is mounted, there and in the Jobs. */
      claimMountPath: text.optional(),
      /** The shared claim, by its name; harness and runner share it. */
      claim: text.optional(),
      /** What a Job's pod takes from the deployment's. */
      inherits: z
        .array(z.enum(['image', 'imagePullSecrets', 'dns', 'secretVolumes', 'value', 'valueFrom', 'envFrom']))
        .default([]),
      objects: z.array(z.record(z.string(), z.unknown())).default([]),
      rules: z.array(policyRuleSchema).default([]),
      settings: z.record(z.string(), z.unknown()).default({}),
    })
    .optional(),

  /**
   * The runner's own deployment as it is installed (WH-07): YAML files, relative to the target file, as a chart renders
   * them. ServiceAccounts, Roles and their bindings in them are passed over: the harness binds the ServiceAccount that
   * the runner gets to `rules`.
   */
  manifests: z
    .strictObject({
      files: z.array(text).min(1),
      /** Name of the Deployment or StatefulSet. */
      workload: text,
      /** The runner's container in it. */
      container: text,
      /** How many replicas it documents; absent: nothing, and as many as there are is right. */
      replicas: z.number().int().positive().optional(),
      /** Variables of that container that are credentials. */
      credentials: z.array(text).default([]),
      /** Why its root file system is writable; absent: it is to be read-only. */
      writableRootFilesystem: text.optional(),
      /**
       * It becomes Ready with these files and `objects` alone, and its images are in this host's engine or can be
       * pulled: WH-07 runs it.
       */
      run: z.boolean().default(false),
    })
    .optional(),

  /** How its objects are found: label selectors, as the API server takes them. */
  selectors: z.strictObject({ jobs: labelSelector, pods: labelSelector }),
  /** The agent's container in a task's pod. */
  container: text,
  /**
   * Where the agent finds its prompt: `stdin`, `env:NAME`, `file:PATH`, `arg:N`, or `none` where the runner does not
   * deliver it.
   */
  prompt: z.string().regex(/^(stdin|env:.+|file:.+|arg:\d+|none)$/, 'stdin, env:NAME, file:PATH, arg:N or none'),

  /** The rights that its documentation asks for: the kubeconfig has these and no others. */
  rules: z.strictObject({
    /** A Role in the namespace of its Jobs. */
    namespaced: z.array(policyRuleSchema).default([]),
    /** A ClusterRole, where it needs one. */
    cluster: z.array(policyRuleSchema).default([]),
    /**
     * What it needs beyond that and does not document: given in its namespace wherever something else is evaluated than
     * its documentation, which would end every session otherwise. RB-20 is evaluated without.
     */
    undocumented: z.array(policyRuleSchema).default([]),
    /** Documented rights of modes and settings that this file does not use: not exercised, and no surplus (RB-21). */
    unexercised: z.array(policyRuleSchema.extend({ why: text })).default([]),
    /** What of these reaches further than an agent's work does, and why it is needed (RB-22). */
    declared: z.partialRecord(z.enum(SENSITIVE_RIGHTS), text).default({}),
  }),
  /** ServiceAccounts that its pods may have; absent: the one of a task that asks for none. */
  serviceAccounts: z.array(text).min(1).optional(),
  /** Declared exceptions of hardening, by the container's name. */
  privilegedInitContainers: z.array(text).default([]),
  /** Its agents' pods have an API token on purpose. */
  apiTokenInPods: z.boolean().default(false),

  /** What it documents to do, where runners differ. */
  documented: z.strictObject({
    /** With its running Jobs on SIGTERM, and how long that takes at most; absent: as long as a pod has (30 s). */
    onSigterm: z.strictObject({
      jobs: z.enum(['delete', 'preserve', 'undocumented']),
      withinSeconds: seconds.optional(),
    }),
    /** Never more than `count` tasks of one `per` at once; `settings`: as many as it is configured for. */
    limits: z
      .array(
        z.strictObject({
          per: z.enum(['worker', 'agent']),
          count: z.union([z.number().int().positive(), z.literal('settings')]),
          surplus: z.enum(['refused', 'queued']),
          /** Further settings under which this limit holds. */
          settings: z.record(z.string(), z.unknown()).optional(),
        }),
      )
      .default([]),
    /**
     * Finished Jobs and all that belongs to them are gone so long after the end was reported, by its own act or by TTL.
     */
    cleanUp: z.strictObject({
      withinSeconds: seconds.max(120, 'configure it to clean up sooner: it is waited for'),
      retain: z.enum(['settings', 'task', 'none']).default('none'),
      /** What is retained stays so long; for good, where nothing is said. */
      retainedSeconds: seconds.optional(),
    }),
    /** Seconds until it reports a fault of a pod; 120 where none is given. */
    faultSeconds: z.partialRecord(z.enum(POD_FAULTS), seconds).default({}),
    /** Who sets a time limit (capability `timeout`): each task its own, or its settings one for all. */
    timeout: z.enum(['task', 'settings']).default('task'),
    /** Bytes of one log that it documents to read at most; absent: it documents no limit. */
    logLimitBytes: z.number().int().positive().optional(),
    /** Resources of the agent's container where nothing else is asked, and who may override them. */
    resources: resourcesSchema
      .extend({
        overriddenBy: z.array(z.enum(['settings', 'task'])).default([]),
        /**
         * Its own defaults, where the target file asks for less than they are: under these further settings it is left
         * to them.
         */
        defaults: resourcesSchema.extend({ settings: z.record(z.string(), z.unknown()) }).optional(),
      })
      .default({ overriddenBy: [] }),
    /** What it documents to do with a key of its configuration that it does not know. */
    unknownKeys: z.enum(['refused', 'ignored']).optional(),
    /** Settings that contradict one another, and the field that its refusal names. */
    contradictions: z.array(z.strictObject({ settings: z.record(z.string(), z.unknown()), field: text })).default([]),
    /** After a restart it takes up what it preserved (JL-32). */
    reattaches: z.boolean().default(true),
  }),
});

export const jobRunnerTargetSchema = shape.refine(
  ({ start, manifests }) => !('service' in start) || manifests !== undefined,
  {
    path: ['manifests'],
    message: '`start.service` needs them: what is to be started is there',
  },
);
