/** What several findings have in common, and each of them. */
export interface Cause {
  /** The sentence, with `…` wherever the findings differ. */
  cause: string;
  count: number;
  texts: string[];
}

/** More texts than these of one cause are counted, not kept. */
const TEXTS_KEPT = 50;

/** HTTP statuses that findings name. */
const STATUSES = new Set(
  '200 201 202 204 301 302 303 307 308 400 401 403 404 405 409 410 413 415 422 429 500 501 502 503 504'.split(' '),
);

/**
 * The form of a sentence: what varies from one finding to the next (times, digests, generated names, numbers) is
 * replaced by `…`.
 * HTTP statuses and ids of requirements stay: they distinguish two causes.
 */
export function shapeOf(text: string): string {
  return text
    .split(/(\s+)/)
    .map((word) => {
      const bare = word.replace(/^[([{"'`]+|[)\]}"'`.,;:!?]+$/g, '');
      if (!/\d/.test(bare) || STATUSES.has(bare) || /^[A-Z]{2}-\d{2}[a-z]?$/.test(bare)) {
        return word;
      }
      return word.replace(bare, '…');
    })
    .join('')
    .replace(/…(?:\s*…)+/g, '…');
}

/** Findings by their cause, in the order in which each cause was met first; none is lost from the counts. */
export function groupByCause(texts: readonly string[]): Cause[] {
  const causes = new Map<string, string[]>();
  for (const text of texts) {
    const shape = shapeOf(text);
    const known = causes.get(shape);
    if (known === undefined) {
      causes.set(shape, [text]);
    } else {
      known.push(text);
    }
  }
  return [...causes].map(([shape, all]) => {
    const distinct = [...new Set(all)];
    return {
      cause: distinct.length === 1 ? (distinct[0] ?? shape) : shape,
      count: all.length,
      texts: distinct.slice(0, TEXTS_KEPT),
    };
  });
}
