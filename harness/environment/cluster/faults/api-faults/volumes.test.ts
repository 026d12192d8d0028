import { expect, test } from 'vitest';
import type { Exchange } from './exchange.ts';
import { VOLUME_FAULTS } from './volumes.ts';

const PODS = '/api/v1/namespaces/ns/pods';
const EVENTS = '/api/v1/namespaces/ns/events';

function post(path: string, body: unknown): Exchange {
  return { method: 'POST', path, headers: {}, body: Buffer.from(JSON.stringify(body)) };
}

function get(path: string): Exchange {
  return { method: 'GET', path, headers: {}, body: Buffer.alloc(0) };
}

/** What a fault sends on to the API server; undefined where it lets the exchange pass. */
async function sentBy(name: string, exchange: Exchange): Promise<Exchange | undefined> {
  const fault = VOLUME_FAULTS[name]?.();
  if (fault?.concerns(exchange) !== true) {
    return undefined;
  }
  let sent: Exchange | undefined;
  await fault.answer(exchange, async (changed) => {
    sent = changed;
    return { status: 201, body: Buffer.alloc(0) };
  });
  return sent;
}

type Pod = ReturnType<typeof pod>;

async function podBy(name: string, change: (given: Pod) => void = () => undefined): Promise<unknown> {
  const given = pod();
  change(given);
  const sent = await sentBy(name, post(PODS, given));
  return JSON.parse(sent?.body.toString('utf8') ?? 'null');
}

function pod() {
  return {
    metadata: { name: 'a' },
    spec: {
      volumes: [
        { name: 'app', configMap: { name: 'app' } },
        { name: 'data', persistentVolumeClaim: { claimName: 'c', readOnly: true } },
      ],
      containers: [
        {
          volumeMounts: [
            { name: 'app', mountPath: '/app', readOnly: true },
            { name: 'data', mountPath: '/data', subPath: 'x/../y', readOnly: true },
          ],
        },
      ],
      affinity: {} as Record<string, unknown>,
    },
  };
}

const mounted = (mount: Record<string, unknown>): object => ({
  spec: { containers: [{ volumeMounts: [{ name: 'app', mountPath: '/app', readOnly: true }, mount] }] },
});

test('a folder of the pod, or of its node, comes between claim and mount', async () => {
  const own = await podBy('each-pod-its-own-directory');
  expect(own).toMatchObject(mounted({ name: 'data', mountPath: '/data', subPath: 'of-a/x/../y', readOnly: true }));
  const local = await podBy('node-local-volumes', ({ spec }) => {
    spec.affinity = {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['n2'] }] }],
        },
      },
    };
  });
  expect(local).toMatchObject(mounted({ name: 'data', mountPath: '/data', subPath: 'on-n2/x/../y', readOnly: true }));
  await expect(podBy('node-local-volumes')).resolves.toEqual(pod());
});

test('claims turn into emptyDirs, and nothing else does', async () => {
  await expect(podBy('claim-becomes-empty-dir')).resolves.toMatchObject({
    spec: {
      volumes: [
        { name: 'app', configMap: { name: 'app' } },
        { name: 'data', emptyDir: {} },
      ],
    },
  });
});

test('readOnly, subPath and its `..` are dropped of claims alone', async () => {
  const { name, mountPath } = { name: 'data', mountPath: '/data' };
  const writable = (await podBy('read-only-ignored')) as Pod;
  expect(writable.spec.containers[0]?.volumeMounts[1]).toEqual({ name, mountPath, subPath: 'x/../y' });
  expect(writable.spec.containers[0]?.volumeMounts[0]).toHaveProperty('readOnly', true);
  expect(writable.spec.volumes[1]).toEqual({ name, persistentVolumeClaim: { claimName: 'c' } });
  const whole = (await podBy('sub-paths-ignored')) as Pod;
  expect(whole.spec.containers[0]?.volumeMounts[1]).toEqual({ name, mountPath, readOnly: true });
  await expect(podBy('sub-paths-normalised')).resolves.toMatchObject(
    mounted({ name, mountPath, subPath: 'x/y', readOnly: true }),
  );
});

test('ReadWriteOncePod is taken for ReadWriteOnce', async () => {
  const path = '/api/v1/namespaces/ns/persistentvolumeclaims';
  const sent = await sentBy('read-write-once-pod-ignored', post(path, { spec: { accessModes: ['ReadWriteOncePod'] } }));
  expect(JSON.parse(sent?.body.toString('utf8') ?? '')).toEqual({ spec: { accessModes: ['ReadWriteOnce'] } });
  await expect(sentBy('read-write-once-pod-ignored', post(PODS, pod()))).resolves.toBeUndefined();
});

test('events of one kind are hidden, whether it is asked for or all are; others pass', async () => {
  const selected = (kind: string): string => `${EVENTS}?watch=true&fieldSelector=involvedObject.kind%3D${kind}`;
  const selectorOf = (exchange: Exchange | undefined): string | null =>
    new URL(exchange?.path ?? '', 'http://localhost').searchParams.get('fieldSelector');
  expect(selectorOf(await sentBy('pod-events-missing', get(selected('Pod'))))).toBe(
    'involvedObject.kind=Pod,involvedObject.kind!=Pod',
  );
  expect(selectorOf(await sentBy('pod-events-missing', get(EVENTS)))).toBe('involvedObject.kind!=Pod');
  await expect(sentBy('pod-events-missing', get(selected('PersistentVolumeClaim')))).resolves.toBeUndefined();
});
