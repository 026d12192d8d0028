import { HarnessError, NotTestable } from '../../harness/core/errors.ts';
import { expectNone } from '../../harness/core/findings.ts';
import { describeRecord } from '../../harness/kubernetes/api-record.ts';
import { startIdlePod } from '../../harness/probes/pods.ts';
import { observeClient } from '../../harness/roles/token-client/observe.ts';
import type { RequirementContext } from '../../harness/rpc/context.ts';
import { requirement } from '../../harness/run/worker/requirement.ts';

/**
 * One request from a pod of the harness's: the audit log must show it by the pod's address, or a client's would not be
 * seen either.
 */
async function checkThatPodsAreSeen(t: RequirementContext): Promise<void> {
  const [cluster, { name: namespace }] = await Promise.all([t.cluster(), t.namespaceFor('audit control')]);
  const pod = await startIdlePod(t, namespace, 'caller', 'default');
  const url = 'https://$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT/version';
  const script = `NODE_TLS_REJECT_UNAUTHORIZED=0 node -e 'fetch(process.argv[1]).then((answer) => console.log(answer.status))' "${url}"`;
  const { stdout, stderr } = await cluster.exec(namespace, 'caller', 'idle', ['sh', '-c', script]);
  const seen = await t.auditRecords({ address: pod.status?.podIP ?? '' });
  if (seen?.some(({ path }) => path === '/version') !== true) {
    throw new HarnessError(
      `a request from a pod is not in the audit log by its address ${pod.status?.podIP}; the pod saw ${stdout.trim() || stderr.slice(-200)}`,
    );
  }
}

requirement('RB-30', async (t) => {
  const session = await observeClient(t);
  const { pod } = session.before;
  if (pod === undefined) {
    return t.notApplicable(
      'the client is a process of this host: it has no token for an API server and is told of none',
    );
  }
  const others = [session.beforeOutage, session.beforeRenewals].map((process) => process.pod ?? pod);
  const pods = [...new Map([pod, ...others].map((each) => [each.address, each])).values()];
  const records = await Promise.all(pods.map(({ address }) => t.auditRecords({ address })));
  if (records.includes(undefined)) {
    return t.notApplicable(
      'who calls the API server is read from its audit log, which the harness has of its own clusters alone',
    );
  }
  await checkThatPodsAreSeen(t);
  // An address may have been another pod's before.
  const calls = pods.flatMap(({ createdAt }, index) =>
    (records[index] ?? []).filter(({ at }) => Date.parse(at) >= Date.parse(createdAt)),
  );
  const worked = session.calls.filter(({ ok }) => ok).length;
  t.evidence('pods of the client', { pods, worked, calls: calls.map((call) => ({ ...call, path: call.path })) });
  if (worked === 0) {
    throw new NotTestable('none of its calls succeeded: that it needs no API token is not shown');
  }
  expectNone(
    [
      ...(pods.some(({ hasApiToken }) => hasApiToken) ? ['its pod has a token for the API server'] : []),
      ...new Set(
        calls.map((call) => `it asked the API server: ${describeRecord(call)} (${call.code}, as ${call.user})`),
      ),
    ],
    [],
  );
});
