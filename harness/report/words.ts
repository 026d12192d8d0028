import type { ReportResult } from './report.ts';

/** Roles whose implementation works in a namespace of its own, by what it is called in a sentence. */
const IN_A_NAMESPACE = /-(runner|manager|operator)$/;

/** Names that a run makes up: `kac-RUN-NUMBER-SLUG`. */
const NAMESPACE = String.raw`kac-[0-9a-f]{6,}-\d+(?:-[a-z0-9-]*[a-z0-9])?`;
const ACCOUNT = new RegExp(String.raw`User "system:serviceaccount:${NAMESPACE}:([\w.-]+)"`, 'g');
const BARE_ACCOUNT = new RegExp(String.raw`system:serviceaccount:${NAMESPACE}:([\w.-]+)`, 'g');
const IN_NAMESPACE = new RegExp(String.raw`\b(in|from|of) (?:the )?namespace:? "?${NAMESPACE}"?`, 'g');
const ANY_NAMESPACE = new RegExp(NAMESPACE, 'g');
/** Folders that a run makes up for a process. */
const FOLDER = /(?:\/[\w.-]+)*\/conformance-[\w-]+-\w{6}(?=\/)/g;

/**
 * A text with the names that a run made up in words: they say nothing to its reader, and take the place of what does.
 * report.json has them.
 */
export function readable(text: string, role?: ReportResult['role']): string {
  const noun = IN_A_NAMESPACE.exec(role ?? '')?.[1];
  const owner = noun === undefined ? 'its namespace' : `the ${noun}’s namespace`;
  return text
    .replace(ACCOUNT, 'ServiceAccount "$1"')
    .replace(BARE_ACCOUNT, '$1')
    .replace(IN_NAMESPACE, `$1 ${owner}`)
    .replace(ANY_NAMESPACE, '<namespace>')
    .replace(FOLDER, '<folder>');
}

/**
 * Why a result is the second one, in sentences.
 *
 * @param before `disturbedBefore` of the result
 */
export function describeRepeat(before: string, outcome: ReportResult['outcome']): string {
  const match = /^(failed|not testable) while ([^:]+): /.exec(before);
  if (match === null) {
    return `The first attempt was discarded: ${before}. The second counts.`;
  }
  const [, first, what = ''] = match;
  const busy = /processors were (\d+ %) busy/.exec(what)?.[1];
  const why =
    busy === undefined
      ? what.replace(/^the machine/, 'the test machine')
      : `the test machine was overloaded (CPU ${busy})`;
  const again = first === outcome ? 'gave the same result' : `gave another result, ${outcome}`;
  return `The first attempt (${first}) was discarded because ${why}. The second ${again}; it counts.`;
}

/** The accelerated clock in a sentence. */
export function describeClock({ kind, lifetimeSeconds }: { kind: string; lifetimeSeconds: number }): string {
  return kind === 'accelerated'
    ? `accelerated: tokens live ${lifetimeSeconds} s instead of an hour or more, so that a run sees many of them expire`
    : `real: tokens live ${lifetimeSeconds} s, as the API server issues them`;
}

/** Words of the report that its reader may not know. */
export const GLOSSARY: [term: string, meaning: string][] = [
  [
    'RB-24m',
    'A requirement: two letters for its subject, a number, and a small letter where the same requirement exists for several roles.',
  ],
  [
    'AI, JL, PV, RB, SM, SR, TR, TX, WH',
    'Audience isolation, job lifecycle, PVC sharing, RBAC, session management, session routing, token rotation, token exchange, workload hardening.',
  ],
  [
    'm, s, o, a at the end of an id',
    'The same requirement for a session manager, for sessions as custom resources, for a session operator; without a letter it is for the role that had it first. `a`: added later beside the requirement of that number.',
  ],
  [
    'target file',
    'The YAML file that tells the harness how to start the implementation and what it documents (`--target`). The number beside it is the beginning of its SHA-256: another number is another file.',
  ],
  [
    'catalogue',
    'All requirements of all roles. The number beside it is the beginning of the SHA-256 of their texts; of these, the run planned those of the role.',
  ],
  ['planned', 'Requirements that were to be evaluated. Each must have a result, or there is no verdict.'],
  [
    'harness',
    'This program: it starts clusters, identity providers and the implementation, and looks at what happens. A harness error says nothing about the implementation.',
  ],
  [
    'capability',
    'Something optional that the target file declares. Requirements of capabilities that it does not declare are not applicable.',
  ],
  ['documented', 'Said in the target file. Rights are documented under `rules`.'],
  ['preflight', 'A check of its own that an implementation makes before it accepts work.'],
  ['control', 'The same attempt where it must succeed (or be refused): it proves that the other one was a real test.'],
  [
    'not testable',
    'Something that the requirement builds on did not work. A MUST that cannot be tested counts as failed.',
  ],
  ['critical path', 'The requirements that the run could not have been shorter without.'],
];
