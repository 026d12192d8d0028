import { z } from 'zod';
import { readIncompatiblePair } from '../core/incompatible-pair.ts';

/** Two good parts that cannot work together, and the requirements that nothing can be said of for that reason. */
export const incompatibilitySchema = z.strictObject({
  between: z.tuple([z.string(), z.string()]).describe('names of the two parts'),
  why: z.string(),
  remedy: z.string(),
  requirements: z.array(z.string()).min(1).describe('not applicable for this reason'),
});

type Incompatibility = z.infer<typeof incompatibilitySchema>;

/** Each incompatible pair that a result tells of, once. */
export function collectIncompatibilities(
  results: { id: string; outcome: string; reason?: string | undefined }[],
): Incompatibility[] {
  const found = new Map<string, Incompatibility>();
  for (const { id, outcome, reason } of results) {
    const pair = outcome === 'not applicable' ? readIncompatiblePair(reason) : undefined;
    if (pair === undefined) {
      continue;
    }
    const key = JSON.stringify(pair);
    found.set(key, { ...pair, requirements: [...(found.get(key)?.requirements ?? []), id] });
  }
  return [...found.values()];
}
