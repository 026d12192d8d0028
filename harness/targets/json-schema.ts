import { z } from 'zod';
import { targetSchema } from '../role-data/index.ts';

/** A value that is filled in when the file is read, or when the run knows it. */
const PLACEHOLDER = { type: 'string', pattern: '^\\$\\{[A-Za-z][A-Za-z0-9._-]*\\}$' } as const;

/**
 * The JSON Schema of target files (draft 2020-12), for editors: what an author writes, so that defaults may be left
 * out, and a placeholder may stand where a number or a boolean is wanted.
 */
export function targetJsonSchema(): Record<string, unknown> {
  return z.toJSONSchema(targetSchema, {
    target: 'draft-2020-12',
    io: 'input',
    unrepresentable: 'any',
    override({ jsonSchema }) {
      const { type, ...rest } = jsonSchema;
      if (type !== 'number' && type !== 'integer' && type !== 'boolean') {
        return;
      }
      for (const key of Object.keys(jsonSchema)) {
        delete jsonSchema[key as keyof typeof jsonSchema];
      }
      jsonSchema.anyOf = [{ ...rest, type }, { ...PLACEHOLDER }];
    },
  });
}
