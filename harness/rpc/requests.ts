import { z } from 'zod';

/** Requests that a component was sent in a run, as far as anybody counted them. */
export const requestsSchema = z.strictObject({
  component: z.string(),
  counts: z
    .record(z.string(), z.int().nonnegative())
    .describe('requests by endpoint; an endpoint that is not here was not asked'),
  countedBy: z.string().describe('where the numbers are from'),
  notCounted: z.string().optional().describe('whose requests are not in them'),
});

export type Requests = z.infer<typeof requestsSchema>;
