import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { startTargetProcess } from '../../../core/process-group.ts';
import type { JobRunnerDriver, Readiness, RunnerEvent, StartedJobRunner, StartOptions } from '../driver.ts';

const task = { task: z.string() };
const lineSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('ready'), warnings: z.array(z.string()).optional() }),
  z.object({ type: z.literal('unready'), reason: z.string() }),
  z.object({ type: z.literal('claimed'), ...task }),
  z.object({ type: z.literal('refused'), ...task, reason: z.string() }),
  z.object({ type: z.literal('output'), ...task, text: z.string() }),
  z.object({
    type: z.literal('ended'),
    ...task,
    outcome: z.enum(['succeeded', 'failed', 'cancelled', 'timeout']),
    exitCode: z.number().optional(),
    reason: z.string().optional(),
    session: z.string().optional(),
  }),
]);

/** Lines of its own output that tell why a runner ended before it was ready. */
const LAST_WORDS = 20;

/** The driver of a runner that speaks JSON lines on stdin and stdout. What is no such line counts as its own output. */
export function jsonLinesDriver(command: string[]): JobRunnerDriver {
  return {
    async start(options: StartOptions): Promise<StartedJobRunner> {
      const config = join(options.workFolder, 'config.json');
      const { extra, ...settings } = options.settings;
      await writeFile(config, JSON.stringify({ ...settings, ...extra }));
      const located = command.map((part) => (/^\.{1,2}\//.test(part) ? resolve(options.folder, part) : part));
      const group = startTargetProcess(located, {
        cwd: options.workFolder,
        env: { ...options.env, KUBECONFIG: options.kubeconfig, RUNNER_CONFIG: config },
      });
      const readiness = Promise.withResolvers<Readiness>();
      const words: string[] = [];
      const log = (text: string): void => {
        words.push(text);
        if (words.length > LAST_WORDS) words.shift();
        options.onEvent({ at: Date.now(), type: 'log', text });
      };
      const read = (line: string): void => {
        const at = Date.now();
        const said = parsedLine(line);
        if (said === undefined) log(line);
        else if (said.type === 'ready')
          readiness.resolve({ ready: true, at, ...(said.warnings === undefined ? {} : { warnings: said.warnings }) });
        else if (said.type === 'unready') readiness.resolve({ ready: false, at, reason: said.reason });
        else options.onEvent({ at, ...said } as RunnerEvent);
      };
      if (group.child.stdout !== null) createInterface({ input: group.child.stdout }).on('line', read);
      if (group.child.stderr !== null) createInterface({ input: group.child.stderr }).on('line', log);
      void group.exited.then(({ at, code, signal }) => {
        const how = signal ?? `code ${code}`;
        readiness.resolve({ ready: false, at, reason: [`it exited (${how})`, ...words].join('\n') });
      });
      const say = async (message: object): Promise<void> => {
        group.child.stdin?.write(`${JSON.stringify(message)}\n`);
      };
      return {
        readiness: readiness.promise,
        exited: group.exited,
        submit: (submitted) => say({ type: 'submit', task: submitted }),
        cancel: (id) => say({ type: 'cancel', task: id }),
        signal: (name) => group.signal(name),
        memoryBytes: () => group.memoryBytes(),
        stop: () => group.stop(),
      };
    },
  };
}

/** One line of what a runner tells; undefined for any other text. */
export function parsedLine(line: string): z.infer<typeof lineSchema> | undefined {
  try {
    return lineSchema.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}
