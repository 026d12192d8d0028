import type { V1PodSpec } from '@kubernetes/client-node';
import { expect } from 'vitest';
import { NotTestable, TookTooLong } from '../../harness/core/errors.ts';
import { readLog } from '../../harness/kubernetes/logs.ts';
import { containerStatus } from '../../harness/kubernetes/pod-status.ts';
import { firstAssignedUid } from '../../harness/kubernetes/uid-range.ts';
import { podSpec, RESTRICTED_POD, START_SECONDS, startInTurn } from '../../harness/probes/pods.ts';
import { createClaim, storageClassIfAny } from '../../harness/probes/storage.ts';
import { targetFor } from '../../harness/rpc/candidate.ts';
import { assertClusterDeclared } from '../../harness/rpc/preconditions.ts';
import { requirement } from '../../harness/run/worker/requirement.ts';
import { type Agent, startPlatform, wrongEndpoints } from './platform.ts';

const HIGH_UID = 1_000_680_000;
const CONTENT = 'agent';

/** Tells who it is, what it can read and what it can write. */
const PROGRAM = `
const fs = require('node:fs');
const attempt = (act) => { try { return act(); } catch ({ code }) { return code; } };
const read = (path) => attempt(() => fs.readFileSync(path, 'utf8'));
const write = (path) => attempt(() => { fs.writeFileSync(path, 'written'); return read(path); });
console.log(JSON.stringify({
  uid: process.getuid(), gid: process.getgid(), groups: process.getgroups(),
  token: read('/token/token').split('.').length, configMap: read('/config/content'), secret: read('/secret/content'),
  emptyDir: write('/scratch/file'), claim: write('/claim/file'),
}));
`;

requirement('WH-06', async (t) => {
  const cluster = await t.cluster();
  const { name: namespace } = await t.namespaceFor('arbitrary-uid');
  const uid = (await firstAssignedUid(cluster.core, namespace)) ?? HIGH_UID;
  const name = 'arbitrary-uid';
  const storageClass = await storageClassIfAny(t);
  const hasClaim = 'name' in storageClass;
  if (hasClaim) {
    await createClaim(t, namespace, name, 'ReadWriteOnce', storageClass.name);
  } else {
    t.evidence('not exercised', `a claim: ${storageClass.absent}`);
  }
  const own = { metadata: { namespace, name } };
  await cluster.core.createNamespacedConfigMap({ namespace, body: { ...own, data: { content: CONTENT } } });
  await cluster.core.createNamespacedSecret({ namespace, body: { ...own, stringData: { content: CONTENT } } });
  const serviceAccountToken = {
    path: 'token',
    audience: 'https://production.conformance.test',
    expirationSeconds: 600,
  };
  const volumes: NonNullable<V1PodSpec['volumes']> = [
    { name: 'token', projected: { sources: [{ serviceAccountToken }] } },
    { name: 'config', configMap: { name } },
    { name: 'secret', secret: { secretName: name } },
    { name: 'scratch', emptyDir: {} },
    ...(hasClaim ? [{ name: 'claim', persistentVolumeClaim: { claimName: name } }] : []),
  ];
  const spec = podSpec(cluster.workloadImage, 'default', {
    name: 'agent',
    command: ['node', '--eval', PROGRAM],
    volumeMounts: volumes.map((volume) => ({ name: volume.name, mountPath: `/${volume.name}` })),
  });
  const securityContext = { ...RESTRICTED_POD, runAsUser: uid, runAsGroup: 0, fsGroup: uid };
  const pod = { metadata: { name }, spec: { ...spec, automountServiceAccountToken: false, securityContext, volumes } };
  const exitCode = await startInTurn(cluster, namespace, pod, () =>
    cluster.watchPod(namespace, name, ({ object }) => containerStatus(object, 'agent')?.state?.terminated?.exitCode, {
      what: `pod ${namespace}/${name} to end`,
      deadlineSeconds: START_SECONDS,
    }),
  );
  const { body } = await readLog(cluster, namespace, name, { container: 'agent' });
  t.evidence('the pod', { asked: { uid, gid: 0, fsGroup: uid }, exitCode, log: body.toString().slice(0, 2000) });
  expect(exitCode, 'exit code of the pod').toBe(0);
  const { groups, claim, ...seen } = JSON.parse(body.toString()) as { groups: number[]; claim: string };
  expect(seen, 'what the pod is, reads and writes').toEqual({
    uid,
    gid: 0,
    token: 3,
    configMap: CONTENT,
    secret: CONTENT,
    emptyDir: 'written',
  });
  if (hasClaim) {
    expect(claim, `what came of writing to a claim of the StorageClass ${storageClass.name}`).toBe('written');
  }
  expect(groups, 'its supplementary groups').toContain(uid);
});

/** How long a policy may take until it holds, in seconds. */
const POLICY_SECONDS = 60;

requirement('WH-08', async (t) => {
  if (targetFor(t.candidate, 'cluster')?.networkPolicies === false) {
    t.notApplicable('the target file says that nothing in the cluster enforces NetworkPolicies');
  }
  assertClusterDeclared(t, 'network-policies');
  const platform = await startPlatform(t);
  // The control: nothing but a policy can keep them apart.
  const before = await platform.endpointsSeen(platform.allOpen);
  t.evidence('before there is a policy', before);
  const apart = Object.values(before).flatMap(({ seen }) => Object.entries(seen).filter(([, what]) => what !== 'open'));
  if (apart.length > 0) {
    throw new NotTestable(
      `without any NetworkPolicy, pods do not reach each other: ${apart.map(([where, what]) => `${where} (${what})`).join(', ')}`,
    );
  }
  const policy = await platform.applyAgentPolicy();
  t.progress(`waits until the policy holds, at most ${POLICY_SECONDS} s`);
  const under = await platform.endpointsSeen(platform.underPolicy, POLICY_SECONDS);
  t.evidence('under the policy', { policy: policy.spec, ...under });
  const wrong = Object.entries(under).flatMap(([agent, { seen }]) =>
    wrongEndpoints(seen, platform.underPolicy[agent as Agent]).map((what) => `${agent} ${what}`),
  );
  if (wrong.length > 0) {
    throw new TookTooLong(`${POLICY_SECONDS} s after a NetworkPolicy was made, ${wrong.join('; ')}`);
  }
});
