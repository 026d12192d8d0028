import { NotApplicable } from './errors.ts';

/** Two good parts that cannot work together: neither of them has failed. */
export interface IncompatiblePair {
  /** The two parts, by name. */
  between: [string, string];
  /** What the one does and the other does not take, a sentence. */
  why: string;
  /** What a user can do, a sentence. */
  remedy: string;
}

const SHAPE = /^incompatible pair: (\S+) and (\S+): (.+) Remedy: (.+)$/s;

/**
 * What a requirement is ended with that such a pair cannot show: not applicable, with a reason that
 * {@link readIncompatiblePair} knows.
 */
export function incompatiblePair({ between: [one, other], why, remedy }: IncompatiblePair): NotApplicable {
  return new NotApplicable(`incompatible pair: ${one} and ${other}: ${why} Remedy: ${remedy}`);
}

/** The pair that a reason names, or undefined. */
export function readIncompatiblePair(reason: string | undefined): IncompatiblePair | undefined {
  const [, one, other, why, remedy] = SHAPE.exec(reason ?? '') ?? [];
  if (one === undefined || other === undefined || why === undefined || remedy === undefined) {
    return undefined;
  }
  return { between: [one, other], why, remedy };
}
