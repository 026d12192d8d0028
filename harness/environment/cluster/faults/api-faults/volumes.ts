import type { Exchange, Fault } from './exchange.ts';

/** The parts of a pod that a fault of its volumes changes. */
interface PodBody {
  metadata?: { name?: string };
  spec?: {
    volumes?: VolumeBody[];
    containers?: { volumeMounts?: MountBody[] }[];
    affinity?: {
      nodeAffinity?: {
        requiredDuringSchedulingIgnoredDuringExecution?: {
          nodeSelectorTerms?: { matchFields?: { key: string; values?: string[] }[] }[];
        };
      };
    };
  };
}

interface VolumeBody {
  name: string;
  persistentVolumeClaim?: { claimName: string; readOnly?: boolean };
  emptyDir?: Record<string, never>;
}

interface MountBody {
  name: string;
  subPath?: string;
  readOnly?: boolean;
}

/** A pod whose volumes are changed on their way to the API server. */
function changesPods(change: (pod: PodBody) => void): () => Fault {
  return () => ({
    concerns: ({ method, path }) => method === 'POST' && /^\/api\/v1\/namespaces\/[^/]+\/pods(\?|$)/.test(path),
    answer(exchange, send) {
      const pod = JSON.parse(exchange.body.toString('utf8')) as PodBody;
      change(pod);
      return send({ ...exchange, body: Buffer.from(JSON.stringify(pod)) });
    },
  });
}

function mountsOf(pod: PodBody): MountBody[] {
  return (pod.spec?.containers ?? []).flatMap(({ volumeMounts = [] }) => volumeMounts);
}

/** The mounts of a pod that show a claim. */
function claimMountsOf(pod: PodBody): MountBody[] {
  const claims = (pod.spec?.volumes ?? []).filter(({ persistentVolumeClaim }) => persistentVolumeClaim !== undefined);
  return mountsOf(pod).filter(({ name }) => claims.some((claim) => claim.name === name));
}

/** Puts a folder between a claim and what is mounted of it. */
function insertFolder(pod: PodBody, folder: string): void {
  for (const mount of claimMountsOf(pod)) {
    mount.subPath = mount.subPath === undefined ? folder : `${folder}/${mount.subPath}`;
  }
}

/** The node that a pod is bound to by a required affinity to its name. */
function nodeOf(pod: PodBody): string | undefined {
  const terms =
    pod.spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  return terms.flatMap(({ matchFields = [] }) => matchFields).find(({ key }) => key === 'metadata.name')?.values?.[0];
}

/** Lets no watch and no list of events show those of one kind of object. */
function hidesEventsOf(kind: string): () => Fault {
  const isEvents = ({ method, path }: Exchange): boolean =>
    method === 'GET' && /^\/api\/v1\/namespaces\/[^/]+\/events(\?|$)/.test(path);
  const selectorOf = ({ path }: Exchange): string =>
    new URL(path, 'http://localhost').searchParams.get('fieldSelector') ?? '';
  return () => ({
    // Who asks for another kind alone gets it as it comes, as a stream.
    concerns(exchange) {
      const [, asked = kind] = /involvedObject\.kind=(\w+)/.exec(selectorOf(exchange)) ?? [];
      return isEvents(exchange) && asked === kind;
    },
    answer(exchange, send) {
      const url = new URL(exchange.path, 'http://localhost');
      const others = `involvedObject.kind!=${kind}`;
      url.searchParams.set('fieldSelector', [selectorOf(exchange), others].filter(Boolean).join(','));
      return send({ ...exchange, path: url.pathname + url.search });
    },
  });
}

/** Faults of volumes, by the name that suites/pvc-sharing/twins.yaml gives. */
export const VOLUME_FAULTS: Record<string, () => Fault> = {
  'each-pod-its-own-directory': changesPods((pod) => insertFolder(pod, `of-${pod.metadata?.name}`)),
  'node-local-volumes': changesPods((pod) => {
    const node = nodeOf(pod);
    if (node !== undefined) {
      insertFolder(pod, `on-${node}`);
    }
  }),
  'claim-becomes-empty-dir': changesPods((pod) => {
    for (const volume of pod.spec?.volumes ?? []) {
      if (volume.persistentVolumeClaim !== undefined) {
        delete volume.persistentVolumeClaim;
        volume.emptyDir = {};
      }
    }
  }),
  'read-only-ignored': changesPods((pod) => {
    for (const mount of claimMountsOf(pod)) {
      delete mount.readOnly;
    }
    for (const { persistentVolumeClaim } of pod.spec?.volumes ?? []) {
      delete persistentVolumeClaim?.readOnly;
    }
  }),
  'sub-paths-ignored': changesPods((pod) => {
    for (const mount of claimMountsOf(pod)) {
      delete mount.subPath;
    }
  }),
  'sub-paths-normalised': changesPods((pod) => {
    for (const mount of claimMountsOf(pod)) {
      if (mount.subPath !== undefined) {
        mount.subPath = mount.subPath
          .split('/')
          .filter((part) => part !== '..')
          .join('/');
      }
    }
  }),
  'read-write-once-pod-ignored': () => ({
    concerns: ({ method, path }) =>
      method === 'POST' && /^\/api\/v1\/namespaces\/[^/]+\/persistentvolumeclaims(\?|$)/.test(path),
    answer(exchange, send) {
      const claim = JSON.parse(exchange.body.toString('utf8')) as { spec?: { accessModes?: string[] } };
      if (claim.spec?.accessModes !== undefined) {
        claim.spec.accessModes = claim.spec.accessModes.map((mode) =>
          mode === 'ReadWriteOncePod' ? 'ReadWriteOnce' : mode,
        );
      }
      return send({ ...exchange, body: Buffer.from(JSON.stringify(claim)) });
    },
  }),
  'claim-events-missing': hidesEventsOf('PersistentVolumeClaim'),
  'pod-events-missing': hidesEventsOf('Pod'),
};
