import type { Command } from 'commander';
import { InvalidArgumentError, Option } from 'commander';
import type { ClusterKind } from '../kubernetes/cluster-data.ts';
import type { ClockKind, IdentityProviderKind } from '../rpc/protocol.ts';
import { identityProviderOption, registryOption } from './images.ts';

/** What the options of {@link addEnvironmentOptions} give. */
export interface EnvironmentFlags {
  cluster: ClusterKind;
  context?: string;
  peerContext?: string;
  /** Absent: by the cluster. */
  idp?: IdentityProviderKind;
  clock?: ClockKind;
  set: Record<string, string>;
  settings?: string;
  registry?: string;
  yes?: boolean;
  timeoutFactor: number;
  env?: string | true;
  watch?: boolean;
}

/** `NAME=value`, as often as it is given. */
function collectValue(word: string, previous: Record<string, string>): Record<string, string> {
  const [name = '', ...value] = word.split('=');
  if (name === '' || value.length === 0) {
    throw new InvalidArgumentError('Give it as NAME=value.');
  }
  return { ...previous, [name]: value.join('=') };
}

/** Values with commas between them, as often as it is given. */
function collect(value: string, previous: string[]): string[] {
  if (value.trim() === '') {
    throw new InvalidArgumentError('The value is empty.');
  }
  return [...previous, ...value.split(',')];
}

/** `--target`, for commands that take a file for each role. */
export function targetOption(
  description = 'target file of an implementation under test; repeatable, one per role',
): Option {
  return new Option('--target <file>', description).argParser(collect).default([], 'the references');
}

export function setOption(description = 'value for `${set.name}` in a target file; repeatable'): Option {
  return new Option('--set <name=value>', description).argParser(collectValue).default({}, 'none');
}

export function requirementOption(description: string): Option {
  return new Option('--requirement <id>', description).argParser(collect).default([], 'all');
}

export function namespaceOption(description: string, absent = 'namespaces of its own'): Option {
  return new Option('--namespace <name>', description).argParser(collect).default([], absent);
}

/** `--peer-context NAME`: the second live cluster of a run. */
export function peerContextOption(
  description = 'kubeconfig context of a second live cluster, whose tokens the identity provider must refuse',
): Option {
  return new Option('--peer-context <name>', description);
}

export function shardOption(): Option {
  return new Option(
    '--shard <index/count>',
    'run only this part of the plan, for example 1/3; every machine splits alike',
  );
}

/** For a cluster that is slow: what a check asks of the implementation stays as it is. */
export function timeoutFactorOption(): Option {
  return new Option(
    '--timeout-factor <number>',
    'multiply the time limits of the harness itself; the bounds of checks do not change',
  )
    .argParser(Number)
    .default(1);
}

/** Options that say what is run against, and how: the same for every command that runs the suites. */
export function addEnvironmentOptions(command: Command): Command {
  return command
    .addOption(setOption())
    .addOption(
      new Option('--cluster <kind>', 'k3s: start a cluster; kubeconfig: use the live cluster of KUBECONFIG')
        .choices(['k3s', 'kubeconfig'])
        .default('k3s'),
    )
    .option('--context <name>', 'kubeconfig context (default: the current one)')
    .addOption(peerContextOption())
    .option('--settings <file>', 'settings for objects created on a live cluster: labels, limits, tolerations, …')
    .addOption(namespaceOption('use only this existing namespace of a live cluster; repeatable'))
    .addOption(registryOption())
    .option('--what-works', 'evaluate what a live cluster has everything for; report the rest as not applicable')
    .option('--yes', 'do not ask for confirmation before using a live cluster whose context was not named')
    .addOption(timeoutFactorOption())
    .addOption(
      identityProviderOption(
        'identity provider of the references, with --cluster kubeconfig as a pod (default: keycloak; there, embedded)',
      ),
    )
    .addOption(
      new Option(
        '--clock <kind>',
        'accelerated: tokens expire within seconds; real: within 600 s (default: accelerated; real with --cluster kubeconfig)',
      ).choices(['accelerated', 'real']),
    );
}
