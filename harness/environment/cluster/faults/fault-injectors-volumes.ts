import type { CoreV1Api, V1PersistentVolumeClaim } from '@kubernetes/client-node';
import { HarnessError } from '../../../core/errors.ts';
import type { StartedCluster } from '../cluster.ts';

/** Works against the volume of a bound claim, as an agent on its node would: `folder` is where it lies there. */
type OnVolume = (folder: string, cluster: StartedCluster) => Promise<void>;

/**
 * How long an agent goes on, in rounds, and how long a file is gone in each, in seconds; bounded, so that it ends by
 * itself.
 */
const ROUNDS = 1200;
const GAP_SECONDS = 0.02;
const PAUSE_SECONDS = 0.03;

/** Fault injectors of volumes, by the name that suites/pvc-sharing/twins.yaml gives. */
export const VOLUME_INJECTORS: Record<string, OnVolume> = {
  /** What a provisioner leaves that makes a folder and thinks of no other user than root. */
  async 'root-owned-volumes'(folder, cluster) {
    await cluster.nodeExec(['sh', '-c', 'chown 0:0 "$1" && chmod 0755 "$1"', 'sh', folder]);
  },
  /** What synchronisation and backup clients do that cannot rename. */
  async 'moves-by-copy-and-delete'(folder, cluster) {
    const script = `i=0; while [ $i -lt ${ROUNDS} ] && cd "$1"; do i=$((i+1)); for f in *; do
      [ -f "$f" ] || continue; case "$f" in *.new) continue;; esac
      cp -p "$f" ".$f.moved" && rm "$f" && sleep ${GAP_SECONDS} && cp -p ".$f.moved" "$f" && rm ".$f.moved"
    done; sleep ${PAUSE_SECONDS}; done`;
    await cluster.nodeExec(['sh', '-c', script, 'sh', folder]);
  },
};

/** Where the volume of a bound claim lies on its node: only for volumes that are folders there. */
export async function folderOfClaim(core: CoreV1Api, claim: V1PersistentVolumeClaim): Promise<string> {
  const name = claim.spec?.volumeName ?? '';
  const { spec } = await core.readPersistentVolume({ name });
  const folder = spec?.hostPath?.path ?? spec?.local?.path;
  if (folder === undefined) {
    throw new HarnessError(`the volume ${name} is no folder of its node: a fault injector of volumes cannot get at it`);
  }
  return folder;
}
