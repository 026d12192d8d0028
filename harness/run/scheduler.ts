import { availableParallelism } from 'node:os';
import { type Load, machineLoad } from '../core/load.ts';
import type { Role } from '../role-data/index.ts';
import { ROLE_DEFINITIONS, roleDefinition } from '../roles/index.ts';
import type { Candidate } from '../rpc/candidate.ts';

/** So many twins for each core are admitted however busy the machine is, and so many at the most. */
const TWINS_AT_LEAST_PER_CORE = 1;
const TWINS_AT_MOST_PER_CORE = 12;

/** So many requirements for each core begin at once, however busy the machine is. */
const ROWS_AT_ONCE_PER_CORE = 4;
/** So many more are admitted at each look while there is room, and at least one every so many looks. */
const ROWS_PER_LOOK = 3;
const LOOKS_PER_ROW = 6;

/** There is room for more while this share of the machine, or less, is used. */
const ROOM_BELOW = 0.7;

/** How often that is looked at. What was admitted at one look is at work, and seen, at the next. */
const LOOK_EVERY_MS = 250;
/** A twin is many requirements: it is seen to be at work later. */
const LOOKS_PER_TWIN = 4;

export interface SchedulerOptions {
  cores?: number;
  load?: Load;
  lookEveryMs?: number;
}

interface WaitingTwin {
  role: Role;
  /** Of its longest requirement. */
  seconds: number;
  requirements: number;
  admit: () => void;
}

interface WaitingRow {
  seconds: number;
  /** Rows of one observation are admitted together: only the first one does any work. */
  observation: string | undefined;
  admit: () => void;
}

/**
 * Admits what a run evaluates, as fast as the machine has room for it. What takes longest begins first: most of a run's
 * time is waiting (for an expiry, a rotation, a pod), which costs nothing, so that the machine is kept busy by the rest
 * and never starved. A machine that is starved spoils verdicts. The requirements of the references and of targets are
 * admitted one by one; twins as a whole, with all of their requirements, whichever file these are in. Lives in the main
 * process.
 */
