import { z } from 'zod';
import { twinBase, twinName } from '../twin-base.ts';

/** A twin of the role `token-client`: how it is broken. */
export const tokenClientTwinSchema = z.strictObject({
  ...twinBase,
  role: z.literal('token-client'),
  tokenClient: z.strictObject({
    /** A folder of fixtures/workloads/token-client-twins. */
    variant: twinName,
    /** True where it runs as the pod of the reference's target file, and is asked only what it must fail. */
    asTarget: z.literal(true).optional(),
    /** What that target file declares beside what the reference's does. */
    declares: z.strictObject({ tokenReloadSeconds: z.number().positive().optional() }).optional(),
  }),
});
