import { closest } from './closest.ts';
import { UsageError } from './errors.ts';

/** Values by name, for example `cluster.issuer`; a value that is an object stands for a tree of its own. */
export type Values = Record<string, unknown>;

const PLACEHOLDER = /\$?\$\{([A-Za-z][A-Za-z0-9._-]*)\}/g;
const WHOLE = /^\$\{([A-Za-z][A-Za-z0-9._-]*)\}$/;

/** A placeholder without a value. */
export interface Unresolved {
  /** Where it stands, for example `target.yaml.providers[0].issuer`. */
  at: string;
  name: string;
}

/**
 * Replaces every `${name}` in the strings of a tree. A string that is one placeholder and nothing else takes the value
 * as it is (a number stays a number); inside a longer string the value is written out. `$${name}` stands for a literal
 * `${name}`.
 *
 * @param where what is being filled, for the message
 * @param only names of this kind alone are filled now; all else, escapes too, is left for a later call
 * @throws UsageError for names that have no value, with the nearest that have one and how to give it
 */
export function fill<T>(tree: T, values: Values, where: string, only?: RegExp): T {
  const { filled, unresolved } = fillKnown(tree, values, where, only);
  if (unresolved.length > 0) {
    throw new UsageError(describeUnresolved(unresolved, values));
  }
  return filled;
}

/** The same, where what has no value stays as it is written and is reported. */
export function fillKnown<T>(
  tree: T,
  values: Values,
  where: string,
  only?: RegExp,
): { filled: T; unresolved: Unresolved[] } {
  const unresolved: Unresolved[] = [];
  const lookUp = (name: string, at: string, written: string): unknown => {
    if (Object.hasOwn(values, name)) {
      return values[name];
    }
    unresolved.push({ at, name });
    return written;
  };
  const fillText = (text: string, at: string): unknown => {
    const name = WHOLE.exec(text)?.[1];
    if (name !== undefined && only?.test(name) !== false) {
      return lookUp(name, at, text);
    }
    return text.replaceAll(PLACEHOLDER, (written, name: string) => {
      if (only?.test(name) === false) {
        return written;
      }
      if (written.startsWith('$$')) {
        return only === undefined ? written.slice(1) : written;
      }
      const value = lookUp(name, at, written);
      return typeof value === 'object' ? JSON.stringify(value) : String(value);
    });
  };
  const fillAny = (part: unknown, at: string): unknown => {
    if (typeof part === 'string') {
      return fillText(part, at);
    }
    if (Array.isArray(part)) {
      return part.map((item, index) => fillAny(item, `${at}[${index}]`));
    }
    if (typeof part !== 'object' || part === null) {
      return part;
    }
    return Object.fromEntries(
      Object.entries(part).map(([key, value]) => [String(fillText(key, at)), fillAny(value, `${at}.${key}`)]),
    );
  };
  return { filled: fillAny(tree, where) as T, unresolved };
}

/** One line for each placeholder without a value: where it stands, and how to give it one. */
export function describeUnresolved(unresolved: Unresolved[], values: Values): string {
  return unresolved.map(({ at, name }) => `${at}: \${${name}} has no value. ${howToGive(name, values)}`).join('\n');
}

function howToGive(name: string, values: Values): string {
  const [, kind, own = ''] = /^(env|set)\.(.+)$/.exec(name) ?? [];
  if (kind === 'set') {
    return `Give it by --set ${own}=VALUE.`;
  }
  if (kind === 'env') {
    return `Set the environment variable ${own}.`;
  }
  const nearest = closest(name, Object.keys(values));
  const known = Object.keys(values).filter((each) => !/^(env|set)\./.test(each));
  return nearest.length > 0
    ? `Did you mean ${nearest.map((each) => `\${${each}}`).join(' or ')}?`
    : `Known here: ${known.sort().join(', ') || 'none'}.`;
}
