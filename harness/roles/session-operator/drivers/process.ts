import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { HarnessError } from '../../../core/errors.ts';
import { fill } from '../../../core/placeholders.ts';
import { startTargetProcess } from '../../../core/process-group.ts';
import type { Target } from '../../../targets/load.ts';
import type { SessionOperatorDriver } from '../driver.ts';

const FETCH_SHIM = new URL('../../../fakes/dns-and-tunnel/fetch-shim.mjs', import.meta.url);

/** A probe waits so long for an answer, as the kubelet does by default with one second more for a small machine. */
const HEALTH_MS = 2_000;

/** Starts replicas as child processes; `edgeUrl` is where they find the fake. */
export function processDriver(
  { start, file, folder, healthPath }: Target<'session-operator'>,
  edgeUrl: string,
): SessionOperatorDriver {
  if (!('command' in start)) {
    throw new HarnessError(`${file} does not start its operator by a command`);
  }
  return {
    async start({ values, without, kubeconfig, healthPort, workFolder, onLine }) {
      const command = fill(start.command, values, `${file}: start.command`).map((part) =>
        /^\.{1,2}\//.test(part) ? resolve(folder, part) : part,
      );
      const filled = Object.entries(fill(start.env, values, `${file}: start.env`));
      const env: Record<string, string> = Object.fromEntries(filled.filter(([name]) => !without.includes(name)));
      const shim = {
        CONFORMANCE_EDGE_URL: edgeUrl,
        NODE_OPTIONS: `${env.NODE_OPTIONS ?? ''} --import=${FETCH_SHIM.href}`.trim(),
      };
      const group = startTargetProcess(command, {
        cwd: workFolder,
        env: { ...env, KUBECONFIG: kubeconfig, ...(start.edge === 'fetch-shim' ? shim : {}) },
      });
      for (const stream of [group.child.stdout, group.child.stderr]) {
        if (stream !== null) {
          createInterface({ input: stream }).on('line', onLine);
        }
      }
      void group.exited.then(({ error }) => {
        if (error !== undefined) {
          onLine(`it could not be started: ${error.message}`);
        }
      });
      return {
        exited: group.exited,
        async health() {
          try {
            const response = await fetch(`http://127.0.0.1:${healthPort}${healthPath}`, {
              // As a kubelet's probe: no connection is kept that would hold up its end.
              headers: { connection: 'close' },
              signal: AbortSignal.timeout(HEALTH_MS),
            });
            await response.arrayBuffer();
            return response.status;
          } catch {
            return undefined;
          }
        },
        signal: (name) => group.signal(name),
        stop: () => group.stop(),
      };
    },
  };
}
