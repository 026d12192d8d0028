import type { V1Pod } from '@kubernetes/client-node';
import { expect } from 'vitest';
import { DeadlineExceeded, HarnessError, NotTestable, Violation } from '../../harness/core/errors.ts';
import { describePod, isReady } from '../../harness/kubernetes/pod-status.ts';
import { firstAssignedUid, OWN_UID } from '../../harness/kubernetes/uid-range.ts';
import { dryRunPod, podSpec, START_SECONDS } from '../../harness/probes/pods.ts';
import {
  createClaim,
  defaultStorageClass,
  eventsOf,
  needsPromise,
  needsReadWriteOncePod,
  sharedClaim,
  untilEvent,
} from '../../harness/probes/storage.ts';
import { type ClaimMount, claimVolumes, type VolumeWorkerPod } from '../../harness/probes/volume-worker.ts';
import { type RequirementContext, requirement } from '../../harness/run/worker/requirement.ts';
import { acceptedBackstep, acceptedChanges, type DryRun, seenElsewhere } from './guarded-writes.ts';
import {
  distantWorker,
  firstWrite,
  keeper,
  ownClaim,
  READ_ONLY,
  removePod,
  SHARED,
  SUB_PATHS,
  startOwnWorker,
  worker,
  workers,
} from './workers.ts';

/** Rounds of writing and reading, each over the same file: a reader's cache must not survive the writer's close. */
const EXCHANGES = 5;

/** Every pod reads what one wrote, as soon as that has closed the file. */
async function exchange(t: RequirementContext, writer: VolumeWorkerPod, readers: VolumeWorkerPod[]): Promise<void> {
  // Requirements share the pods and run at the same time: each has files of its own.
  const path = `${SHARED}/from-${writer.name}-to-${readers.map(({ name }) => name).join('-')}`;
  for (let round = 0; round < EXCHANGES; round += 1) {
    const begin = `round ${round} of ${writer.name} `;
    const dots = round * 5_000;
    const text = begin + '.'.repeat(dots);
    expect(await writer.do('write', { path, text: begin, dots }), `${writer.name} writes ${path}`).toEqual({
      written: true,
    });
    for (const reader of readers) {
      expect(
        await reader.do('read', { path }),
        `${reader.name} reads ${path}, closed before, in round ${round}`,
      ).toEqual({
        text,
      });
    }
  }
  t.evidence(`written by ${writer.name}, read by ${readers.map(({ name }) => name).join(' and ')}`, {
    rounds: EXCHANGES,
    nodes: [writer, ...readers].map(({ name, pod }) => `${name} on ${pod.spec?.nodeName}`),
  });
}

requirement('PV-01', async (t) => {
  const [author, editor, reader] = (await workers(t, 'author', 'editor', 'reader')) as [
    VolumeWorkerPod,
    VolumeWorkerPod,
    VolumeWorkerPod,
  ];
  await exchange(t, author, [editor, reader]);
  await exchange(t, editor, [author, reader]);
});

requirement('PV-02', async (t) => {
  const [author, distant] = await Promise.all([worker(t, 'author'), distantWorker(t)]);
  await exchange(t, author, [distant]);
  await exchange(t, distant, [author]);
});

/** Lines that a pod has appended when it is killed, at least. */
const LINES_BEFORE_KILL = 100;

requirement('PV-03', async (t) => {
  const [{ keeper: deleted }, victim] = await Promise.all([keeper(t), startOwnWorker(t, 'victim')]);
  const { namespace } = deleted;
  const kept = { path: `${SHARED}/kept`, text: 'written before the deletion' };
  expect(await deleted.do('write', kept), 'the first pod writes').toEqual({ written: true });
  const log = `${SHARED}/log`;
  await victim.do('startAppending', { path: log, tag: 'victim' });
  const { appended } = await victim.do('appendFurther', { lines: LINES_BEFORE_KILL });
  // Killed while it goes on appending; the other one is asked to end.
  await Promise.all([removePod(t, namespace, victim.name, true), removePod(t, namespace, deleted.name, false)]);
  const again = await startOwnWorker(t, 'keeper');
  expect(again.pod.metadata?.uid, 'uid of the pod that takes the place of the deleted one').not.toBe(
    deleted.pod.metadata?.uid,
  );
  expect(await again.do('read', { path: kept.path }), 'what a pod wrote before it was deleted').toEqual({
    text: kept.text,
  });
  const read = await again.do('read', { path: log });
  const lines = 'text' in read ? read.text.split('\n') : [];
  const found = lines.filter((line, index) => line.startsWith(`victim ${index} `) && line.endsWith(` ${index} victim`));
  t.evidence('lines that a pod appended before it was deleted by force', { answered: appended, found: found.length });
  expect(found.length, 'whole lines of the pod that was deleted by force, in order').toBeGreaterThanOrEqual(appended);
});

