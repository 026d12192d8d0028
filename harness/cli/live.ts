import { createInterface } from 'node:readline/promises';
import { UsageError } from '../core/errors.ts';
import { loadKubeconfig } from '../environment/cluster/kubeconfig/load.ts';
import { describeAttachment } from '../environment/cluster/kubeconfig.ts';

export interface LiveFlags {
  context?: string;
  /** Of a second cluster. */
  peerContext?: string;
  /** Go on without asking. */
  yes?: boolean;
}

/** Whom to ask, and where; default: the terminal of this process. */
export interface Terminal {
  input: NodeJS.ReadableStream & { isTTY?: boolean };
  output: NodeJS.WritableStream & { isTTY?: boolean };
}

/**
 * Says which cluster, or which two, a run works with, before it touches them, and asks a person where nobody has named
 * the context of the first one: the current context of a kubeconfig is often that of the work before.
 *
 * @param namespaces where the run works, in words
 * @throws UsageError where there is no cluster, or the answer is no
 */
export async function announceCluster(
  { context, peerContext, yes = false }: LiveFlags,
  namespaces: string,
  terminal: Terminal = { input: process.stdin, output: process.stderr },
): Promise<void> {
  const attachment = loadKubeconfig(context === undefined ? {} : { context });
  const second =
    peerContext === undefined
      ? ''
      : `; second cluster: ${describeAttachment(loadKubeconfig({ context: peerContext }))}; there, the same namespaces`;
  terminal.output.write(`${describeAttachment(attachment)}; namespaces ${namespaces}${second}\n`);
  const canAsk = terminal.input.isTTY === true && terminal.output.isTTY === true;
  if (context !== undefined || yes || !canAsk) {
    return;
  }
  const reader = createInterface({ input: terminal.input, output: terminal.output });
  try {
    const answer = await reader.question('The context was not named (--context). Make objects in this cluster? [y/N] ');
    if (!/^y(es)?$/i.test(answer.trim())) {
      throw new UsageError('not run: name the context by --context, or give --yes');
    }
  } finally {
    reader.close();
  }
}
