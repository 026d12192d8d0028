import { execFile } from 'node:child_process';
import { existsSync, rmSync, watch } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { promisify } from 'node:util';
import { HarnessError, UsageError } from '../../../core/errors.ts';
import { fill, type Values } from '../../../core/placeholders.ts';
import { redact } from '../../../core/redact.ts';
import { limitSeconds } from '../../../core/time-limits.ts';
import type { AdminRequest } from '../../../role-data/identity-provider/target-file.ts';
import { type AdminApi, sendAdminRequests } from '../admin-requests.ts';
import type { IdentityProviderTarget } from './servers.ts';

const COMMAND_DEADLINE_MS = limitSeconds('setupCommand') * 1_000;

/** How a target file applies a step to a provider: by requests, by hand, by a command. */
type SetupStep = Omit<NonNullable<IdentityProviderTarget['register']>, 'clientId' | 'clientSecret'>;

/** Applies the steps of a target file to providers: requests to their admin API, manual steps, a command. */
export class ProviderSetup {
  readonly #target: IdentityProviderTarget;
  readonly #admin: AdminApi | undefined;
  readonly #manualSteps: ManualSteps;

  /** @param notify shows a message to the person who waits */
  constructor(target: IdentityProviderTarget, admin: AdminApi | undefined, notify: (message: string) => void) {
    this.#target = target;
    this.#admin = admin;
    this.#manualSteps = new ManualSteps(target, notify);
  }

  /**
   * Sends requests to the admin API. @throws UsageError where there is no administrator, Error for an answer other than
   * 2xx
   */
  async request(requests: AdminRequest[], values: Values, where: string): Promise<void> {
    if (requests.length === 0) {
      return;
    }
    if (this.#admin === undefined) {
      throw new UsageError(`${this.#target.file}: ${where} needs "admin", the administrator of the provider`);
    }
    await sendAdminRequests(this.#admin, requests, values, `${this.#target.file}: ${where}`);
  }

  /**
   * Applies one step. @returns the JSON object that is the last line of the command's output; empty if there is none
   */
  async apply(
    { requests = [], manual, command }: SetupStep,
    values: Values,
    where: string,
  ): Promise<Record<string, unknown>> {
    await this.request(requests, values, `${where}.requests`);
    const place = `${this.#target.file}: ${where}`;
    if (manual !== undefined) {
      await this.#manualSteps.complete(fill(manual, values, `${place}.manual`));
    }
    if (command === undefined) {
      return {};
    }
    return runCommand(this.#target.folder, fill(command, values, `${place}.command`), values, `${place}.command`);
  }
}

/** Runs the user's command: the values are in its environment as `CLUSTER_ISSUER`, `WORKLOAD_SUBJECT` and so on. */
async function runCommand(
  folder: string,
  [program = '', ...args]: string[],
  values: Values,
  where: string,
): Promise<Record<string, unknown>> {
  const given = Object.fromEntries(
    Object.entries(values)
      .filter(([, value]) => typeof value === 'string' || typeof value === 'number')
      .map(([name, value]) => [
        name
          .replaceAll(/[.-]/g, '_')
          .replaceAll(/([a-z])([A-Z])/g, '$1_$2')
          .toUpperCase(),
        String(value),
      ]),
  );
  let stdout: string;
  try {
    ({ stdout } = await promisify(execFile)(program, args, {
      cwd: folder,
      env: { ...process.env, ...given },
      timeout: COMMAND_DEADLINE_MS,
    }));
  } catch (error) {
    const { message, stderr = '' } = error as Error & { stderr?: string };
    throw new HarnessError(redact(`${where} failed: ${message.split('\n')[0]}; its stderr: ${stderr.slice(-500)}`));
  }
  const last = stdout.trim().split('\n').at(-1) ?? '';
  if (!last.startsWith('{')) {
    return {};
  }
  try {
    return JSON.parse(last) as Record<string, unknown>;
  } catch {
    throw new HarnessError(redact(`${where}: its last line is no JSON object: ${last.slice(0, 200)}`));
  }
}

interface Steps {
  steps: string[];
  doneFile: string;
  deadlineSeconds: number;
}

/**
 * What a person does where no API does it. They are asked for everything that waits at once, and again for what arrived
 * meanwhile.
 */
class ManualSteps {
  readonly #target: IdentityProviderTarget;
  readonly #notify: (message: string) => void;
  #asked: Promise<void> = Promise.resolve();
  #next: { steps: string[]; done: Promise<void> } | undefined;

  constructor(target: IdentityProviderTarget, notify: (message: string) => void) {
    this.#target = target;
    this.#notify = notify;
  }

  /** Resolves when the person has made the file that marks the steps as done. */
  complete({ steps, doneFile, deadlineSeconds }: Steps): Promise<void> {
    if (this.#next === undefined) {
      const waiting: string[] = [];
      const done = this.#asked.then(() => {
        this.#next = undefined;
        return this.#await({ steps: waiting, doneFile, deadlineSeconds });
      });
      this.#next = { steps: waiting, done };
      // Where nobody did the steps before, the next ones are asked for all the same.
      this.#asked = done.catch(() => undefined);
    }
    this.#next.steps.push(...steps);
    return this.#next.done;
  }

  async #await({ steps, doneFile, deadlineSeconds }: Steps): Promise<void> {
    const file = resolve(this.#target.folder, doneFile);
    // A file from earlier is not about these steps.
    rmSync(file, { force: true });
    const { promise: done, resolve: finish, reject } = Promise.withResolvers<void>();
    const watcher = watch(dirname(file), (_, name) => {
      if (name === basename(file) && existsSync(file)) {
        finish();
      }
    });
    const timer = setTimeout(
      () => reject(new HarnessError(`nobody made ${file} within ${deadlineSeconds} s`)),
      deadlineSeconds * 1000,
    );
    this.#notify(
      [
        `waits for you (${deadlineSeconds} s at most); when all is done, make the file ${file}:`,
        ...steps.map((step, index) => `  ${index + 1}. ${step}`),
      ].join('\n'),
    );
    try {
      await done;
      rmSync(file, { force: true });
    } finally {
      watcher.close();
      clearTimeout(timer);
    }
  }
}
