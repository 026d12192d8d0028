import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type Docker from 'dockerode';
import { getContainerRuntimeClient, StartedNetwork } from 'testcontainers';
import { describeError } from '../core/errors.ts';
import { RUN_LABEL } from '../core/names.ts';
import { redact } from '../core/redact.ts';
import { isFromHere, knownRuns, leaveRun, liveRuns } from './live-runs.ts';

/** A network of the run's own: the constant names of its servers cannot meet those of another run. */
export async function startNetwork(runId: string): Promise<StartedNetwork> {
  const client = await getContainerRuntimeClient();
  const name = `kube-agent-conformance-${runId}`;
  const network = await client.container.dockerode.createNetwork({ Name: name, Labels: { [RUN_LABEL]: runId } });
  return new StartedNetwork(client, name, network);
}

/**
 * Address of the engine's host on a network: where a pod or a container reaches a server of the harness's own process.
 */
export async function gatewayOf(network: StartedNetwork): Promise<string> {
  const client = await getContainerRuntimeClient();
  const details = (await client.container.dockerode.getNetwork(network.getId()).inspect()) as {
    IPAM?: { Config?: { Gateway?: string }[] };
  };
  const gateway = details.IPAM?.Config?.[0]?.Gateway;
  if (gateway === undefined) {
    throw new Error(`the network ${network.getName()} has no gateway address`);
  }
  return gateway;
}

/**
 * Reports when a container of the run ends, by the engine's own events, with the last lines that it wrote.
 *
 * @param isExpected asked at once: what ends because the run is being stopped is not reported
 * @returns ends the watch
 */
export async function onContainerEnd(
  runId: string,
  isExpected: () => boolean,
  report: (message: string) => void,
): Promise<() => void> {
  const { dockerode } = (await getContainerRuntimeClient()).container;
  const filters = { label: [`${RUN_LABEL}=${runId}`], event: ['die'] };
  const stream = (await dockerode.getEvents({ filters: JSON.stringify(filters) })) as Readable;
  createInterface({ input: stream }).on('line', async (line) => {
    if (isExpected()) {
      return;
    }
    const { Actor } = JSON.parse(line) as { Actor: { ID: string; Attributes: { image?: string; exitCode?: string } } };
    const { image, exitCode } = Actor.Attributes;
    const lines = await lastLinesOf(dockerode.getContainer(Actor.ID));
    report(`a container of ${image} has ended with code ${exitCode}; its last lines:\n${lines}`);
  });
  // A watch that breaks is no reason to end the run: each part is asked at its end whether it is alive.
  stream.on('error', () => undefined);
  return () => stream.destroy();
}

/** How many lines of a container's log are kept for a message. */
const KEPT_LINES = 20;

/** The end of a container's log, or why it cannot be had. */
async function lastLinesOf(container: Docker.Container): Promise<string> {
  try {
    const log = await container.logs({ stdout: true, stderr: true, tail: KEPT_LINES, follow: false });
    return redact(withoutFrames(log).trimEnd());
  } catch (error) {
    return `its log cannot be had: ${describeError(error)}`;
  }
}

/**
 * The text of a log of the engine's API, where each frame has a header of eight bytes: its stream, and in the last four
 * its length.
 */
function withoutFrames(log: Buffer): string {
  const frames: Buffer[] = [];
  for (let at = 0; at + 8 <= log.length; ) {
    const end = at + 8 + log.readUInt32BE(at + 4);
    frames.push(log.subarray(at + 8, end));
    at = end;
  }
  return Buffer.concat(frames).toString('utf8');
}

/** What a sweep removed. */
export interface Swept {
  runs: string[];
  containers: number;
  networks: number;
}

export function describeSwept({ runs, containers, networks }: Swept): string {
  return `removed ${containers} containers and ${networks} networks of ${runs.length} dead runs`;
}

/**
 * Removes containers (with their anonymous volumes) and networks by the run's label.
 *
 * @param ours asked after the engine has listed what there is: decides by run id; only ids of runs that are dead, or of
 *   the calling one, may be accepted
 */
export async function removeRuns(ours: () => (runId: string) => boolean): Promise<Swept> {
  const { dockerode } = (await getContainerRuntimeClient()).container;
  const filters = { label: [RUN_LABEL] };
  const swept: Swept = { runs: [], containers: 0, networks: 0 };
  const runs = new Set<string>();
  const listed = await dockerode.listContainers({ all: true, filters });
  const isOurs = ours();
  const containers = listed.filter((container) => isOurs(container.Labels[RUN_LABEL] ?? ''));
  await Promise.all(
    containers.map(async ({ Id, Labels, State }) => {
      const container = dockerode.getContainer(Id);
      if (State === 'running') {
        // The node takes its pods, mounts and control groups down when it is stopped; it needs a second or two.
        await container.stop({ t: 5 }).catch(ignoreGone);
      }
      await container.remove({ force: true, v: true }).catch(ignoreGone);
      runs.add(Labels[RUN_LABEL] ?? '');
      swept.containers += 1;
    }),
  );
  const networks = await dockerode.listNetworks({ filters });
  const isOursStill = ours();
  for (const network of networks) {
    const runId = network.Labels?.[RUN_LABEL] ?? '';
    if (isOursStill(runId)) {
      await dockerode.getNetwork(network.Id).remove().catch(ignoreGone);
      runs.add(runId);
      swept.networks += 1;
    }
  }
  swept.runs = [...runs];
  return swept;
}

/** Somebody else (a second sweep, the engine itself) was faster: 304, 404 and 409 of the engine's API. */
function ignoreGone(error: unknown): void {
  const status = (error as { statusCode?: number }).statusCode;
  if (status !== 304 && status !== 404 && status !== 409) {
    throw error;
  }
}

/**
 * Removes what dead runs of this host left behind: a run that was killed cannot clean up after itself.
 *
 * @param options.kept true spares the runs that were kept on purpose
 */
export async function sweepDeadRuns(options = { kept: true }): Promise<Swept> {
  // What is alive is looked up after what there is: a run is entered before it starts anything, and left after all of
  // it is gone, so that a run which starts meanwhile is not taken for a dead one.
  const swept = await removeRuns(() => {
    const live = liveRuns(options);
    return (runId) => isFromHere(runId) && !live.has(runId);
  });
  const known = knownRuns();
  const live = liveRuns(options);
  for (const runId of known) {
    if (!live.has(runId)) {
      leaveRun(runId);
    }
  }
  return swept;
}
