import { z } from 'zod';
import { LabelSelectorError, parseLabelSelector } from '../core/label-selector.ts';

/** The version of the target file's shape. */
export const TARGET_API_VERSION = 'conformance/v1';

const text = z.string().trim().min(1);

/** A label selector, as the API server takes it. */
export const labelSelector = text.check(({ value, issues }) => {
  try {
    parseLabelSelector(value);
  } catch (error) {
    if (!(error instanceof LabelSelectorError)) {
      throw error;
    }
    issues.push({ code: 'custom', message: error.message, input: value });
  }
});

/** What every target file says of the implementation under test, whatever its role. */
export const targetBase = {
  apiVersion: z.literal(TARGET_API_VERSION),
  /** Lower case letters, digits and dashes: it names the subject in every report. */
  name: z.string().regex(/^[a-z][a-z0-9-]*$/, 'lower case letters, digits and dashes'),
  description: text.optional(),
  /** Version of the implementation, as its vendor says it. */
  version: text.optional(),
  /** Whose documents and defaults this file follows: a repository, and the commit that was read. */
  source: z
    .strictObject({ repository: z.url(), commit: z.string().regex(/^[0-9a-f]{40}$/, '40 hex digits') })
    .optional(),
  /** Which of several contracts it keeps, where versions differ: told in the report. */
  profile: text.optional(),
  /** Abilities that it declares: a requirement of an ability that is not here is not applicable, and says so. */
  capabilities: z.array(text).default([]),
};
