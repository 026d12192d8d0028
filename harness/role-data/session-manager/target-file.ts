import { z } from 'zod';
import { policyRuleSchema, SENSITIVE_RIGHTS } from '../../core/policy-rule.ts';
import { targetBase } from '../target-base.ts';

const text = z.string().trim().min(1);
const seconds = z.number().positive();

/** Abilities that requirements ask for, of a manager that is driven by HTTP: each is the operations that it needs. */
export const SESSION_MANAGER_CAPABILITIES = {
  /** Reports and takes its configuration. */
  configuration: ['getConfiguration', 'configure'],
  /** Tests its connection to the cluster. */
  'connection-test': ['testConnection'],
  pods: ['createPod', 'getPod', 'listPods', 'deletePod'],
  logs: ['readLogs'],
  exec: ['exec'],
  'clean-up': ['cleanUp'],
  services: ['createService', 'getService', 'listServices', 'deleteService'],
} as const satisfies Record<string, readonly string[]>;

export type HttpCapability = keyof typeof SESSION_MANAGER_CAPABILITIES;
const HTTP_CAPABILITIES = Object.keys(SESSION_MANAGER_CAPABILITIES) as HttpCapability[];
export type OperationName = (typeof SESSION_MANAGER_CAPABILITIES)[HttpCapability][number];

/** What each operation is given, by the names that placeholders have, and what is read from its answer. */
export const OPERATIONS = {
  getConfiguration: { input: [], answer: ['enabled', 'namespace', 'kubeconfig'] },
  configure: { input: ['enabled', 'namespace', 'kubeconfig'], answer: [] },
  testConnection: { input: ['namespace'], answer: ['connected', 'error'] },
  createPod: {
    input: [
      'name',
      'namespace',
      'image',
      'command',
      'args',
      'env',
      'secretEnv',
      // Both of them, for a manager that does not tell them apart.
      'variables',
      'labels',
      'mountPath',
      'hostPath',
      'serviceAccount',
    ],
    answer: [],
  },
  getPod: { input: ['name', 'namespace'], answer: ['name', 'phase'] },
  listPods: { input: ['namespace', 'labelSelector'], answer: ['items', 'name', 'phase', 'ready', 'image'] },
  deletePod: { input: ['name', 'namespace'], answer: [] },
  readLogs: { input: ['name', 'namespace', 'tailLines'], answer: ['text'] },
  exec: {
    input: ['name', 'namespace', 'command', 'stdin', 'timeoutSeconds'],
    answer: ['exitCode', 'stdout', 'stderr'],
  },
  cleanUp: { input: ['namespace', 'maxAgeMs'], answer: ['deleted'] },
  createService: { input: ['name', 'namespace', 'selector', 'ports', 'type'], answer: [] },
  getService: { input: ['name', 'namespace'], answer: ['name'] },
  listServices: { input: ['namespace'], answer: ['items', 'name'] },
  deleteService: { input: ['name', 'namespace'], answer: [] },
} as const satisfies Record<OperationName, { input: readonly string[]; answer: readonly string[] }>;

const pointer = z
  .string()
  .regex(/^(\/([^~]|~[01])*)?$/, 'a JSON Pointer (RFC 6901): it begins with a slash, or is empty for the whole answer');

function operation<Name extends OperationName>(name: Name) {
  const known: readonly string[] = OPERATIONS[name].answer;
  return z.strictObject({
    method: z.enum(['GET', 'POST', 'PUT', 'PATCH', 'DELETE']),
    /** Below `http.basePath`; what a placeholder stands for is percent-encoded. */
    path: z.string().startsWith('/'),
    /** A parameter whose placeholder has no value in a call is left out. */
    query: z.record(text, text).default({}),
    /** JSON; a key whose placeholder has no value in a call is left out. */
    body: z.unknown().optional(),
    /** Where a successful answer has what is read from it. `/KEY` of a list is looked up in each of its `items`. */
    answer: z
      .record(text, pointer)
      .default({})
      .refine((answer) => Object.keys(answer).every((key) => key === 'succeeded' || known.includes(key)), {
        message: `known here: ${['succeeded', ...known].join(', ')}`,
      }),
  });
}

