import { availableParallelism } from 'node:os';
import type { Role } from '../requirements/catalogue.ts';
import type { Subject } from './protocol.ts';

/**
 * Twins of one role that are judged at the same time, for each core of the machine. What judges a cluster mostly waits, but
 * starts pods; what judges an identity provider is work for the one process that serves all embedded ones; a token client is
 * judged by the second, and must not starve. The references are judged at once.
 */
const AT_ONCE_PER_CORE: Partial<Record<Role, number>> = {
  cluster: 3,
  'identity-provider': 1,
  'token-client': 1.5,
  'job-runner': 1.5,
};

function limitOf(role: Role, cores: number): number {
  return Math.max(2, Math.floor((AT_ONCE_PER_CORE[role] ?? Number.POSITIVE_INFINITY) * cores));
}

/** Lets the subjects of a run in, some at a time: all requirements of a subject together, whichever file they are in. Lives in the main process. */
export class Turns {
  readonly #cores: number;
  readonly #open = new Map<string, { tests: number; entered: Promise<void> | undefined }>();
  readonly #inside = new Map<Role, number>();
  readonly #waiting = new Map<Role, (() => void)[]>();

  constructor(cores: number = availableParallelism()) {
    this.#cores = cores;
  }

  /** Counts one requirement of a subject, before any runs. */
  register({ name }: Subject): void {
    const entry = this.#open.get(name) ?? { tests: 0, entered: undefined };
    entry.tests += 1;
    this.#open.set(name, entry);
  }

  /** Waits until it is the subject's turn; the same for all of its requirements. */
  async enter(subject: Subject): Promise<void> {
    const entry = this.#open.get(subject.name);
    if (entry !== undefined) {
      entry.entered ??= this.#admit(subject.role);
      await entry.entered;
    }
  }

  /** One requirement of the subject is done; after the last one it is the next subject's turn. */
  leave({ name, role }: Subject): void {
    const entry = this.#open.get(name);
    if (entry === undefined) {
      return;
    }
    entry.tests -= 1;
    if (entry.tests > 0 || role === undefined) {
      return;
    }
    const next = this.#waiting.get(role)?.shift();
    if (next === undefined) {
      this.#inside.set(role, (this.#inside.get(role) ?? 1) - 1);
    } else {
      next();
    }
  }

  #admit(role: Role | undefined): Promise<void> {
    if (role === undefined) {
      return Promise.resolve();
    }
    const inside = this.#inside.get(role) ?? 0;
    if (inside < limitOf(role, this.#cores)) {
      this.#inside.set(role, inside + 1);
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      this.#waiting.set(role, [...(this.#waiting.get(role) ?? []), resolve]);
    });
  }
}
