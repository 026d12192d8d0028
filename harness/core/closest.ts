/** What is further away than this part of its length is not what was meant. */
const TOLERANCE = 0.4;
const AT_MOST = 3;

/**
 * Edit distance of two words: the number of characters to insert, delete, replace or swap with the next one
 * (optimal string alignment).
 */
function distance(from: string, to: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let row = 1; row <= from.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= to.length; column += 1) {
      const cost = from[row - 1] === to[column - 1] ? 0 : 1;
      let best = Math.min((last[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1, (last[column - 1] ?? 0) + cost);
      if (row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1]) {
        best = Math.min(best, (beforeLast[column - 2] ?? 0) + 1);
      }
      current.push(best);
    }
    beforeLast = last;
    last = current;
  }
  return last[to.length] ?? 0;
}

/**
 * The known names that a mistyped one may stand for: those at the smallest edit distance, upper and lower case alike.
 *
 * @returns none where nothing is near; three at most, in the order of `known`
 */
export function closest(name: string, known: readonly string[]): string[] {
  const limit = Math.max(1, Math.floor(name.length * TOLERANCE));
  const distances = known.map((each) => ({ each, by: distance(name.toLowerCase(), each.toLowerCase()) }));
  const least = Math.min(...distances.map(({ by }) => by));
  return least > limit
    ? []
    : distances
        .filter(({ by }) => by === least)
        .slice(0, AT_MOST)
        .map(({ each }) => each);
}

/** ` Did you mean a, b or c?` with a space before it, or nothing where no known name is near. */
export function didYouMean(name: string, known: readonly string[]): string {
  const near = closest(name, known);
  const last = near.pop();
  if (last === undefined) {
    return '';
  }
  return ` Did you mean ${near.length === 0 ? last : `${near.join(', ')} or ${last}`}?`;
}
