import type Docker from 'dockerode';
import type { Endpoint } from './endpoint.ts';

/** Label on an engine that set-up started (`docker info`, Labels). */
export const ENGINE_LABEL = 'kube-agent-conformance.engine=true';

/** A container engine that answers. */
export type Engine = {
  readonly docker: Docker;
  readonly endpoint: Endpoint;
  readonly version: string;
  readonly operatingSystem: string;
  readonly storageDriver: string;
  readonly cgroupVersion: string;
  readonly dataRoot: string;
  readonly defaultRuntime: string;
  /** Started by set-up. */
  readonly ours: boolean;
};

/**
 * Deadline of one question to an engine, milliseconds: a host at full load takes seconds, a dead socket answers at
 * once.
 */
const ANSWER_DEADLINE = 20_000;

/** An endpoint without an engine that answers, and why. */
export type Silent = {
  readonly endpoint: Endpoint;
  readonly reason: string;
  /** Something is there that took the question and did not answer in time. */
  readonly busy: boolean;
};

/** A client for an endpoint; nothing is asked yet. */
async function connect(endpoint: Endpoint): Promise<Docker> {
  // Loaded here, so that the commands that need no engine start at once.
  const { default: Client } = await import('dockerode');
  if (endpoint.host.startsWith('unix://')) {
    return new Client({ socketPath: endpoint.host.slice('unix://'.length) });
  }
  // dockerode reads hosts, TLS files and SSH users from the variables that the docker client defines.
  process.env.DOCKER_HOST = endpoint.host;
  return new Client();
}

/**
 * Asks the endpoints in turn and gives the first engine that answers.
 * `silent` says why each of the others did not.
 */
export async function findEngine(
  endpoints: readonly Endpoint[],
): Promise<{ engine: Engine | undefined; silent: Silent[] }> {
  const silent: Silent[] = [];
  for (const endpoint of endpoints) {
    const answer = await askEngine(endpoint);
    if ('engine' in answer) {
      return { engine: answer.engine, silent };
    }
    silent.push({ endpoint, ...answer });
  }
  return { engine: undefined, silent };
}

/** One question to one endpoint. */
export async function askEngine(endpoint: Endpoint): Promise<{ engine: Engine } | { reason: string; busy: boolean }> {
  try {
    const docker = await connect(endpoint);
    const info: EngineInfo = await within(ANSWER_DEADLINE, docker.info());
    return {
      engine: {
        docker,
        endpoint,
        version: info.ServerVersion ?? 'unknown',
        operatingSystem: info.OperatingSystem ?? 'unknown',
        storageDriver: info.Driver ?? 'unknown',
        cgroupVersion: info.CgroupVersion ?? '1',
        dataRoot: info.DockerRootDir ?? '',
        defaultRuntime: info.DefaultRuntime ?? 'runc',
        ours: (info.Labels ?? []).includes(ENGINE_LABEL),
      },
    };
  } catch (error) {
    return { reason: error instanceof Error ? error.message : String(error), busy: error instanceof NoAnswer };
  }
}

/** The part of GET /info (Docker Engine API v1.41) that is read. */
type EngineInfo = {
  ServerVersion?: string;
  OperatingSystem?: string;
  Driver?: string;
  CgroupVersion?: string;
  DockerRootDir?: string;
  DefaultRuntime?: string;
  Labels?: string[] | null;
};

class NoAnswer extends Error {}

async function within<T>(deadline: number, answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new NoAnswer(`no answer within ${deadline / 1000} s`)), deadline);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}
