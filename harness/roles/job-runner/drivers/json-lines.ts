import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { linesOf } from '../../../../fixtures/workloads/lib/lines.ts';
import { startTargetProcess } from '../../../core/process-group.ts';
import type { JobRunnerDriver, StartedJobRunner, StartOptions } from '../driver.ts';
import { RunnerReports } from './reports.ts';

/**
 * The driver of a runner that speaks JSON lines on stdin and stdout. A line that is no report counts as its own output.
 */
export function jsonLinesDriver(command: string[]): JobRunnerDriver {
  return {
    async start({ settings, folder, workFolder, env, kubeconfig, onEvent }: StartOptions): Promise<StartedJobRunner> {
      const config = join(workFolder, 'config.json');
      const { extra, ...rest } = settings;
      await writeFile(config, JSON.stringify({ ...rest, ...extra }));
      const located = command.map((part) => (/^\.{1,2}\//.test(part) ? resolve(folder, part) : part));
      const group = startTargetProcess(located, {
        cwd: workFolder,
        env: { ...env, KUBECONFIG: kubeconfig, RUNNER_CONFIG: config },
      });
      const reports = new RunnerReports(onEvent);
      const read = Promise.all([
        forEachLine(group.child.stdout, (line) => reports.take(line)),
        forEachLine(group.child.stderr, (line) => reports.log(line)),
      ]);
      void group.exited.then(async ({ at, code, signal, error }) => {
        // Its children end with it, as in a container, and what it wrote last comes after that.
        group.kill();
        await read;
        reports.exited(at, error?.message ?? signal ?? `code ${code}`);
      });
      const write = async (message: object): Promise<void> => {
        group.child.stdin?.write(`${JSON.stringify(message)}\n`);
      };
      return {
        readiness: reports.readiness,
        exited: group.exited,
        submit: (task) => write({ type: 'submit', task }),
        cancel: (task) => write({ type: 'cancel', task }),
        signal: (name) => group.signal(name),
        memoryBytes: () => group.memoryBytes(),
        stop: () => group.stop(),
      };
    },
  };
}

async function forEachLine(stream: Readable | null, take: (line: string) => void): Promise<void> {
  if (stream === null) {
    return;
  }
  try {
    for await (const line of linesOf(stream)) {
      take(line);
    }
  } catch {
    // The process was ended in the middle of a line.
  }
}
