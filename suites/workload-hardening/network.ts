import type { V1Pod } from '@kubernetes/client-node';
import { HarnessError } from '../../harness/core/errors.ts';
import { podSpec, START_SECONDS, startInTurn } from '../../harness/probes/pods.ts';
import type { RequirementContext } from '../../harness/rpc/context.ts';

/** Ports on which every server pod listens. */
export const SERVER_PORTS = { allowed: 8080, other: 8081 } as const;

/** How long one connection may take, its name's look-up included: longer than a SYN that is sent once more. */
const CONNECT_MS = 3_000;
/** Between two rounds of connections. */
const ROUND_MS = 200;

const SERVER = `
const net = require('node:net');
process.on('SIGTERM', () => process.exit(0));
for (const port of ${JSON.stringify(Object.values(SERVER_PORTS))}) {
  net.createServer((socket) => { socket.on('error', () => {}); socket.end('here'); }).listen(port);
}
`;

/**
 * Connects to every endpoint anew until each answers as it is expected to in two rounds one after the other,
 * or the time is over. Writes what the last round saw.
 */
const CONNECT = `
// Look-ups that nobody answers must not keep the others waiting.
process.env.UV_THREADPOOL_SIZE = '32';
const net = require('node:net');
const [endpoints, expected, until] = JSON.parse(process.argv[1]);
const connect = (endpoint) => new Promise((resolve) => {
  const [host, port] = endpoint.split(':');
  let heard = false;
  const socket = net.connect({ host, port });
  const late = setTimeout(() => done('no answer in ${CONNECT_MS / 1000} s'), ${CONNECT_MS});
  const done = (what) => { clearTimeout(late); socket.destroy(); resolve(what); };
  socket.on('data', () => { heard = true; done('open'); });
  socket.on('error', ({ code }) => done(code));
  socket.on('close', () => heard || done('closed'));
});
(async () => {
  const begun = Date.now();
  for (let right = 0; ; ) {
    const answers = await Promise.all(endpoints.map(async (endpoint) => [endpoint, await connect(endpoint)]));
    const seen = Object.fromEntries(answers);
    right = endpoints.every((endpoint) => (seen[endpoint] === 'open') === expected[endpoint]) ? right + 1 : 0;
    if (right === 2 || Date.now() - begun > until) {
      process.stdout.write(JSON.stringify({ seen, seconds: (Date.now() - begun) / 1000 }), () => process.exit());
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, ${ROUND_MS}));
  }
})();
`;

/** What was seen of each endpoint (`host:port`): `open`, or why not. */
export interface Reached {
  seen: Record<string, string>;
  seconds: number;
}

/** Starts a pod that answers on {@link SERVER_PORTS}; Ready. @throws NotTestable when it does not run */
export async function startServerPod(t: RequirementContext, namespace: string, name: string): Promise<V1Pod> {
  const cluster = await t.cluster();
  const spec = podSpec(cluster.workloadImage, 'default', {
    name: 'server',
    command: ['node', '--eval', SERVER],
    readinessProbe: { tcpSocket: { port: SERVER_PORTS.other }, periodSeconds: 1 },
  });
  const metadata = { name, labels: { 'app.kubernetes.io/name': name } };
  const pod = { metadata, spec: { ...spec, automountServiceAccountToken: false } };
  return startInTurn(cluster, namespace, pod, () => cluster.podReady(namespace, name, START_SECONDS));
}

/**
 * Lets a server pod connect to endpoints until they answer as expected.
 *
 * @param expected of each `host:port`, whether it is to be open
 * @param seconds how long to go on at most; what was seen last is given all the same
 */
export async function connectUntil(
  t: RequirementContext,
  { namespace, pod }: { namespace: string; pod: string },
  expected: Record<string, boolean>,
  seconds: number,
): Promise<Reached> {
  const cluster = await t.cluster();
  const order = JSON.stringify([Object.keys(expected), expected, seconds * 1000]);
  const { exitCode, stdout, stderr } = await cluster.exec(namespace, pod, 'server', ['node', '--eval', CONNECT, order]);
  if (exitCode !== 0) {
    throw new HarnessError(`the connections of ${namespace}/${pod} ended with ${exitCode}: ${stderr}`);
  }
  return JSON.parse(stdout) as Reached;
}