requirement('PV-04', async (t) => {
  needsPromise(t, 'fs-group');
  const author = await worker(t, 'author');
  const first = { author: await firstWrite(author), keeper: (await keeper(t)).first };
  const claims = { author: (await sharedClaim(t)).storageClass, keeper: (await ownClaim(t)).storageClass };
  const [{ core }, { name: namespace }] = await Promise.all([t.cluster(), t.namespace()]);
  // A cluster that assigns uids lets no pod have 1000: what it assigns must do as well there.
  const assigned = await firstAssignedUid(core, namespace);
  const who = assigned === undefined ? 'uid, gid and fsGroup 1000' : `the assigned uid and fsGroup ${assigned}`;
  for (const name of ['author', 'keeper'] as const) {
    const { seen, written } = first[name];
    t.evidence(`root of a claim of the StorageClass ${claims[name]}`, { ...seen, written });
    expect(seen, 'the process that writes').toMatchObject(
      assigned === undefined ? { uid: OWN_UID, gid: OWN_UID } : { uid: assigned },
    );
    expect(written, `${who} writes to the root of a claim of the StorageClass ${claims[name]}`).toEqual({
      written: true,
    });
  }
});

/** Asks the API server whether it would create a pod with these mounts; none is created. */
async function wouldCreate(t: RequirementContext, namespace: string, mount: ClaimMount): Promise<DryRun> {
  const cluster = await t.cluster();
  const { volumes, volumeMounts } = claimVolumes([mount]);
  const spec = {
    ...podSpec(cluster.workloadImage, 'default', { name: 'main', command: ['true'], volumeMounts }),
    volumes,
  };
  const answer = await dryRunPod(cluster, namespace, { metadata: { name: 'sub-path' }, spec });
  t.evidence(`a pod with subPath ${mount.subPath}`, answer);
  return answer;
}

requirement('PV-05', async (t) => {
  const [editor, reader] = (await workers(t, 'editor', 'reader')) as [VolumeWorkerPod, VolumeWorkerPod];
  const folder = 'guarded';
  const existing = 'existing';
  const faults: string[] = [];
  const control = async (): Promise<void> => {
    expect(await editor.do('write', { path: `${SHARED}/${existing}`, text: folder }), 'the control').toEqual({
      written: true,
    });
  };
  for (const [where, pod, path] of [
    ['through a readOnly mount', editor, READ_ONLY],
    ['through a readOnly claim', reader, SHARED],
  ] as const) {
    await control();
    const changes = await pod.do('change', { folder: path, existing });
    await control();
    t.evidence(`changes ${where}`, changes);
    faults.push(...acceptedChanges(where, changes));
    // What cannot be read cannot be written either: that would be no refusal.
    expect(await pod.do('read', { path: `${path}/${existing}` }), `read ${where}`).toEqual({ text: folder });
  }
  const text = 'in one';
  const { one, two } = SUB_PATHS;
  expect(await editor.do('write', { path: `${one}/file`, text }), 'a write to a subPath').toEqual({ written: true });
  const seen = {
    'in the other subPath': await editor.do('read', { path: `${two}/file` }),
    'in its folder of the claim': await editor.do('read', { path: `${SHARED}/one/file` }),
  };
  t.evidence('a file of one subPath', seen);
  faults.push(...seenElsewhere(seen['in the other subPath']));
  if (!('text' in seen['in its folder of the claim'])) {
    faults.push('a file of a subPath is not in its folder of the claim');
  }
  const claim = editor.pod.spec?.volumes?.find(({ persistentVolumeClaim }) => persistentVolumeClaim)?.name ?? '';
  const mount = { claim, mountPath: SHARED };
  const within = await wouldCreate(t, editor.namespace, { ...mount, subPath: 'one/two' });
  expect(within.status, 'a pod with a subPath').toBe(201);
  faults.push(...acceptedBackstep(await wouldCreate(t, editor.namespace, { ...mount, subPath: 'one/../two' })));
  if (faults.length > 0) {
    throw new Violation(faults.join('; '));
  }
});

/**
 * What a reader has to have met for a verdict: so many versions, in so many reads; and how long it may take, in
 * seconds.
 */
const OBSERVED = { versions: 50, reads: 500, seconds: 60 };
const KILLS = 5;

