import type Docker from 'dockerode';
import type { StepReporter } from '../engine/progress.ts';
import { follow } from './follow.ts';

/** What came of asking the engine to pull an image. */
export type PullResult =
  | { readonly pulled: true; readonly digest: string | undefined }
  | { readonly pulled: false; readonly reason: string };

/** A registry that can be reached says something of the image well within this time, milliseconds. */
const FIRST_WORD_DEADLINE = 10_000;
/** A pull that has begun is given up when nothing of it moves for this long, milliseconds. */
const SILENCE_DEADLINE = 60_000;

/**
 * Asks the engine once to pull an image: its own configuration (mirrors, proxy, credentials) decides whether a registry
 * can be had. No second try: the answer says why not, and the caller chooses another source.
 */
export async function pull(
  docker: Docker,
  reference: string,
  report: StepReporter,
  signal?: AbortSignal,
): Promise<PullResult> {
  return report.step(`pull ${reference}`, async (advance) => {
    const result = await attempt(docker, reference, advance, signal);
    if (!result.pulled) {
      advance(`not to be had: ${result.reason}`);
    }
    return result;
  });
}

async function attempt(
  docker: Docker,
  reference: string,
  advance: (detail: string) => void,
  signal: AbortSignal | undefined,
): Promise<PullResult> {
  const giveUp = new AbortController();
  let silent = FIRST_WORD_DEADLINE;
  let timer = setTimeout(() => giveUp.abort(), silent);
  const heard = () => {
    clearTimeout(timer);
    silent = SILENCE_DEADLINE;
    timer = setTimeout(() => giveUp.abort(), silent);
  };
  const ended = signal === undefined ? giveUp.signal : AbortSignal.any([giveUp.signal, signal]);
  try {
    const stream = await docker.pull(reference, { abortSignal: ended });
    const events = stream as NodeJS.ReadableStream & { destroy?: (error?: Error) => void };
    ended.addEventListener('abort', () => events.destroy?.(new Error('given up')), { once: true });
    const layers = new Map<string, boolean>();
    await follow(docker, stream, (event) => {
      heard();
      if (event.id === undefined || event.status === undefined) {
        return;
      }
      if (!/^(Pulling fs layer|Already exists|Pull complete)$/.test(event.status)) {
        return;
      }
      layers.set(event.id, event.status !== 'Pulling fs layer');
      advance(`${[...layers.values()].filter(Boolean).length} of ${layers.size} layers`);
    });
    const { RepoDigests } = await docker.getImage(reference).inspect();
    return { pulled: true, digest: digestFrom(RepoDigests ?? []) };
  } catch (error) {
    signal?.throwIfAborted();
    if (giveUp.signal.aborted) {
      return { pulled: false, reason: `nothing was heard of it for ${silent / 1000} s` };
    }
    return { pulled: false, reason: reasonOf(error) };
  } finally {
    clearTimeout(timer);
  }
}

/** `sha256:…` of the first of an image's `repository@sha256:…` names. */
export function digestFrom(repoDigests: readonly string[]): string | undefined {
  return repoDigests.find((name) => name.includes('@sha256:'))?.split('@')[1];
}

/** The registry's or the network's own words, without the engine's wrapping. */
export function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const json = /\{"message":"(.*)"\}/.exec(text)?.[1];
  const inner = (json ?? text)
    .replace(/^\(HTTP code \d+\)[^-]*-\s*/, '')
    .replace(/^Error response from daemon:\s*/, '');
  return inner
    .replace(/\\"/g, '"')
    .replaceAll(/"https?:\/\/[^"]*"/g, 'the registry')
    .trim()
    .slice(0, 200);
}
