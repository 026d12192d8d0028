import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ApiFault } from '../../../rpc/target-access.ts';
import { EXPIRED_EVENT } from './fault-answers.ts';
import type { ArmedFaults } from './faults.ts';
import { logCutter } from './log-cutter.ts';
import type { Exchange } from './recorder.ts';
import type { OpenWatch, OpenWatches } from './watches.ts';

/** Longer bodies are no refusals of an API server. */
const LONGEST_REFUSAL = 16_384;
const REFUSALS = new Set([401, 403]);

const LINE_FEED = 0x0a;

/** The body of one answer on its way from the API server to the target; a fault may end it. */
export class AnswerRelay implements OpenWatch {
  readonly exchange: Exchange;
  readonly #from: IncomingMessage;
  readonly #to: ServerResponse;
  readonly #onComplete: ((body: Buffer) => void) | undefined;
  readonly #body: Buffer[] = [];
  readonly #refusal: Buffer[] = [];
  #isEnded = false;
  #isAtLineEnd = true;

  /**
   * @param exchange its record already has the status
   * @param onComplete receives the body once it has passed to its end; without it no body is held
   */
  constructor(exchange: Exchange, from: IncomingMessage, to: ServerResponse, onComplete?: (body: Buffer) => void) {
    this.exchange = exchange;
    this.#from = from;
    this.#to = to;
    this.#onComplete = onComplete;
  }

  /** Starts to pass the body on. */
  start(faults: ArmedFaults, watches: OpenWatches): void {
    const { asked, record } = this.exchange;
    const closeWatch = asked.verb === 'watch' && record.code === 200 ? watches.add(this) : undefined;
    const isLog = asked.subresource === 'log' && record.code === 200;
    const cut = isLog ? faults.take(['cut-log'], asked) : undefined;
    const cutAt = cut === undefined ? undefined : logCutter(cut);
    this.#from.on('data', (chunk: Buffer) => {
      const length = this.#isEnded ? undefined : cutAt?.(chunk);
      if (cut !== undefined && length !== undefined) {
        this.#write(chunk.subarray(0, length), () => this.#stop(cut));
        this.#isEnded = true;
      } else if (!this.#isEnded) {
        this.#write(chunk);
      }
    });
    this.#from.on('end', () => this.#complete());
    // An answer that the API server aborted must not look complete to the target.
    this.#from.on('error', () => {
      if (!this.#isEnded) {
        this.#to.destroy();
      }
    });
    this.#to.on('close', () => {
      closeWatch?.();
      this.#from.destroy();
      this.exchange.finish();
    });
  }

  /** Ends a watch as a fault has it: `expired` with its event, where the stream is between two events. */
  end(fault: ApiFault): void {
    if (fault.kind === 'expired' && this.#isAtLineEnd) {
      this.#to.write(EXPIRED_EVENT);
    }
    this.#stop(fault);
  }

  /** @param onCut the last part of an answer that is cut; called once it is written */
  #write(part: Buffer, onCut?: () => void): void {
    const bytes = this.exchange.count(part.length);
    this.#isAtLineEnd = part.at(-1) === LINE_FEED;
    if (REFUSALS.has(this.exchange.record.code) && bytes <= LONGEST_REFUSAL) {
      this.#refusal.push(part);
    }
    if (this.#onComplete !== undefined) {
      this.#body.push(part);
    }
    if (onCut !== undefined) {
      this.#to.write(part, onCut);
    } else if (!this.#to.write(part)) {
      this.#from.pause();
      this.#to.once('drain', () => this.#from.resume());
    }
  }

  #complete(): void {
    if (REFUSALS.has(this.exchange.record.code)) {
      this.exchange.keepMessage(this.#refusal);
    }
    if (!this.#isEnded) {
      this.#onComplete?.(Buffer.concat(this.#body));
      this.#to.end();
    }
  }

  #stop(fault: ApiFault): void {
    this.#isEnded = true;
    this.exchange.blame(fault);
    this.#from.destroy();
    if (fault.clean === true || fault.kind === 'expired') {
      this.#to.end();
    } else {
      // Without its last chunk: the client knows that this was not the end.
      this.#to.destroy();
    }
  }
}
