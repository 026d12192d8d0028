import { HarnessError } from '../../../../core/errors.ts';
import { fill, type Values } from '../../../../core/placeholders.ts';
import type { Target } from '../../../../targets/load.ts';
import { callValues } from '../../configure/files.ts';
import { asText } from '../../configure/session.ts';
import type { CallAnswer } from '../../driver.ts';
import type { ProcessIdentity } from '../../record.ts';
import type { SandboxFolder } from './folder.ts';
import { type ResidentClient, startResident } from './resident.ts';
import { resultOf, runToCompletion } from './run.ts';

type Run = Extract<Target<'token-client'>['run'], { form: 'process' }>;

export interface ClientOptions {
  run: Run;
  /** The part of the target file that says how it is run, for messages. */
  where: string;
  folder: SandboxFolder;
  /** What placeholders stand for, whichever call is made. */
  values: Values;
  signal: AbortSignal;
  /** Is given the id of each process group of the client. */
  onStart(group: number): void;
}

/** What stands for the identity where each call is a process of its own. */
const ONE_A_CALL: ProcessIdentity = { podUid: 'one process a call', restarts: 0 };

/** The client's processes on this host: one for each call, or one for all of them. */
export class ProcessClient {
  readonly #options: ClientOptions;
  readonly #written: string[] = [];
  #resident: ResidentClient | undefined;

  constructor(options: ClientOptions) {
    this.#options = options;
  }

  /**
   * Lets the client make one call: its command is run with the configuration of a set, or the process that was started
   * is asked.
   *
   * @returns undefined where it has not answered within `patienceMs`
   */
  async call(provider: string, set: string, patienceMs: number): Promise<CallAnswer | undefined> {
    const { run, where, folder, signal, onStart } = this.#options;
    const { trigger } = run;
    const values = { ...this.#options.values, ...callValues(provider, folder.at('config', set)) };
    if (trigger.kind === 'http') {
      if (this.#resident === undefined) {
        throw new HarnessError(`${where}: the client is called before it is started`);
      }
      return this.#resident.call(values, patienceMs);
    }
    const ended = await runToCompletion(
      fill(trigger.command, values, `${where}.trigger.command`),
      { env: this.#environment(values), cwd: folder.at('work'), patienceMs, signal, onStart },
      (text) => this.#written.push(text),
    );
    return ended === undefined ? undefined : resultOf(ended, trigger.success);
  }

  /**
   * Starts a client that is one process for all its calls, with the configuration of a set, in the place of the one
   * before.
   *
   * @returns why it cannot be called
   */
  async start(set: string): Promise<string | undefined> {
    const { run, where, folder, signal, onStart } = this.#options;
    if (run.trigger.kind !== 'http') {
      return undefined;
    }
    await this.end();
    const { command, ready, warmUp, kind: _kind, ...request } = run.trigger;
    const values = { ...this.#options.values, 'config.folder': folder.at('config', set) };
    const started = await startResident(
      {
        command: fill(command, values, `${where}.trigger.command`),
        env: this.#environment(values),
        cwd: folder.at('work'),
        ready,
        ...(warmUp === undefined ? {} : { warmUp }),
        startSeconds: run.startSeconds,
        request,
        where: `${where}.trigger`,
        signal,
        onStart,
      },
      (text) => this.#written.push(text),
    );
    if (typeof started === 'string') {
      return started;
    }
    this.#resident = started;
    return undefined;
  }

  /** Ends the process that is there for all calls. */
  async end(): Promise<void> {
    const current = this.#resident;
    this.#resident = undefined;
    await current?.end();
  }

  /** What identifies it; where each call is a process of its own, there is none that could be replaced. */
  identity(): ProcessIdentity {
    return this.#resident?.identity() ?? ONE_A_CALL;
  }

  /** The same once an end of it that is under way would be known. */
  async settledIdentity(): Promise<ProcessIdentity> {
    return (await this.#resident?.settledIdentity()) ?? ONE_A_CALL;
  }

  /** All that it wrote. */
  output(): string {
    return this.#written.join('');
  }

  #environment(values: Values): Record<string, string> {
    const { run, where } = this.#options;
    // Python keeps what it prints to a pipe until there are some KiB: what has not come would count as not written.
    return { PATH: process.env.PATH ?? '', PYTHONUNBUFFERED: '1', ...asText(fill(run.env, values, `${where}.env`)) };
  }
}
