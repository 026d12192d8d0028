import type { IncomingMessage } from 'node:http';
import type { Answer } from './fault-answers.ts';
import type { ArmedFaults } from './faults.ts';
import type { Exchange } from './recorder.ts';

const READ_VERBS = new Set(['get', 'list']);

/** What `stale` makes of a read: the answer that was given first, or a place to keep the one that comes. */
export type StaleRead = { answer: Answer } | { keep: (answer: Answer) => void };

/** Repeats the first answer to each read while `stale` is in force, as if no controller had acted since. */
export class StaleAnswers {
  readonly #faults: ArmedFaults;
  /** By address and accepted form. */
  #answers = new Map<string, Answer>();

  constructor(faults: ArmedFaults) {
    this.#faults = faults;
  }

  /** Forgets all answers; those under way are not kept either. */
  clear(): void {
    this.#answers = new Map();
  }

  /** @returns undefined where `stale` is not in force for this request */
  read(exchange: Exchange, { url = '', headers: { accept = '' } }: IncomingMessage): StaleRead | undefined {
    const { asked } = exchange;
    if (!READ_VERBS.has(asked.verb) || asked.subresource !== undefined) {
      return undefined;
    }
    const fault = this.#faults.take(['stale'], asked);
    if (fault === undefined) {
      return undefined;
    }
    const answers = this.#answers;
    const key = `${accept} ${url}`;
    const known = answers.get(key);
    if (known !== undefined) {
      exchange.blame(fault);
      return { answer: known };
    }
    return {
      keep: (answer) => {
        if (answer.code === 200) {
          answers.set(key, answer);
        }
      },
    };
  }
}
