import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { UsageError } from '../../core/errors.ts';
import { type Role, roleSchema } from '../../role-data/index.ts';
import { ROLE_DEFINITIONS } from '../../roles/index.ts';

const text = z.string().trim().min(1);

/** Roles whose implementation a kubeconfig leads to. */
const WITHOUT_TARGET: readonly Role[] = ROLE_DEFINITIONS.filter(
  ({ isReachedByKubeconfig }) => isReachedByKubeconfig === true,
).map(({ role }) => role);

const productSchema = z
  .strictObject({
    apiVersion: z.literal('conformance-product/v1'),
    vendor: text.describe('who makes it'),
    name: text.describe('what it is called'),
    version: text.describe('of the product'),
    role: roleSchema,
    target: text
      .optional()
      .describe('its target file, from here; absent only for a cluster that is reached by a kubeconfig'),
    description: text.optional(),
    website: z.url().optional(),
    documentation: z.url().optional(),
    repository: z.url().optional(),
    contact: text.optional(),
  })
  .refine(({ role, target }) => target !== undefined || WITHOUT_TARGET.includes(role), {
    path: ['target'],
    message: `needed for every role but ${WITHOUT_TARGET.join(', ')}`,
  });

/** What a bundle certifies, as its vendor describes it. */
export type Product = z.infer<typeof productSchema>;

/**
 * A product from the text of its file.
 *
 * @param file for messages
 * @throws UsageError that names the file and what is wrong
 */
export function parseProduct(source: string, file: string): Product {
  const document = parseDocument(source, { prettyErrors: true });
  const [wrong] = document.errors;
  if (wrong !== undefined) {
    throw new UsageError(`the product file ${file} is not YAML: ${wrong.message}`);
  }
  const result = productSchema.safeParse(document.toJS());
  if (!result.success) {
    throw new UsageError(`the product file ${file} does not have the right shape:\n${z.prettifyError(result.error)}`);
  }
  return result.data;
}

/**
 * Reads a product file.
 *
 * @returns the product, its text, and the path of its target file
 * @throws UsageError that names the file and what is wrong
 */
export function loadProduct(file: string): { product: Product; source: string; target?: string } {
  let source: string;
  try {
    source = readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(`the product file ${file} cannot be read: ${(error as Error).message}`);
  }
  const product = parseProduct(source, file);
  return {
    product,
    source,
    ...(product.target === undefined ? {} : { target: join(dirname(file), product.target) }),
  };
}