export type HttpOperation = z.infer<ReturnType<typeof operation>>;

const operationsSchema = z.strictObject({
  getConfiguration: operation('getConfiguration').optional(),
  configure: operation('configure').optional(),
  testConnection: operation('testConnection').optional(),
  createPod: operation('createPod').optional(),
  getPod: operation('getPod').optional(),
  listPods: operation('listPods').optional(),
  deletePod: operation('deletePod').optional(),
  readLogs: operation('readLogs').optional(),
  exec: operation('exec').optional(),
  cleanUp: operation('cleanUp').optional(),
  createService: operation('createService').optional(),
  getService: operation('getService').optional(),
  listServices: operation('listServices').optional(),
  deleteService: operation('deleteService').optional(),
});

/** What both forms say. */
const common = {
  ...targetBase,
  role: z.literal('session-manager'),
  /** Pod Security level that the namespace of its sessions needs; the rows of hardening say what they think of it. */
  podSecurity: z.enum(['restricted', 'baseline', 'privileged']).default('restricted'),
  /** The rights that its documentation asks for: it gets these and no others. */
  rules: z.strictObject({
    /** A Role in the namespace of its sessions. */
    namespaced: z.array(policyRuleSchema).default([]),
    /** A ClusterRole, where it needs one. */
    cluster: z.array(policyRuleSchema).default([]),
    /**
     * What it needs beyond that and does not document: given wherever something else is evaluated than its
     * documentation (RB-20).
     */
    undocumented: z.array(policyRuleSchema).default([]),
    /** What of these reaches further than a session does, and why it is needed (RB-22). */
    declared: z.partialRecord(z.enum(SENSITIVE_RIGHTS), text).default({}),
  }),
  /** ServiceAccounts that its sessions may have. */
  serviceAccounts: z.array(text).default(['default']),
  /** Its sessions' pods have an API token on purpose. */
  apiTokenInPods: z.boolean().default(false),
};

/**
 * A manager that is called by HTTP. Everywhere in `start` these stand for what a run knows: `${port}` and
 * `${secondPort}` (free, on loopback), `${folder}` (a folder of its own, the same after a restart),
 * `${target.folder}` (of this file), `${kubeconfig}` (a path), `${clusterCa}` (the path of the API server's certificate
 * authority, PEM), `${namespace}`, `${token}` (a secret of the run), `${image}` (the workload image). In `http` there
 * are `${token}` and the input of the operation ({@link OPERATIONS}).
 */
