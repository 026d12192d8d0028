import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import type { Role } from '../catalogue/catalogue.ts';
import { UsageError } from '../core/errors.ts';
import { fill, type Values } from '../core/placeholders.ts';
import { clusterTargetSchema } from './schema/cluster.ts';
import { type IdentityProviderTarget, identityProviderTargetSchema } from './schema/identity-provider.ts';
import { type JobRunnerTarget, jobRunnerTargetSchema } from './schema/job-runner.ts';
import { sessionManagerTargetSchema } from './schema/session-manager.ts';
import { type TokenClientTarget, tokenClientTargetSchema } from './schema/token-client.ts';

/** The shape of a target file, by its role. */
export const targetSchema = z.discriminatedUnion('role', [
  clusterTargetSchema,
  identityProviderTargetSchema,
  jobRunnerTargetSchema,
  sessionManagerTargetSchema,
  tokenClientTargetSchema,
]);

export type TargetDefinition = z.infer<typeof targetSchema>;

/** A target file that was read. All of it is plain data, so that it can be sent to the test workers. */
export type Target<R extends Role = Role> = Extract<TargetDefinition, { role: R }> & TargetFile;

/** Where a target came from. */
interface TargetFile {
  /** The file's absolute path; other paths in it are relative to its folder. */
  file: string;
  folder: string;
  /** SHA-256 of the file, hexadecimal: a report names what it judged. */
  digest: string;
}

export type { IdentityProviderTarget, JobRunnerTarget, TokenClientTarget };

/**
 * Reads a target file. `${env.NAME}` and `${set.NAME}` in it are replaced; what only a run knows (`${cluster.issuer}` …) stays.
 *
 * @param given values of `--set NAME=value`
 * @throws UsageError that names the file, the place and what is wrong: unreadable, not YAML, wrong shape, a value that is not given
 */
export function loadTarget(path: string, given: Record<string, string> = {}): Target {
  const file = resolve(path);
  let source: string;
  try {
    source = readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(`the target file ${file} cannot be read: ${(error as Error).message}`);
  }
  const document = parseDocument(source, { prettyErrors: true });
  const [wrong] = document.errors;
  if (wrong !== undefined) throw new UsageError(`the target file ${file} is not YAML: ${wrong.message}`);
  const values: Values = {
    ...prefixed('env', process.env),
    ...prefixed('set', given),
  };
  const tree = fill(document.toJS() as unknown, values, file, /^(env|set)\./);
  const result = targetSchema.safeParse(tree);
  if (!result.success) {
    throw new UsageError(`the target file ${file} does not have the right shape:\n${z.prettifyError(result.error)}`);
  }
  const digest = createHash('sha256').update(source).digest('hex');
  return { ...result.data, file, folder: dirname(file), digest };
}

function prefixed(prefix: string, values: Record<string, string | undefined>): Values {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [`${prefix}.${name}`, value]));
}

/** The target of a role among those of a subject. */
export function targetOf<R extends Role>(targets: readonly Target[] | undefined, role: R): Target<R> | undefined {
  return targets?.find((target): target is Target<R> => (target.role as Role) === role);
}