requirement('PV-06', async (t) => {
  needsPromise(t, 'atomic-rename');
  const [author, reader] = (await workers(t, 'author', 'reader')) as [VolumeWorkerPod, VolumeWorkerPod];
  const path = `${SHARED}/current`;
  await author.do('startReplacing', { path });
  const observed = [await reader.do('observe', { path, ...OBSERVED })];
  let killing = true;
  const killed = author.do('killReplacing', { path, times: KILLS }).finally(() => {
    killing = false;
  });
  while (killing) {
    observed.push(await reader.do('observe', { path, ...OBSERVED }));
  }
  const { replaced } = await author.do('stopReplacing', {});
  t.evidence('replaced by rename', { replaced, ...(await killed) });
  t.evidence('read in another pod, at first while no writer was killed', observed);
  if (replaced < 2) {
    throw new HarnessError(`the author replaced the file ${replaced} times only`);
  }
  for (const { reads, missing, empty, partial, errors, versions } of observed) {
    const defects = Object.entries({ missing, empty, partial, ...errors }).filter(([, count]) => count > 0);
    if (defects.length > 0) {
      const met = defects.map(([defect, count]) => `${defect} ${count} times`).join(', ');
      throw new Violation(`a reader in another pod met no whole content: ${met} in ${reads} reads`);
    }
    if (versions < 2) {
      throw new NotTestable(
        `a reader in another pod met one content only in ${reads} reads, so that it met no replacement: its node may cache the file`,
      );
    }
  }
});

/** Tries of a second pod to take a lock that the first one holds. */
const TRIES = 20;
const COUNTS = 100;

requirement('PV-07', async (t) => {
  needsPromise(t, 'file-locks');
  const [author, editor] = (await workers(t, 'author', 'editor')) as [VolumeWorkerPod, VolumeWorkerPod];
  const path = `${SHARED}/lock`;
  const tryIt = async (pod: VolumeWorkerPod): Promise<boolean> => (await pod.do('lock', { path })).got;
  expect(await tryIt(author), 'the first pod gets the lock').toBe(true);
  let got = 0;
  for (let round = 0; round < TRIES; round += 1) {
    got += (await tryIt(editor)) ? 1 : 0;
  }
  t.evidence('tries of a second pod while the first held the lock', { tries: TRIES, got });
  expect(got, `times of ${TRIES} that a second pod got the lock that the first holds`).toBe(0);
  await author.do('unlock', {});
  expect(await tryIt(editor), 'the second pod gets the lock that the first has released').toBe(true);
  await editor.do('unlock', {});

  await author.do('lockInChild', { path });
  expect(await tryIt(editor), 'a second pod gets the lock of a process that lives').toBe(false);
  await author.do('killChild', {});
  expect(await tryIt(editor), 'a second pod gets the lock of a process that was killed').toBe(true);
  await editor.do('unlock', {});

  const counter = `${SHARED}/counter`;
  await author.do('createCounter', { path: counter });
  await Promise.all([author, editor].map((pod) => pod.do('count', { path: counter, times: COUNTS })));
  const counts = await Promise.all([author, editor].map((pod) => pod.do('readCounter', { path: counter })));
  t.evidence('two pods counted up under a lock', { each: COUNTS, counts });
  for (const { count } of counts) {
    expect(count, 'the count of two pods').toBe(2 * COUNTS);
  }
});

/** Lines that each pod appends while the other does so, too. */
const LINES = 300;

requirement('PV-07a', async (t) => {
  needsPromise(t, 'atomic-append');
  const pods = await workers(t, 'author', 'editor');
  const path = `${SHARED}/log`;
  for (const pod of pods) {
    await pod.do('startAppending', { path, tag: pod.name });
  }
  // Both are at it from here on.
  await Promise.all(pods.map((pod) => pod.do('appendFurther', { lines: LINES })));
  const written = await Promise.all(
    pods.map(async (pod) => ({ name: pod.name, ...(await pod.do('stopAppending', {})) })),
  );
  const reader = await worker(t, 'reader');
  const read = await reader.do('read', { path });
  if (!('text' in read)) {
    throw new Violation(`a third pod cannot read the file that both have appended to (${read.refused})`);
  }
  const lines = read.text.trimEnd().split('\n');
  const whole = new Set(lines.filter((line) => /^(\S+) (\d+) -+ \2 \1$/.test(line)));
  const lost = written.map(({ name, appended }) => ({
    name,
    appended,
    lost: appended - [...whole].filter((line) => line.startsWith(`${name} `)).length,
  }));
  t.evidence('lines', { written: lost, read: lines.length, torn: lines.length - whole.size });
  const losers = lost.filter(({ lost: count }) => count !== 0);
  if (losers.length > 0) {
    const list = losers.map(({ name, lost: count, appended }) => `${count} of ${appended} of the ${name}`);
    throw new Violation(`lines were lost of concurrent appends on one node: ${list.join(', ')}`);
  }
  expect(lines.length, 'lines in all, none of them torn or doubled').toBe(whole.size);
});

/** An idle pod with one claim. */
async function createHolder(t: RequirementContext, namespace: string, name: string, claim: string): Promise<void> {
  const { core, workloadImage } = await t.cluster();
  const { volumes, volumeMounts } = claimVolumes([{ claim, mountPath: SHARED }]);
  const spec = podSpec(workloadImage, 'default', {
    name: 'holder',
    command: ['sh', '-c', 'trap "exit 0" TERM; while :; do sleep 1; done'],
    volumeMounts,
  });
  await core.createNamespacedPod({ namespace, body: { metadata: { name }, spec: { ...spec, volumes } } });
}