const httpSchema = z.strictObject({
  ...common,
  form: z.literal('http'),
  capabilities: z.array(z.enum([...HTTP_CAPABILITIES, 'in-cluster'])),
  /**
   * A child process, ended by its process group. `node` is the Node of the harness; an argument that begins with `./`
   * or `../` is relative to this file.
   */
  start: z.strictObject({
    command: z.array(text).min(1),
    env: z.record(z.string(), z.string()).default({}),
    /** Working directory, relative to this file; default: `${folder}`. */
    cwd: text.optional(),
    /** A GET that answers 2xx once it can be called. */
    ready: z.string().startsWith('/'),
  }),
  /** Longest time from its start to being ready. */
  startSeconds: seconds.default(60),
  http: z.strictObject({
    basePath: z
      .string()
      .regex(/^(\/.*[^/])?$/, 'begins with a slash and ends without one')
      .default(''),
    headers: z.record(text, text).default({}),
    /** What an authenticated caller sends beside that. Absent: it knows no callers. */
    authentication: z.strictObject({ headers: z.record(text, text) }).optional(),
    /** Longest time of one answer. */
    timeoutSeconds: seconds.default(30),
    operations: operationsSchema,
  }),
  /**
   * As it is installed in a cluster (capability `in-cluster`, WH-07m): YAML files, relative to this file.
   * ServiceAccounts, Roles and bindings in them are passed over.
   */
  manifests: z
    .strictObject({
      files: z.array(text).min(1),
      /** Name of the Deployment or StatefulSet, and its container. */
      workload: text,
      container: text,
      /** The Service that it is called by, through the API server's proxy. */
      service: text,
      port: z.number().int().positive(),
      /** Objects beside them, for example the Secret with its token. */
      objects: z.array(z.record(z.string(), z.unknown())).default([]),
      /** How many replicas it documents; absent: nothing, and as many as there are is right. */
      replicas: z.number().int().positive().optional(),
      /** Variables of that container that are credentials. */
      credentials: z.array(text).default([]),
      /** Why its root file system is writable; absent: it is to be read-only. */
      writableRootFilesystem: text.optional(),
    })
    .optional(),
  documented: z.strictObject({
    /** Of a configuration that nobody has changed. */
    configuration: z.strictObject({ enabled: z.boolean(), namespace: text }).partial().default({}),
    pod: z
      .strictObject({
        container: text,
        restartPolicy: z.enum(['Always', 'OnFailure', 'Never']),
        /** That it gives each pod. */
        labels: z.record(text, text).default({}),
        /** Name of the hostPath volume that a pod has with a mount path and a host path, and with both only. */
        hostPathVolume: text.optional(),
      })
      .optional(),
    /** The label that tells its pods from others, whatever labels a caller asks for (SM-08, SM-10). */
    ownerLabel: text.optional(),
    service: z
      .strictObject({
        type: text.default('ClusterIP'),
        protocol: text.default('TCP'),
        labels: z.record(text, text).default({}),
      })
      .prefault({}),
  }),
});

const refinedHttpSchema = httpSchema.superRefine(({ capabilities, http, manifests, documented }, context) => {
  const refuse = (path: (string | number)[], message: string): void =>
    context.addIssue({ code: 'custom', path, message });
  for (const capability of HTTP_CAPABILITIES) {
    const names = SESSION_MANAGER_CAPABILITIES[capability];
    const missing = names.filter((name) => http.operations[name] === undefined);
    if (capabilities.includes(capability) && missing.length > 0) {
      refuse(['http', 'operations'], `the capability \`${capability}\` needs ${missing.join(', ')}`);
    }
    const described = names.filter((name) => http.operations[name] !== undefined);
    if (!capabilities.includes(capability) && described.length > 0) {
      refuse(['capabilities'], `${described.join(', ')} is described, and \`${capability}\` is not declared`);
    }
  }
  if (capabilities.includes('in-cluster') && manifests === undefined) {
    refuse(['manifests'], 'the capability `in-cluster` needs them');
  }
  if (capabilities.includes('pods') && documented.pod === undefined) {
    refuse(['documented', 'pod'], 'the capability `pods` needs it: what a pod is to look like');
  }
  if (capabilities.includes('clean-up') && documented.ownerLabel === undefined) {
    refuse(['documented', 'ownerLabel'], 'the capability `clean-up` needs it: by what its own pods are told');
  }
});

/** Abilities of a manager whose sessions are custom resources. */
export const SESSION_CAPABILITIES = [
  /** Makes what a session needs, says when it is ready, and removes it. */
  'sessions',
  /** Ends a session's pod and brings it back. */
  'suspend',
  /** Ends a session at a time. */
  'expiry',
] as const;

/** A condition of the status that says something of a session. */
const conditionSchema = z.strictObject({
  type: text,
  status: z.enum(['True', 'False', 'Unknown']).default('True'),
  reason: text.optional(),
});

const fieldPath = z
  .string()
  .regex(/^(\/([^/~]|~[01])+)+$/, 'a JSON Pointer into the object, for example /spec/suspend');

