/** Prompts of all lengths and characters (JL-40). */

import { createHash, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { HarnessError } from '../../../core/errors.ts';
import type { RequirementContext } from '../../../rpc/context.ts';
import { withReadyJobRunner } from '../launch.ts';
import { allOver, endsOf, outputOf, type RunnerRecord, summarise, TASK_SECONDS } from '../record.ts';
import { jobRunnerTarget } from '../target.ts';
import { readLog } from './logs.ts';
import { withoutLongPrompts } from './permissions.ts';

export interface PromptsRecord extends RunnerRecord {
  seed: number;
  /**
   * Prompts by label: bytes, digest, and the digest of what the agent was given, as it printed it; where that differs.
   */
  prompts: { label: string; bytes: number; sha256: string; seen?: string; change?: string }[];
}

/** What shells, templates and JSON make of a prompt that is not quoted. */
const TRICKY = `it's "quoted" \`ticked\` $HOME \${HOME} $(id) $$ \\n \\ %s \t {{braces}} <xml/> & | ; # !\n\nEOF\n'''\n`;

/** How an agent prints the digest of what it was given. */
const DIGEST = /sha256 \S+ ([0-9a-f]{64})/;

/** How an agent prints what it was given, as base64. */
const CONTENT = /content \S+ ([A-Za-z0-9+/]*=*)/;

/** Prompts below that are printed, so that a finding can say what changed. */
const SMALL_BYTES = 131_072;

/** As long as can be, below 128 KiB with some room for whatever is put around it. */
const NEARLY_128_KIB = 130_000;
const ABOVE = { '256-kib': 262_144, '1-mib': 1_048_576 };

/** {@link sharePrompts}, with what became of each prompt as evidence. */
export async function observePrompts(t: RequirementContext): Promise<PromptsRecord> {
  if (jobRunnerTarget(t).prompt === 'none') {
    t.notApplicable('the target file says `prompt: none`: the runner does not deliver prompts');
  }
  const record = await sharePrompts(t);
  t.evidence('seed of fast-check', record.seed);
  t.evidence('prompts', record.prompts);
  t.evidence('runners', [summarise(record)]);
  return record;
}

/**
 * Prompts of all lengths, in tricky characters; what the agent got stands in its pod's own log, which the harness
 * reads.
 */
function sharePrompts(t: RequirementContext): Promise<PromptsRecord> {
  return t.shared('job runner: prompts', () =>
    withReadyJobRunner(t, { purpose: 'prompts' }, async (runner) => {
      const seed = randomBytes(4).readInt32BE();
      const [random = ''] = fc.sample(fc.string({ unit: 'grapheme', minLength: 200, maxLength: 2000 }), {
        seed,
        numRuns: 1,
      });
      const filled = (bytes: number): string => {
        const text = `${TRICKY}${random}`.repeat(Math.ceil(bytes / Buffer.byteLength(TRICKY)));
        // Cut at a whole character.
        return Buffer.from(text)
          .subarray(0, bytes)
          .toString()
          .replace(/\uFFFD+$/, '');
      };
      const texts: Record<string, string> = {
        'one-byte': 'x',
        tricky: `${TRICKY}${random}`,
        'nearly-128-kib': filled(NEARLY_128_KIB),
        ...Object.fromEntries(Object.entries(ABOVE).map(([label, bytes]) => [label, filled(bytes)])),
      };
      for (const [label, prompt] of Object.entries(texts)) {
        await runner.submit(label, {
          prompt,
          env: {
            WORKLOAD_DIGEST: runner.target.prompt,
            WORKLOAD_SLEEP_SECONDS: '1',
            ...(Buffer.byteLength(prompt) < SMALL_BYTES ? { WORKLOAD_CONTENT: runner.target.prompt } : {}),
          },
        });
      }
      const logs = runner.tasks.map((task) => readLog(runner, task));
      await runner.until(() => allOver(runner), TASK_SECONDS);
      const prompts = await Promise.all(
        runner.tasks.map(async (submitted, index) => {
          const { label, task } = submitted;
          const log = await logs[index];
          // What the runner gave of the output is the same output.
          const [, seen] = DIGEST.exec(log?.bytes.toString() ?? '') ?? DIGEST.exec(outputOf(runner, submitted)) ?? [];
          if (seen === undefined && log?.gone === true && endsOf(runner, submitted)[0]?.exitCode === 0) {
            throw new HarnessError(`the log of the task ${label} was gone before the harness could read it`);
          }
          const sha256 = createHash('sha256').update(task.prompt).digest('hex');
          const content = CONTENT.exec(log?.bytes.toString() ?? '')?.[1];
          const change =
            content === undefined ? undefined : describeChange(task.prompt, Buffer.from(content, 'base64'));
          return {
            label,
            bytes: Buffer.byteLength(task.prompt),
            sha256,
            ...(seen === undefined ? {} : { seen }),
            ...(change === undefined ? {} : { change }),
          };
        }),
      );
      return { ...withoutLongPrompts(runner.record()), seed, prompts };
    }),
  );
}

/** Bytes on each side of the first difference. */
const EXCERPT_BYTES = 20;

/** Where bytes differ from a text, what was expected there and what was found; undefined where they are the same. */
export function describeChange(expected: string, found: Buffer): string | undefined {
  const bytes = Buffer.from(expected);
  if (bytes.equals(found)) {
    return undefined;
  }
  const differs = bytes.findIndex((byte, index) => byte !== found[index]);
  const at = differs < 0 ? bytes.length : differs;
  const excerpt = (of: Buffer): string =>
    JSON.stringify(of.subarray(Math.max(0, at - EXCERPT_BYTES), at + EXCERPT_BYTES).toString());
  const length = bytes.length === found.length ? '' : ` (${found.length} bytes in all)`;
  return `at byte ${at}${length}: expected ${excerpt(bytes)}, found ${excerpt(found)}`;
}
