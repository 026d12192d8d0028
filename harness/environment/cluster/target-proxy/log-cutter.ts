import type { ApiFault } from '../../../rpc/target-access.ts';

/**
 * Where `cut-log` ends an answer that arrives in chunks.
 *
 * @returns for each chunk in turn, how many of its bytes still pass; undefined while all of them do
 */
export function logCutter({ bytes = 1, within }: ApiFault): (chunk: Buffer) => number | undefined {
  return within === undefined ? afterBytes(bytes) : inTheMiddleOf(Buffer.from(within));
}

function afterBytes(bytes: number): (chunk: Buffer) => number | undefined {
  let room = bytes;
  return (chunk) => {
    const at = room;
    room -= chunk.length;
    return room < 0 ? at : undefined;
  };
}

function inTheMiddleOf(wanted: Buffer): (chunk: Buffer) => number | undefined {
  // The end of what has passed: the text may lie across two chunks.
  let tail = Buffer.alloc(0);
  return (chunk) => {
    const seen = Buffer.concat([tail, chunk]);
    const found = seen.indexOf(wanted);
    if (found >= 0) {
      return Math.max(0, found + Math.floor(wanted.length / 2) - tail.length);
    }
    tail = seen.subarray(Math.max(0, seen.length - wanted.length + 1));
    return undefined;
  };
}
