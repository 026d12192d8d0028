import type { IncomingMessage } from 'node:http';
import { isHopByHop } from '../../../../core/hop-by-hop.ts';

/** Header lines of an answer for the other side, in their order and spelling: name, value, name, value. */
export function rawEndToEnd({ rawHeaders }: Pick<IncomingMessage, 'rawHeaders'>): string[] {
  return rawHeaders.flatMap((name, index) =>
    index % 2 === 1 || isHopByHop(name) || name.toLowerCase() === 'host' ? [] : [name, rawHeaders[index + 1] ?? ''],
  );
}
