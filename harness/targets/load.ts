import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { UsageError } from '../core/errors.ts';
import { describeUnresolved, fillKnown, type Values } from '../core/placeholders.ts';
import type { Role } from '../role-data/index.ts';
import { targetSchema } from '../role-data/index.ts';

export type TargetDefinition = z.infer<typeof targetSchema>;

/** A target file that was read. All of it is plain data, so that it can be sent to the test workers. */
export type Target<R extends Role = Role> = FromFile<Extract<TargetDefinition, { role: R }>>;

/** What a target file says, and where it was read. */
export type FromFile<T extends TargetDefinition> = T & TargetFile;

/** Where a target came from. */
interface TargetFile {
  /** The file's absolute path; other paths in it are relative to its folder. */
  file: string;
  folder: string;
  /** SHA-256 of the file, hexadecimal: a report names what was evaluated. */
  digest: string;
}

const references = new Map<string, Target>();

/**
 * The target file of a reference, which does not change while a run goes on and is asked for at each requirement.
 *
 * @param path absolute
 */
export function loadReference(path: string): Target {
  const known = references.get(path) ?? loadTarget(path);
  references.set(path, known);
  return structuredClone(known);
}

/**
 * Reads a target file. `${env.NAME}` and `${set.NAME}` in it are replaced; what only a run knows (`${cluster.issuer}`
 * …) stays.
 *
 * @param given values of `--set NAME=value`
 * @throws UsageError that names the file, each place and what is wrong there: unreadable, not YAML, wrong shape, a
 *   value that is not given
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
  if (wrong !== undefined) {
    throw new UsageError(`the target file ${file} is not YAML: ${wrong.message}`);
  }
  const values: Values = {
    ...prefixed('env', process.env),
    ...prefixed('set', given),
  };
  const { filled, unresolved } = fillKnown(document.toJS() as unknown, values, file, /^(env|set)\./);
  const result = parseGiven(filled, new Set(Object.values(given)));
  // What a placeholder without a value would have been is not known: it is told as missing, and not as of the wrong
  // shape.
  const issues = result.success
    ? []
    : withinUnions(result.error.issues).filter((issue) => !isPlaceholder(valueAt(filled, issue.path)));
  const faults = [
    ...(unresolved.length === 0 ? [] : [describeUnresolved(unresolved, values)]),
    ...(issues.length === 0
      ? []
      : [`the target file ${file} does not have the right shape:\n${z.prettifyError(new z.ZodError(issues))}`]),
  ];
  if (!result.success || faults.length > 0) {
    throw new UsageError(faults.join('\n'));
  }
  const digest = createHash('sha256').update(source).digest('hex');
  return { ...result.data, file, folder: dirname(file), digest };
}

/** Numbers and booleans that were given by `--set` or a variable are text until the schema asks for something else. */
function parseGiven(tree: unknown, given: ReadonlySet<string>): z.ZodSafeParseResult<TargetDefinition> {
  const first = targetSchema.safeParse(tree);
  if (first.success || given.size === 0) {
    return first;
  }
  const converted = structuredClone(tree);
  for (const { path, code, ...issue } of withinUnions(first.error.issues)) {
    const expected = code === 'invalid_type' && 'expected' in issue ? issue.expected : undefined;
    const value = valueAt(converted, path);
    if (typeof value !== 'string' || !given.has(value)) {
      continue;
    }
    const other = convert(value, expected);
    const parent = valueAt(converted, path.slice(0, -1));
    if (other !== undefined && typeof parent === 'object' && parent !== null) {
      Object.assign(parent, { [String(path.at(-1))]: other });
    }
  }
  return targetSchema.safeParse(converted);
}

/**
 * Of a value that has none of several shapes Zod says no more than that: these are what is wrong with it as the shape
 * that it is closest to.
 */
function withinUnions(issues: readonly z.core.$ZodIssue[]): z.core.$ZodIssue[] {
  return issues.flatMap((issue) => {
    if (issue.code !== 'invalid_union' || issue.errors.length === 0) {
      return [issue];
    }
    const [closest] = issue.errors
      .map((errors) => withinUnions(errors))
      .sort((one, other) => distance(one) - distance(other));
    return (closest ?? []).map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] }));
  });
}

/** Keys that should not be there count each. */
function distance(issues: readonly z.core.$ZodIssue[]): number {
  return issues.reduce((sum, issue) => sum + (issue.code === 'unrecognized_keys' ? issue.keys.length : 1), 0);
}

function convert(value: string, expected: unknown): number | boolean | undefined {
  if (expected === 'boolean' && /^(true|false)$/.test(value)) {
    return value === 'true';
  }
  if ((expected === 'number' || expected === 'int') && value.trim() !== '' && Number.isFinite(Number(value))) {
    return Number(value);
  }
  return undefined;
}

function valueAt(tree: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (part, key) =>
      typeof part === 'object' && part !== null ? (part as Record<PropertyKey, unknown>)[key] : undefined,
    tree,
  );
}

function isPlaceholder(value: unknown): boolean {
  return typeof value === 'string' && /\$\{(env|set)\./.test(value);
}

function prefixed(prefix: string, values: Record<string, string | undefined>): Values {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [`${prefix}.${name}`, value]));
}

/** The target of a role among those of a candidate. */
export function targetOf<R extends Role>(targets: readonly Target[] | undefined, role: R): Target<R> | undefined {
  return targets?.find((target): target is Target<R> => (target.role as Role) === role);
}
