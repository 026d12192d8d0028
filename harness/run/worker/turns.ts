import { randomUUID } from 'node:crypto';
import { afterAll } from 'vitest';
import { roleDefinition } from '../../roles/index.ts';
import type { Candidate } from '../../rpc/candidate.ts';
import { environmentOf } from '../../rpc/client.ts';
import type { WorkerSettings } from '../../rpc/protocol.ts';
import { isAlone, rowOf } from './rows.ts';

/** Tells the file that runs here from the others: each has a module graph of its own. */
const OWNER = randomUUID();

export const ownerOf = (settings: WorkerSettings, id: string): string =>
  isAlone(settings, id) ? `${OWNER} ${id}` : OWNER;

/** Those whose requirements may wait for each other: of this file, or of all files of the role. */
export function groupOf(settings: WorkerSettings, id: string): string {
  const { role } = rowOf(settings, id);
  return roleDefinition(role).sharesOneObservation === true ? role : OWNER;
}

/** The requirement before, of those that come one after the other. */
let before: Promise<unknown> = Promise.resolve();

/** Waits for its turn where a requirement is alone. @returns what ends the turn */
export async function inTurn(settings: WorkerSettings, candidate: Candidate, id: string): Promise<() => Promise<void>> {
  if (!isAlone(settings, id)) {
    return async () => undefined;
  }
  const { promise, resolve } = Promise.withResolvers<void>();
  const turn = before;
  before = turn.then(() => promise);
  await turn;
  return async () => {
    try {
      await environmentOf(settings, candidate.name).giveBackNamespaces({ owner: ownerOf(settings, id) });
    } finally {
      resolve();
    }
  };
}

let givesBack = false;

/** Gives back what a file still has of namespaces that a run is kept to, when it is over: that is for the next one. */
export function giveBackInTheEnd(settings: WorkerSettings): void {
  if (settings.sharesNamespaces !== true || givesBack) {
    return;
  }
  givesBack = true;
  afterAll(async () => {
    for (const { name } of settings.candidates) {
      await environmentOf(settings, name).giveBackNamespaces({ owner: OWNER });
    }
  });
}