/**
 * A manager whose sessions are objects of a custom resource. In
 * `start` these stand for what a run knows: `${namespace}`, `${kubeconfig}`, `${replica}` (a name for each process),
 * `${folder}`, `${target.folder}`; in `resource.template` `${name}`, `${namespace}`, `${labels}` (of the pod),
 * `${podSpec}` (a PodSpec) and `${claims}` (a list of volume claim templates, or nothing); in
 * `documented.names` `${name}`, `${namespace}` and `${claim}`.
 */
const customResourceSchema = z.strictObject({
  ...common,
  form: z.literal('custom-resource'),
  capabilities: z.array(z.enum(SESSION_CAPABILITIES)),
  /**
   * Files that are applied to the cluster before the first session, relative to this file: the CRD, and the controller
   * where it runs in the cluster.
   */
  install: z.strictObject({
    files: z.array(text).default([]),
    /** The Deployment that is to be available, or the StatefulSet. Absent: the controller is a process (`start`). */
    deployment: z
      .strictObject({ namespace: text, name: text, kind: z.enum(['Deployment', 'StatefulSet']).default('Deployment') })
      .optional(),
    /** Longest time until it is. */
    seconds: seconds.default(120),
    /** Longest time until one of its pods leads when the leader was killed. */
    takeoverSeconds: seconds.default(30),
  }),
  /** The controller as child processes, each with the rights of `rules`. */
  start: z
    .strictObject({
      command: z.array(text).min(1),
      env: z.record(z.string(), z.string()).default({}),
      /** So many at once, of which one leads. */
      replicas: z.number().int().positive().default(1),
      /** Longest time until another leads when the leader was killed. */
      takeoverSeconds: seconds.default(30),
    })
    .optional(),
  resource: z.strictObject({
    apiVersion: z.string().regex(/^[^/]+\/[^/]+$/, 'group and version, for example example.org/v1'),
    kind: text,
    /** As in the API's paths. */
    plural: text,
    /** Everything of a session's object but `apiVersion`, `kind` and its name. */
    template: z.record(z.string(), z.unknown()),
    /** What is changed to suspend and resume a session (capability `suspend`). */
    suspend: z.strictObject({ field: fieldPath, suspended: z.unknown(), running: z.unknown() }).optional(),
    /** The field for the time of its end, and for what becomes of the record then (capability `expiry`). */
    expiry: z
      .strictObject({
        time: fieldPath,
        policy: z.strictObject({ field: fieldPath, retain: z.unknown(), delete: z.unknown() }).optional(),
      })
      .optional(),
    conditions: z.strictObject({
      ready: conditionSchema,
      suspended: conditionSchema.optional(),
      finished: conditionSchema.optional(),
      expired: conditionSchema.optional(),
    }),
  }),
  documented: z.strictObject({
    names: z.strictObject({ pod: text, claim: text.optional(), service: text.optional() }),
    /** What becomes of a session whose pod is lost. */
    lostPod: z.enum(['recreated', 'failed']),
    /** What becomes of its claims when it is ended. */
    claimsAtEnd: z.enum(['deleted', 'kept']).default('deleted'),
  }),
});

const refinedCustomResourceSchema = customResourceSchema.superRefine(
  ({ capabilities, install, start, resource }, context) => {
    const refuse = (path: string[], message: string): void => context.addIssue({ code: 'custom', path, message });
    if (start === undefined && install.deployment === undefined) {
      refuse(['start'], 'neither `start` nor `install.deployment`: what runs the controller?');
    }
    if (capabilities.includes('suspend') && (resource.suspend ?? resource.conditions.suspended) === undefined) {
      refuse(['resource', 'suspend'], 'the capability `suspend` needs it, and `resource.conditions.suspended`');
    }
    if (capabilities.includes('expiry') && resource.expiry === undefined) {
      refuse(['resource', 'expiry'], 'the capability `expiry` needs it');
    }
  },
);

/** A target file of the role `session-manager`, in one of two forms. */
export const sessionManagerTargetSchema = z.discriminatedUnion('form', [
  refinedHttpSchema,
  refinedCustomResourceSchema,
]);
