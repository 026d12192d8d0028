import { UsageError } from './errors.ts';

/** Values by name, for example `cluster.issuer`; a value that is an object stands for a tree of its own. */
export type Values = Record<string, unknown>;

const PLACEHOLDER = /\$?\$\{([A-Za-z][A-Za-z0-9._-]*)\}/g;
const WHOLE = /^\$\{([A-Za-z][A-Za-z0-9._-]*)\}$/;

/**
 * Replaces every `${name}` in the strings of a tree. A string that is one placeholder and nothing else takes the value as it is
 * (a number stays a number); inside a longer string the value is written out. `$${name}` stands for a literal `${name}`.
 *
 * @param where what is being filled, for the message
 * @param only names of this kind alone are filled now; all else, escapes too, is left for a later call
 * @throws UsageError for a name that has no value, with those that have
 */
export function fill<T>(tree: T, values: Values, where: string, only?: RegExp): T {
  const lookUp = (name: string, at: string): unknown => {
    if (!Object.hasOwn(values, name)) {
      const known = Object.keys(values).sort().join(', ') || 'none';
      throw new UsageError(`${at} names \${${name}}, which has no value here; there are ${known}`);
    }
    return values[name];
  };
  const fillText = (text: string, at: string): unknown => {
    const whole = WHOLE.exec(text)?.[1];
    if (whole !== undefined && only?.test(whole) !== false) return lookUp(whole, at);
    return text.replaceAll(PLACEHOLDER, (written, name: string) => {
      if (only?.test(name) === false) return written;
      if (written.startsWith('$$')) return only === undefined ? written.slice(1) : written;
      const value = lookUp(name, at);
      return typeof value === 'object' ? JSON.stringify(value) : String(value);
    });
  };
  const fillAny = (part: unknown, at: string): unknown => {
    if (typeof part === 'string') return fillText(part, at);
    if (Array.isArray(part)) return part.map((item, index) => fillAny(item, `${at}[${index}]`));
    if (typeof part !== 'object' || part === null) return part;
    return Object.fromEntries(
      Object.entries(part).map(([key, value]) => [String(fillText(key, at)), fillAny(value, `${at}.${key}`)]),
    );
  };
  return fillAny(tree, where) as T;
}
