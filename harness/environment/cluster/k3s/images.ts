import { basename, dirname } from 'node:path';
import type { StartedTestContainer } from 'testcontainers';
import { HarnessError } from '../../../core/errors.ts';

/** k3s imports the image archives that it finds here at its start (https://docs.k3s.io/installation/airgap). */
const IMAGES_FOLDER = '/var/lib/rancher/k3s/agent/images';

/** containerd of k3s, and that of our own node. */
const SOCKETS = ['/run/k3s/containerd/containerd.sock', '/run/conformance-node/containerd.sock'];

/** The archive of the workload image as a file of a node, where it has to be brought along. */
export function workloadFiles(archive: string | undefined): { source: string; target: string }[] {
  return archive === undefined ? [] : [{ source: archive, target: `${IMAGES_FOLDER}/workload.tar` }];
}

/**
 * Gives a running node an image.
 *
 * @param archive path of a docker-archive on this host
 * @throws HarnessError where its containerd does not take it
 */
export async function importImage(node: StartedTestContainer, archive: string): Promise<void> {
  const target = `/tmp/${basename(dirname(archive))}.tar`;
  await node.copyFilesToContainer([{ source: archive, target }]);
  const script = `for socket in ${SOCKETS.join(' ')}; do
    [ -S "$socket" ] && exec ctr --address "$socket" --namespace k8s.io images import "${target}"
  done; echo 'no socket of containerd'; exit 1`;
  const { exitCode, output } = await node.exec(['sh', '-c', script]);
  if (exitCode !== 0) {
    throw new HarnessError(`the image archive ${basename(archive)} was not taken: ${output}`);
  }
}
