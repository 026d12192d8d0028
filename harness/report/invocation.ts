import { isInstalled } from '../core/package.ts';
import { redact } from '../core/redact.ts';
import type { Report } from './report.ts';

/** How somebody starts the command line: by npm in a clone, by npx where it is installed as a package. */
export const PROGRAM = isInstalled() ? 'npx kube-agent-conformance' : 'npm run conformance --';

/** The options of `run` that change what is evaluated. */
export interface RunChoices {
  target: string[];
  set: Record<string, string>;
  cluster: string;
  context?: string;
  peerContext?: string;
  idp?: string;
  clock?: string;
  settings?: string;
  strict?: boolean;
}

/** Names of what nobody else is to know. */
const SECRET = /secret|passw|token|credential|api[-_]?key|private|^key$/i;

/**
 * How a run is repeated. A value of `--set` that may be a secret, by its name or because it is a token, is not written
 * down: `…` stands for it.
 */
export function invocationOf({
  target,
  set,
  cluster,
  context,
  peerContext,
  idp,
  clock,
  settings,
  strict = false,
}: RunChoices): NonNullable<Report['invocation']> {
  const pair = (name: string, value: string | undefined): string[] => (value === undefined ? [] : [name, value]);
  return {
    program: PROGRAM,
    options: [
      ...target.flatMap((file) => ['--target', file]),
      ...Object.entries(set).flatMap(([name, value]) => ['--set', `${name}=${isSecret(name, value) ? '…' : value}`]),
      ...pair('--cluster', cluster === 'k3s' ? undefined : cluster),
      ...pair('--context', context),
      ...pair('--peer-context', peerContext),
      ...pair('--idp', idp),
      ...pair('--clock', clock),
      ...pair('--settings', settings),
      ...(strict ? ['--strict'] : []),
    ],
  };
}

function isSecret(name: string, value: string): boolean {
  return SECRET.test(name) || redact(value) !== value || /^\w+:\/\/[^/@]*:[^/@]*@/.test(value);
}
