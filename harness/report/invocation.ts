import type { Report } from './report.ts';

/** How somebody starts the command line: by npm in a clone, by npx where it is installed as a package. */
export const PROGRAM = import.meta.url.includes('/node_modules/')
  ? 'npx kube-agent-conformance'
  : 'npm run conformance --';

/** The options of `run` that change what is evaluated. */
export interface RunChoices {
  target: string[];
  set: Record<string, string>;
  cluster: string;
  context?: string;
  idp?: string;
  clock?: string;
  settings?: string;
  strict?: boolean;
}

/** How a run is repeated. Values of `--set` may be secrets: only their names are written down. */
export function invocationOf({
  target,
  set,
  cluster,
  context,
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
      ...Object.keys(set).flatMap((name) => ['--set', `${name}=…`]),
      ...pair('--cluster', cluster === 'k3s' ? undefined : cluster),
      ...pair('--context', context),
      ...pair('--idp', idp),
      ...pair('--clock', clock),
      ...pair('--settings', settings),
      ...(strict ? ['--strict'] : []),
    ],
  };
}
