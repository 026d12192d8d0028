import { NotTestable } from '../../harness/core/errors.ts';

/** How a file system refuses a change for good: read-only, or not allowed (Linux, errno 30, 13 and 1). */
const REFUSED: ReadonlySet<string> = new Set(['EROFS', 'EACCES', 'EPERM']);

/**
 * Every change that came through where none must.
 *
 * @param changes `done`, or the code of the error, by the kind of change
 * @throws NotTestable where none came through, and one failed for a reason that is no refusal
 */
export function acceptedChanges(where: string, changes: Record<string, string>): string[] {
  const of = (wanted: (result: string) => boolean): string[] =>
    Object.entries(changes).flatMap(([kind, result]) => (wanted(result) ? [kind] : []));
  const done = of((result) => result === 'done');
  const unclear = of((result) => result !== 'done' && !REFUSED.has(result));
  if (done.length === 0 && unclear.length > 0) {
    const list = unclear.map((kind) => `${kind}: ${changes[kind]}`).join(', ');
    throw new NotTestable(`${where} changes failed, but were not refused as changes (${list})`);
  }
  return done.map((kind) => `${where}: ${kind}`);
}

/**
 * What is wrong where the file of one subPath was looked for in another.
 *
 * @throws NotTestable where the look failed, so that nobody knows whether it is there
 */
export function seenElsewhere(look: { text: string } | { refused: string }): string[] {
  if ('text' in look) {
    return ['a file of one subPath is seen in another'];
  }
  if (look.refused !== 'ENOENT') {
    throw new NotTestable(`nobody can look for the file of one subPath in another (${look.refused})`);
  }
  return [];
}

/** What the API server said of a pod that it was asked to create, and did not keep. */
export interface DryRun {
  status: number;
  message?: string;
}

/**
 * What is wrong where a pod was asked for whose subPath has `..`.
 *
 * @throws NotTestable where it was refused for something else
 */
export function acceptedBackstep({ status, message = '' }: DryRun): string[] {
  if (status === 201) {
    return ['a pod with `..` in its subPath is accepted'];
  }
  if (!/subpath/i.test(message)) {
    throw new NotTestable(`a pod with \`..\` in its subPath was refused for something else (${status}: ${message})`);
  }
  return [];
}
