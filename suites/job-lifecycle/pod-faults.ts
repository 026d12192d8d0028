import type { V1Pod, V1PodSpec } from '@kubernetes/client-node';
import { containerStatus } from '../../harness/kubernetes/pod-status.ts';
import { SCRIPT, scriptPod, terminationOf, withContainer } from './jobs.ts';

/** A fault of a pod, and how its status has to tell it. */
interface PodFault {
  name: string;
  spec: (image: string) => V1PodSpec;
  /** What the status says of it, in words; undefined as long as it says nothing. */
  told: (pod: V1Pod) => string | undefined;
}

/** No registry has this image: the top-level domain `invalid` never resolves (RFC 6761 section 6.4). */
const NO_SUCH_IMAGE = 'registry.invalid/no/such-image:1';

function waitingReason(pod: V1Pod): string | undefined {
  return containerStatus(pod, SCRIPT)?.state?.waiting?.reason;
}

export const POD_FAULTS: PodFault[] = [
  {
    name: 'exit-code',
    spec: (image) => scriptPod(image, 'exit 3'),
    told: (pod) => (pod.status?.phase === 'Failed' && terminationOf(pod)?.exitCode === 3 ? 'exit code 3' : undefined),
  },
  {
    name: 'out-of-memory',
    spec: (image) =>
      withContainer(scriptPod(image, 'x=$(head -c 268435456 /dev/zero | tr "\\0" x); exit 0'), {
        resources: { requests: { cpu: '10m', memory: '32Mi' }, limits: { memory: '32Mi' } },
      }),
    told: (pod) => {
      const end = terminationOf(pod);
      return end?.reason === 'OOMKilled' ? `OOMKilled, exit code ${end.exitCode}` : undefined;
    },
  },
  {
    name: 'image-pull',
    spec: (image) => withContainer(scriptPod(image, 'exit 0'), { image: NO_SUCH_IMAGE }),
    told: (pod) => ['ErrImagePull', 'ImagePullBackOff'].find((reason) => reason === waitingReason(pod)),
  },
  {
    name: 'configuration',
    spec: (image) =>
      withContainer(scriptPod(image, 'exit 0'), {
        env: [{ name: 'KEY', valueFrom: { secretKeyRef: { name: 'no-such-secret', key: 'key' } } }],
      }),
    told: (pod) => (waitingReason(pod) === 'CreateContainerConfigError' ? 'CreateContainerConfigError' : undefined),
  },
  {
    name: 'unschedulable',
    spec: (image) => ({ ...scriptPod(image, 'exit 0'), nodeSelector: { 'conformance.test/no-such-node': 'true' } }),
    told: (pod) => {
      const condition = pod.status?.conditions?.find(
        ({ type, status }) => type === 'PodScheduled' && status === 'False',
      );
      return condition?.reason === 'Unschedulable' && condition.message
        ? `Unschedulable: ${condition.message}`
        : undefined;
    },
  },
  {
    name: 'init',
    spec: (image) => {
      const spec = scriptPod(image, 'exit 0');
      return {
        ...spec,
        initContainers: withContainer(spec, { name: 'init', command: ['sh', '-c', 'exit 7'] }).containers,
      };
    },
    told: (pod) =>
      pod.status?.phase === 'Failed' &&
      pod.status.initContainerStatuses?.find(({ name }) => name === 'init')?.state?.terminated?.exitCode === 7
        ? 'init container ended with 7'
        : undefined,
  },
  {
    name: 'eviction',
    // Not `exit 0` on SIGTERM: the status of an evicted pod that ends well says Succeeded, and nothing of the eviction.
    spec: (image) =>
      withContainer(
        scriptPod(image, 'head -c 8388608 /dev/zero | tr "\\0" x; trap "exit 143" TERM; while :; do sleep 0.2; done'),
        {
          resources: {
            requests: { cpu: '10m', memory: '32Mi' },
            limits: { memory: '256Mi', 'ephemeral-storage': '1Mi' },
          },
        },
      ),
    told: (pod) =>
      pod.status?.phase === 'Failed' && pod.status.reason === 'Evicted' ? `Evicted: ${pod.status.message}` : undefined,
  },
];