export class Scheduler {
  readonly #cores: number;
  readonly #load: Load;
  readonly #lookEveryMs: number;
  readonly #open = new Map<string, { tests: number; admitted: Promise<void> | undefined }>();
  readonly #seconds = new Map<string, number>();
  readonly #inside = new Map<Role, number>();
  /** Observations that have begun. */
  readonly #observed = new Set<string>();
  #twins: WaitingTwin[] = [];
  #rows: WaitingRow[] = [];
  #begun = 0;
  #looks = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor({
    cores = availableParallelism(),
    load = machineLoad(),
    lookEveryMs = LOOK_EVERY_MS,
  }: SchedulerOptions = {}) {
    this.#cores = cores;
    this.#load = load;
    this.#lookEveryMs = lookEveryMs;
  }

  /** Counts one requirement of a candidate, before any runs. @param expectedSeconds 0 where nothing is known of it */
  register({ name }: Candidate, id: string, expectedSeconds: number): void {
    const entry = this.#open.get(name) ?? { tests: 0, admitted: undefined };
    entry.tests += 1;
    this.#open.set(name, entry);
    this.#seconds.set(`${name} ${id}`, expectedSeconds);
  }

  /**
   * Settled once a requirement of a candidate may begin; for a twin the same for all of its requirements.
   *
   * @param observation names what it is evaluated from; requirements of the same one begin together
   */
  async admit(candidate: Candidate, id: string, observation?: string): Promise<void> {
    const entry = this.#open.get(candidate.name);
    if (entry === undefined) {
      return;
    }
    if (candidate.kind === 'twin') {
      entry.admitted ??= this.#queueTwin({
        role: candidate.twin.role,
        seconds: Math.max(
          candidate.twin.expectedSeconds ?? 0,
          ...candidate.planned.map((planned) => this.#secondsOf(candidate, planned)),
        ),
        requirements: candidate.planned.length,
      });
      await entry.admitted;
    } else {
      await this.#queueRow(this.#secondsOf(candidate, id), observation);
    }
  }

  /**
   * One requirement of the candidate is done; after the last one of a twin there is room for another.
   *
   * @returns true after the last one
   */
  done(candidate: Candidate): boolean {
    const entry = this.#open.get(candidate.name);
    if (entry === undefined) {
      return false;
    }
    entry.tests -= 1;
    if (entry.tests > 0) {
      return false;
    }
    if (candidate.kind === 'twin') {
      const { role } = candidate.twin;
      this.#inside.set(role, this.#insideOf(role) - 1);
      this.#admitLeastTwins();
    }
    return true;
  }

  #secondsOf({ name }: Candidate, id: string): number {
    return this.#seconds.get(`${name} ${id}`) ?? 0;
  }

  #queueTwin(twin: Omit<WaitingTwin, 'admit'>): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#twins.push({ ...twin, admit: resolve });
    this.#twins.sort(
      (one, other) =>
        other.seconds - one.seconds || orderOf(one.role) - orderOf(other.role) || other.requirements - one.requirements,
    );
    this.#admitLeastTwins();
    this.#startLooking();
    return promise;
  }

  #queueRow(seconds: number, observation: string | undefined): Promise<void> {
    if (observation !== undefined && this.#observed.has(observation)) {
      return Promise.resolve();
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#rows.push({ seconds, observation, admit: resolve });
    this.#rows.sort((one, other) => other.seconds - one.seconds);
    this.#startLooking();
    return promise;
  }

  #startLooking(): void {
    this.#timer ??= setInterval(() => this.#look(), this.#lookEveryMs).unref();
  }

  #look(): void {
    this.#looks += 1;
    const hasRoom = this.#load.busy() < ROOM_BELOW;
    if (this.#looks % LOOKS_PER_TWIN === 0 && hasRoom && this.#total < TWINS_AT_MOST_PER_CORE * this.#cores) {
      this.#admitNextTwin();
    }
    // Requirements ask in the order of their files: at the first look all have asked, and the longest are known.
    const first = Math.max(0, ROWS_AT_ONCE_PER_CORE * this.#cores - this.#begun);
    const more = hasRoom ? ROWS_PER_LOOK : Number(this.#looks % LOOKS_PER_ROW === 0);
    for (let admitted = 0; admitted < Math.max(first, more) && this.#rows.length > 0; admitted += 1) {
      this.#begun += 1;
      this.#admitNextRow();
    }
    if (this.#twins.length > 0 || this.#rows.length > 0) {
      return;
    }
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #admitNextRow(): void {
    const next = this.#rows.shift();
    next?.admit();
    const observation = next?.observation;
    if (observation === undefined) {
      return;
    }
    this.#observed.add(observation);
    const together = this.#rows.filter((row) => row.observation === observation);
    this.#rows = this.#rows.filter((row) => row.observation !== observation);
    for (const row of together) {
      row.admit();
    }
  }

  #insideOf(role: Role): number {
    return this.#inside.get(role) ?? 0;
  }

  get #total(): number {
    return [...this.#inside.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Admits what the machine takes however busy it is. */
  #admitLeastTwins(): void {
    const least = Math.max(1, TWINS_AT_LEAST_PER_CORE * this.#cores);
    while (this.#total < least && this.#admitNextTwin()) {}
    const isOwed = (role: Role): boolean => {
      const { twinsAtLeastPerCore } = roleDefinition(role);
      return twinsAtLeastPerCore !== undefined && this.#insideOf(role) < twinsAtLeastPerCore * this.#cores;
    };
    while (this.#admitNextTwin(isOwed)) {}
  }

  /**
   * @param isMeant of which roles one is to be admitted; absent: of any
   * @returns false where nobody waits whose role has room
   */
  #admitNextTwin(isMeant: (role: Role) => boolean = () => true): boolean {
    const index = this.#twins.findIndex(({ role }) => {
      const atMost = roleDefinition(role).twinsPerCore ?? TWINS_AT_MOST_PER_CORE;
      return isMeant(role) && this.#insideOf(role) < Math.max(1, atMost * this.#cores);
    });
    const [next] = index < 0 ? [] : this.#twins.splice(index, 1);
    if (next === undefined) {
      return false;
    }
    this.#inside.set(next.role, this.#insideOf(next.role) + 1);
    next.admit();
    return true;
  }
}

/** Those that wait longest go first; see {@link ROLE_DEFINITIONS}. */
function orderOf(role: Role): number {
  return ROLE_DEFINITIONS.findIndex((definition) => definition.role === role);
}
