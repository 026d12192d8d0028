import { availableParallelism } from 'node:os';
import type { Role } from '../catalogue/catalogue.ts';
import { type Load, machineLoad } from '../core/load.ts';
import { ROLE_DEFINITIONS, roleDefinition } from '../roles/index.ts';
import type { Candidate } from '../rpc/candidate.ts';

/** So many twins for each core are let in however busy the machine is, and so many at the most. */
const AT_LEAST_PER_CORE = 1;
const AT_MOST_PER_CORE = 12;

/** A further twin is let in where this share of the machine, or less, is used. */
const ROOM_BELOW = 0.7;

/** How often that is looked at. What was let in at one look is at work, and seen, at the next. */
const LOOK_EVERY_MS = 1_000;

/** Those that wait longest go first; see {@link ROLE_DEFINITIONS}. */
function orderOf(role: Role): number {
  return ROLE_DEFINITIONS.findIndex((definition) => definition.role === role);
}

export interface TurnsOptions {
  cores?: number;
  load?: Load;
  lookEveryMs?: number;
}

interface Waiting {
  role: Role;
  requirements: number;
  admit: () => void;
}

/**
 * Lets the candidates of a run in, as many at a time as the machine has room for: all requirements of a candidate together, whichever file
 * they are in. Most of a twin's time is waiting (for an expiry, a rotation, a pod), so that a fixed number would either leave the
 * machine idle or make it stall, which spoils verdicts. The references never wait. Lives in the main process.
 */
export class Turns {
  readonly #cores: number;
  readonly #load: Load;
  readonly #lookEveryMs: number;
  readonly #open = new Map<string, { tests: number; entered: Promise<void> | undefined }>();
  readonly #inside = new Map<Role, number>();
  #waiting: Waiting[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor({
    cores = availableParallelism(),
    load = machineLoad(),
    lookEveryMs = LOOK_EVERY_MS,
  }: TurnsOptions = {}) {
    this.#cores = cores;
    this.#load = load;
    this.#lookEveryMs = lookEveryMs;
  }

  /** Counts one requirement of a candidate, before any runs. */
  register({ name }: Candidate): void {
    const entry = this.#open.get(name) ?? { tests: 0, entered: undefined };
    entry.tests += 1;
    this.#open.set(name, entry);
  }

  /** Waits until it is the candidate's turn; the same for all of its requirements. */
  async enter(candidate: Candidate): Promise<void> {
    const entry = this.#open.get(candidate.name);
    if (entry !== undefined) {
      entry.entered ??= this.#queue(candidate);
      await entry.entered;
    }
  }

  /**
   * One requirement of the candidate is done; after the last one there is room for another candidate.
   *
   * @returns true after the last one
   */
  leave(candidate: Candidate): boolean {
    const entry = this.#open.get(candidate.name);
    if (entry === undefined) return false;
    entry.tests -= 1;
    if (entry.tests > 0) return false;
    if (candidate.kind === 'twin') {
      const { role } = candidate.twin;
      this.#inside.set(role, this.#insideOf(role) - 1);
      this.#admitAtLeast();
    }
    return true;
  }

  #queue(candidate: Candidate): Promise<void> {
    if (candidate.kind !== 'twin') return Promise.resolve();
    const { planned, twin } = candidate;
    const { role } = twin;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push({ role, requirements: planned.length, admit: resolve });
    this.#waiting.sort(
      (one, other) => orderOf(one.role) - orderOf(other.role) || other.requirements - one.requirements,
    );
    this.#admitAtLeast();
    this.#timer ??= setInterval(() => this.#look(), this.#lookEveryMs).unref();
    return promise;
  }

  #insideOf(role: Role): number {
    return this.#inside.get(role) ?? 0;
  }

  get #total(): number {
    return [...this.#inside.values()].reduce((sum, count) => sum + count, 0);
  }

  #admitAtLeast(): void {
    while (this.#total < Math.max(1, AT_LEAST_PER_CORE * this.#cores) && this.#admitNext());
  }

  #look(): void {
    const busy = this.#load.busy();
    if (busy < ROOM_BELOW && this.#total < AT_MOST_PER_CORE * this.#cores) this.#admitNext();
    if (this.#waiting.length > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** @returns false where nobody waits whose role has room */
  #admitNext(): boolean {
    const index = this.#waiting.findIndex(
      ({ role }) =>
        this.#insideOf(role) < Math.max(1, (roleDefinition(role).twinsPerCore ?? AT_MOST_PER_CORE) * this.#cores),
    );
    const [next] = index < 0 ? [] : this.#waiting.splice(index, 1);
    if (next === undefined) return false;
    this.#inside.set(next.role, this.#insideOf(next.role) + 1);
    next.admit();
    return true;
  }
}
