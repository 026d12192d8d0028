import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { Exec, type KubeConfig, type V1Status } from '@kubernetes/client-node';
import { HarnessError } from '../core/errors.ts';

/** What a command in a container came to. */
export interface ExecResult {
  exitCode: number;
  stdout: string;
  stderr: string;
}

/** Runs a command in a container. @throws HarnessError where the connection closes without a status */
export async function execInPod(
  kubeConfig: KubeConfig,
  namespace: string,
  pod: string,
  container: string,
  command: string[],
): Promise<ExecResult> {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const { promise, resolve, reject } = Promise.withResolvers<V1Status>();
  const exec = new Exec(kubeConfig);
  const socket = await exec.exec(namespace, pod, container, command, stdout, stderr, null, false, resolve);
  socket.on('close', () => reject(new HarnessError(`exec in ${namespace}/${pod} was closed without a status`)));
  const [status, out, err] = await Promise.all([promise, text(stdout), text(stderr)]);
  const code = status.details?.causes?.find(({ reason }) => reason === 'ExitCode')?.message;
  return { exitCode: status.status === 'Success' ? 0 : Number(code ?? -1), stdout: out, stderr: err };
}
