import { createHash } from 'node:crypto';

/**
 * Values in an order that is the same in every run and on every machine, and has nothing to do with the one that they
 * stand in: the first few are a fair sample.
 *
 * @param nameOf what the place of a value depends on; names that are different
 */
export function scattered<T>(values: readonly T[], nameOf: (value: T) => string): T[] {
  return values
    .map((value) => ({ value, key: createHash('sha256').update(nameOf(value)).digest('hex') }))
    .toSorted((one, other) => (one.key < other.key ? -1 : 1))
    .map(({ value }) => value);
}