function unscheduledMessage(pod: V1Pod): string | undefined {
  const condition = pod.status?.conditions?.find(({ type, status }) => type === 'PodScheduled' && status === 'False');
  return condition?.reason === 'Unschedulable' ? condition.message : undefined;
}

requirement('PV-08', async (t) => {
  needsReadWriteOncePod(t);
  const cluster = await t.cluster();
  const { name: namespace } = await t.namespace();
  const storageClass = await defaultStorageClass(t);
  const claim = await createClaim(t, namespace, 'one-pod', 'ReadWriteOncePod', storageClass);
  await createHolder(t, namespace, 'first', claim.name);
  try {
    await cluster.watchPod(namespace, 'first', ({ object }) => (isReady(object) ? true : undefined), {
      what: 'the first pod to be Ready',
      deadlineSeconds: START_SECONDS,
    });
  } catch (error) {
    const refused = (await eventsOf(t, namespace, 'PersistentVolumeClaim', claim.name)).find(
      ({ reason }) => reason === 'ProvisioningFailed',
    );
    if (error instanceof DeadlineExceeded && refused !== undefined) {
      t.notApplicable(`the StorageClass ${storageClass} does not offer ReadWriteOncePod: ${refused.message}`);
    }
    throw error;
  }
  await createHolder(t, namespace, 'second', claim.name);
  const message = await cluster.watchPod(
    namespace,
    'second',
    ({ object }) => {
      if (object.spec?.nodeName !== undefined) {
        throw new Violation(`a second pod got the ReadWriteOncePod claim beside the first: ${describePod(object)}`);
      }
      return unscheduledMessage(object);
    },
    { what: 'the second pod to be Unschedulable', deadlineSeconds: START_SECONDS },
  );
  t.evidence('the second pod', message);
  expect(message, 'why the second pod waits').toMatch(/ReadWriteOncePod/);
  await cluster.core.deleteNamespacedPod({ namespace, name: 'first' });
  await cluster.watchPod(namespace, 'second', ({ object }) => (isReady(object) ? true : undefined), {
    what: 'the second pod to run once the first is gone',
    deadlineSeconds: START_SECONDS,
  });
});

/** A claim that cannot be bound has to say so within this time, in seconds: controllers look again every 15 s. */
const EVENT_SECONDS = 30;

requirement('PV-09', async (t) => {
  const { core } = await t.cluster();
  const { name: namespace } = await t.namespace();
  const unbindable = await createClaim(t, namespace, 'unbindable', 'ReadWriteOnce', 'no-such-class');
  // No class at all asks for a volume that somebody made by hand.
  const unclassed = await createClaim(t, namespace, 'unclassed', 'ReadWriteOnce', '');
  await createHolder(t, namespace, 'waiting', unbindable.name);
  await createHolder(t, namespace, 'lost', 'absent');
  const claimEvent = ({ name }: { name: string }, about: RegExp): Promise<unknown> =>
    untilEvent(
      t,
      namespace,
      { kind: 'PersistentVolumeClaim', name },
      {
        what: `an event of the claim ${name} that says why it is pending (${about.source})`,
        deadlineSeconds: EVENT_SECONDS,
        accept: ({ message = '' }) => about.test(message),
      },
    ).then(({ type, reason, message }) => t.evidence(`event of the claim ${name}`, { type, reason, message }));
  const podEvent = (name: string, about: RegExp): Promise<unknown> =>
    untilEvent(
      t,
      namespace,
      { kind: 'Pod', name },
      {
        what: `an event of the pod ${name} that names its claim (${about.source})`,
        deadlineSeconds: EVENT_SECONDS,
        accept: ({ message = '' }) => about.test(message),
      },
    ).then(({ type, reason, message }) => t.evidence(`event of the pod ${name}`, { type, reason, message }));
  await Promise.all([
    claimEvent(unbindable, /no-such-class|storage ?class/i),
    claimEvent(unclassed, /volume|storage ?class/i),
    podEvent('waiting', /PersistentVolumeClaim/i),
    podEvent('lost', /absent/),
  ]);
  const consumed = await ownClaim(t);
  const faults = (await eventsOf(t, namespace, 'PersistentVolumeClaim', consumed.name)).filter(
    ({ type, reason }) => type === 'Warning' && reason === 'WaitForFirstConsumer',
  );
  expect(faults, 'WaitForFirstConsumer told as a fault').toEqual([]);
  await Promise.all(
    ['waiting', 'lost'].map((name) => core.deleteNamespacedPod({ namespace, name, gracePeriodSeconds: 0 })),
  );
});
