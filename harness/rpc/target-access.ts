import { z } from 'zod';
import type { PolicyRule } from '../core/policy-rule.ts';

export interface TargetAccessOptions {
  /** Where the ServiceAccount lives and its Role holds. */
  namespace: string;
  /** Name of the ServiceAccount, its Role and its RoleBinding; default: `target`, with a number. */
  serviceAccount?: string;
  /** Of its Role. */
  rules: PolicyRule[];
  /** Of a Role in other namespaces that it works in, by their name. */
  elsewhere?: Record<string, PolicyRule[]>;
  /** Of a ClusterRole, where it documents one. */
  clusterRules?: PolicyRule[];
}

/**
 * How a target reaches the API server: as a ServiceAccount that is bound to exactly its rules, through the recording
 * proxy. Plain data.
 */
export interface TargetAccessData {
  /** Tells it from others of the run. */
  id: string;
  namespace: string;
  serviceAccount: string;
  /** `system:serviceaccount:NAMESPACE:NAME`. */
  user: string;
  /** Kubeconfig, YAML: for a child process on this host. Its current context has the namespace. */
  kubeConfig: string;
  /**
   * For a pod that runs as the ServiceAccount: these two variables lead its in-cluster configuration to the proxy. On
   * the harness's own clusters alone.
   */
  inCluster?: { KUBERNETES_SERVICE_HOST: string; KUBERNETES_SERVICE_PORT: string };
}

/** What the recording proxy can do to a target's requests. */
export const API_FAULT_KINDS = [
  /** 429 with Retry-After. */
  'too-many-requests',
  /** 500. */
  'server-error',
  /** The request waits before it is sent on. */
  'latency',
  /** Open connections are reset, and new ones are refused; with `times`, so many new ones are reset. */
  'outage',
  /** Open watches end in mid-stream; those opened while the fault lasts end after a while. */
  'cut-watch',
  /**
   * 410 Gone: an ERROR event in a watch that begins at a resourceVersion, also in an open one; the status itself for a
   * list that continues or names an exact version.
   */
  'expired',
  /** A log ends after so many bytes, or in the middle of a text. */
  'cut-log',
  /**
   * What is read once is answered the same way again, as where the controllers have not come to it yet; watches go on.
   */
  'stale',
  /** No fault: a Job or pod that it creates gets further containers, as from a mutating webhook. */
  'inject-containers',
] as const;

export const apiFaultSchema = z.strictObject({
  kind: z.enum(API_FAULT_KINDS),
  /** Only requests with one of these verbs. */
  verbs: z.array(z.string()).optional(),
  /**
   * Only requests for one of these resources, as a Role spells them: `jobs`, `pods/log`. Without verbs and resources:
   * all, discovery too.
   */
  resources: z.array(z.string()).optional(),
  /** Begins so many seconds after it was set; default: at once. */
  afterSeconds: z.number().min(0).optional(),
  /** Lasts so many seconds; default: until other faults are set. */
  forSeconds: z.number().positive().optional(),
  /** Happens to at most so many requests (an outage: connections); default: to all. */
  times: z.number().int().positive().optional(),
  /**
   * Retry-After (default 1), the latency (default 1), the life of a watch that is opened under `cut-watch` (default 1).
   */
  seconds: z.number().min(0).optional(),
  /** `cut-log`: how many bytes come through; default 1. */
  bytes: z.number().int().min(0).optional(),
  /** `cut-log`: instead, it ends in the middle of this text, whatever stands around it. */
  within: z.string().min(2).optional(),
  /** `inject-containers`: of the pod; JSON requests alone. */
  containers: z.array(z.record(z.string(), z.unknown())).optional(),
  initContainers: z.array(z.record(z.string(), z.unknown())).optional(),
  /** `cut-watch`, `cut-log`: the answer ends as if it were whole, and not by a reset of its connection. */
  clean: z.boolean().optional(),
});

export type ApiFault = z.infer<typeof apiFaultSchema>;
