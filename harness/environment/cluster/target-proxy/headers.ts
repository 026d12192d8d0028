import type { IncomingHttpHeaders } from 'node:http';
import { isHopByHop } from '../../../core/hop-by-hop.ts';

/** Headers that a proxy passes on, as node:http takes them. */
export type EndToEndHeaders = Record<string, string | string[]>;

/**
 * What of a message's headers goes to the other side; `host` is the proxy's own name and does not.
 *
 * @param headers of a request those of `headersDistinct`: several groups to impersonate are several lines, and no list
 *   in one
 */
export function endToEnd(headers: IncomingHttpHeaders | NodeJS.Dict<string[]>): EndToEndHeaders {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined || isHopByHop(name) || name === 'host'
        ? []
        : [[name, Array.isArray(value) && value.length === 1 ? (value[0] ?? '') : value]],
    ),
  );
}

/** Header lines as they stand in a message, `name: value`; a header of several values becomes one line. */
export function headerLines(headers: Record<string, string | string[] | number>): string[] {
  return Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
}
