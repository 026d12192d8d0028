/**
 * What the harness and a job runner under test exchange, in neutral words. A driver translates it into the runner's own
 * protocol; it evaluates nothing, hides nothing and repeats nothing.
 *
 * A driver that is a module of its own (`start.module` of the target file) exports it as `driver`:
 *
 *     export const driver: JobRunnerDriver = { async start(options) { … } };
 */

/** Work for an agent. Every text may hold any character. */
export interface Task {
  /** Names it in every event. A runner with ids of its own maps them in its driver. */
  id: string;
  /** The agent that it is work of. */
  agent: string;
  prompt: string;
  /** Absent: {@link RunnerSettings.image}. */
  image?: string;
  /** Variables of the agent's container. */
  env?: Record<string, string>;
  /** The same; the values are secret, and `KEY` is all that may be seen of them. */
  secretEnv?: Record<string, string>;
  timeoutSeconds?: number;
  /** Kubernetes' resource requirements; a part that is absent keeps the runner's default. */
  resources?: ResourceSettings;
  /** Id of a session to go on with, as an earlier end reported it. */
  session?: string;
  /** The finished Job is kept, where the runner can do so for one task. */
  retain?: boolean;
  /**
   * The ServiceAccount that the caller wants the pod to have: a runner that lets callers choose must refuse what it
   * does not declare.
   */
  serviceAccount?: string;
}

export interface ResourceSettings {
  requests?: Record<string, string>;
  limits?: Record<string, string>;
}

/**
 * How the runner is to be set up. Absent: its default. A setting that a runner does not have is ignored by its driver.
 */
export interface RunnerSettings {
  /** Where its Jobs go. */
  namespace: string;
  /** Tells this worker's objects from another's. The same again after a restart. */
  workerId: string;
  /** Image of the agents where a task names none: fixtures/images/workload, which obeys its environment. */
  image: string;
  /** `IfNotPresent`: the nodes have the image, and no registry does. */
  imagePullPolicy: string;
  /** Tasks at once. */
  maxConcurrentTasks?: number;
  /** Finished Jobs are kept. */
  retain?: boolean;
  /** Kubernetes PodSpec that it merges into its pods (capability `pod-template`). */
  podTemplate?: Record<string, unknown>;
  /** Defaults for all tasks. */
  resources?: ResourceSettings;
  timeoutSeconds?: number;
  /**
   * Further keys of its own configuration, as the target file's `contradictions` give them, or one that it does not
   * know.
   */
  extra?: Record<string, unknown>;
}

/** What a runner reports. `at` (milliseconds since the epoch) is when the driver received it. */
export type RunnerEvent = { at: number } & (
  | { type: 'claimed'; task: string }
  /** It does not take the task: `reason` as the runner says it. */
  | { type: 'refused'; task: string; reason: string }
  /** Output of the agent as it arrived: any number of lines, and parts of lines. */
  | { type: 'output'; task: string; text: string }
  | ({ type: 'ended'; task: string } & TaskEnd)
  /** A line of the runner's own output, stderr too. */
  | { type: 'log'; text: string }
);

export interface TaskEnd {
  /** `failed` where it reports no more than that; `cancelled` and `timeout` where it distinguishes them. */
  outcome: 'succeeded' | 'failed' | 'cancelled' | 'timeout';
  /** Of the agent's container, where it reports one. */
  exitCode?: number;
  /** Why, in its own words. */
  reason?: string;
  /** Id of the session, for a later task (capability `session`). */
  session?: string;
}

/** What came of the start. */
export type Readiness =
  /** It accepts work. A runner that does not report it is ready when it takes connections or calls. */
  | { ready: true; at: number; warnings?: string[] }
  /** It refuses to, or has exited: with its reason. */
  | { ready: false; at: number; reason: string };

export interface RunnerExit {
  at: number;
  code: number | null;
  signal: string | null;
}

export interface StartOptions {
  settings: RunnerSettings;
  /**
   * Path of a kubeconfig with the runner's documented rights and no others; its server may be a proxy of the harness's.
   */
  kubeconfig: string;
  /** Variables for the runner's process: the target file's `env`, filled in, and those of the harness. */
  env: Record<string, string>;
  /** `options` of the target file, filled in. */
  options: Record<string, unknown>;
  /** Folder of the target file: relative paths in its options start here. */
  folder: string;
  /** A new empty folder for files of the driver's. It goes when the runner is stopped; a restart gets the same. */
  workFolder: string;
  /**
   * Runs a command in the container of the runner's own deployment (`deployment` of the target file), as soon as its
   * pod is ready; by the rights of the harness, and not of the runner. For files of a claim that only that pod has.
   */
  inDeployment?: (command: string[]) => Promise<{ exitCode: number; stdout: string; stderr: string }>;
  onEvent: (event: RunnerEvent) => void;
  /** Aborted when the run is broken off. */
  signal: AbortSignal;
}

/** A runner that was started: one process, its children, and what its driver runs alongside. */
export interface StartedJobRunner {
  /**
   * Settles when the runner accepts work or reports that it will not; rejects for a fault of the driver's own. The
   * harness has the deadline.
   */
  readonly readiness: Promise<Readiness>;
  readonly exited: Promise<RunnerExit>;
  /**
   * Hands a task over, and does not wait for its end. Every task gets `claimed` or `refused`, where the runner reports
   * that, and `ended`.
   */
  submit(task: Task): Promise<void>;
  /** Asks for a task's end (capability `cancel`). */
  cancel(task: string): Promise<void>;
  /** Sends a signal to the runner's process alone, as a kubelet does. */
  signal(name: 'SIGTERM' | 'SIGKILL'): void;
  /** Resident memory of the runner's process in bytes; absent where the driver cannot know. */
  memoryBytes?(): Promise<number | undefined>;
  /** Ends the process group and all that the driver runs. May be called again, and after the exit. */
  stop(): Promise<void>;
}

export interface JobRunnerDriver {
  /**
   * @throws Error for a fault of the driver; a runner that refuses to start reports that by {@link
   * StartedJobRunner.readiness}
   */
  start(options: StartOptions): Promise<StartedJobRunner>;
}
