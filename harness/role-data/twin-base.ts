import { z } from 'zod';

export const text = z.string().trim().min(1);

/** Lower case: it stands in file names, test titles and on the command line. */
export const twinName = z.string().regex(/^[a-z][a-z0-9-]*$/, 'lower case letters, digits and dashes');

/** What every twin has, whatever its role. */
export const twinBase = {
  name: twinName,
  /** What is broken, in a whole sentence. */
  fault: text,
  /**
   * How long the longest requirement takes with it, in seconds, where its fault makes one take longer than on the
   * references (what must happen does not, until a deadline): what takes longest is started first.
   */
  expectedSeconds: z.number().positive().optional(),
};
