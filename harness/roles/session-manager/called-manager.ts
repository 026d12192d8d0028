import { setTimeout as delay } from 'node:timers/promises';
import { HarnessError } from '../../core/errors.ts';
import { lastErrorLines, quoting } from '../../core/quotation.ts';
import type { OperationName } from '../../role-data/session-manager/target-file.ts';
import type { Call, CallOptions, Inputs, SessionManagerClient } from './driver.ts';
import type { Death, ManagerProcess } from './drivers/process.ts';
import type { HttpTarget } from './target.ts';

/** Beyond the time that a target documents for its start: a small machine is shared by many. */
const START_SLACK_SECONDS = 30;

/** After an answer that did not come its process may be about to end. */
const DYING_MS = 1_500;

/** A manager that is called: its process is started again where it has died, and what came of each call is kept. */
export class CalledManager {
  readonly calls: Call[] = [];
  /** Ends of its process that nobody had asked for. */
  readonly deaths: Death[] = [];
  readonly #target: HttpTarget;
  readonly #client: SessionManagerClient;
  readonly #startProcess: () => ManagerProcess;
  /** What processes that have ended wrote. */
  readonly #output: string[] = [];
  /** How many lines they wrote that are not kept. */
  #outputLost = 0;
  #running: ManagerProcess | undefined;
  /** The end of the process that runs is written down. */
  #isNoted = false;

  constructor(target: HttpTarget, client: SessionManagerClient, startProcess: () => ManagerProcess) {
    this.#target = target;
    this.#client = client;
    this.#startProcess = startProcess;
  }

  /** Starts its process. @returns false when it did not become ready */
  async start(): Promise<boolean> {
    this.#running = this.#startProcess();
    return this.#running.ready(this.#client, this.#target.startSeconds + START_SLACK_SECONDS);
  }

  async restart(): Promise<boolean> {
    this.#noteDeath(this.calls.at(-1));
    await this.stop();
    this.#forgetProcess();
    return this.start();
  }

  async stop(): Promise<void> {
    await this.#running?.stop();
  }

  async call<Name extends OperationName>(name: Name, input: Inputs[Name], options?: CallOptions): Promise<Call<Name>> {
    if (this.#running?.death !== undefined) {
      this.#noteDeath(this.calls.at(-1));
      this.#forgetProcess();
      await this.start();
    }
    const made = await this.#client.call(name, input, options);
    if (made.silence !== undefined && options?.signal?.aborted !== true) {
      await Promise.race([this.#running?.exited, delay(DYING_MS)]);
    }
    this.#noteDeath(made);
    this.calls.push(made);
    return made;
  }

  /**
   * Waits for an end of the process that its last call may have brought about: one that has answered may end a moment
   * later.
   */
  async settle(): Promise<void> {
    await Promise.race([this.#running?.exited, delay(DYING_MS)]);
    this.#noteDeath(this.calls.at(-1));
  }

  /** Writes the end of the process down, once, and with the call after which it came. */
  #noteDeath(call: Call | undefined): void {
    const death = this.#running?.death;
    if (death === undefined || this.#isNoted) {
      return;
    }
    this.#isNoted = true;
    this.deaths.push(death);
    if (call !== undefined) {
      call.died = `its process ${death.how}`;
      call.lastOutput = death.lastOutput;
    }
  }

  /** What it wrote, as far as it is kept. */
  output(): string[] {
    return [...this.#output, ...(this.#running?.output ?? [])];
  }

  /** How many lines it wrote that are not kept. */
  outputLost(): number {
    return this.#outputLost + (this.#running?.outputLost ?? 0);
  }

  /** Why it cannot be called, for a message. @throws HarnessError where it was not started */
  whyNotReady(): string {
    const { file, start, startSeconds } = this.#target;
    if (this.#running === undefined) {
      throw new HarnessError('the session manager was not started');
    }
    const { death, output, lastSeen } = this.#running;
    const why =
      death === undefined
        ? `GET ${start.ready} (start.ready of ${file}) was not answered 2xx within ${startSeconds + START_SLACK_SECONDS} s (${lastSeen ?? 'it was never asked'}): does it listen on \${port}, and is the path right`
        : `its process ${death.how} (start.command of ${file})`;
    return quoting(why, lastErrorLines(output, 5));
  }

  #forgetProcess(): void {
    this.#output.push(...(this.#running?.output ?? []));
    this.#outputLost += this.#running?.outputLost ?? 0;
    this.#running = undefined;
    this.#isNoted = false;
  }
}
