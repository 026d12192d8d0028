import { PassThrough } from 'node:stream';
import { finished } from 'node:stream/promises';
import { Exec, type KubeConfig, type V1Status } from '@kubernetes/client-node';
import { HarnessError } from '../core/errors.ts';

/** What a command in a container came to. */
export interface ExecResult {
  exitCode: number;
  stdout: string;
  stderr: string;
}

/** A stream to write to, and its text so far. */
function collected(onText: (text: string) => void): { stream: PassThrough; whole: () => Promise<string> } {
  const stream = new PassThrough();
  let text = '';
  stream.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
    onText(chunk);
  });
  return {
    stream,
    async whole() {
      await finished(stream, { writable: false });
      return text;
    },
  };
}

/**
 * Runs a command in a container.
 *
 * @param onText is given what it writes to stdout and stderr, as it comes
 * @throws HarnessError where the connection closes without a status
 */
export async function execInPod(
  kubeConfig: KubeConfig,
  { namespace, pod, container }: { namespace: string; pod: string; container: string },
  command: string[],
  onText: (text: string) => void = () => undefined,
): Promise<ExecResult> {
  const stdout = collected(onText);
  const stderr = collected(onText);
  const { promise, resolve, reject } = Promise.withResolvers<V1Status>();
  const exec = new Exec(kubeConfig);
  const socket = await exec.exec(
    namespace,
    pod,
    container,
    command,
    stdout.stream,
    stderr.stream,
    null,
    false,
    resolve,
  );
  socket.on('close', () => reject(new HarnessError(`exec in ${namespace}/${pod} was closed without a status`)));
  const [status, out, err] = await Promise.all([promise, stdout.whole(), stderr.whole()]);
  const code = status.details?.causes?.find(({ reason }) => reason === 'ExitCode')?.message;
  return { exitCode: status.status === 'Success' ? 0 : Number(code ?? -1), stdout: out, stderr: err };
}
