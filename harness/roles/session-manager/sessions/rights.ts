import type { KubernetesObject } from '@kubernetes/client-node';
import type { ResourceTarget } from '../target.ts';
import { readInstalled } from './install.ts';

const OBSERVED = ['pods', 'services', 'persistentvolumeclaims'];

/**
 * What the requirements of sessions as custom resources ask of a live cluster, in the words of
 * harness/run/live/measured.json: it depends on the kind of the target's sessions, and on what it installs.
 */
export function rightsForSessions(target: ResourceTarget): Record<string, number> {
  const { resource, install } = target;
  const [group = ''] = resource.apiVersion.split('/');
  const sessions = `${resource.plural}.${group}`;
  const rights = [
    ...['create', 'delete', 'list', 'patch', 'watch'].map((verb) => `${verb} ${sessions}`),
    ...OBSERVED.flatMap((observed) => ['create', 'get', 'list', 'watch'].map((verb) => `${verb} ${observed}`)),
    ...['delete pods', 'get pods/exec', 'create secrets', 'create serviceaccounts', 'get /api/v1'],
    ...(install.deployment === undefined
      ? []
      : [`get ${install.deployment.kind.toLowerCase()}s.apps`, 'list pods', 'get pods/log']),
    ...readInstalled(target).map(creationOf),
  ];
  return Object.fromEntries(rights.map((right) => [right, 1]));
}

/** The right to create an object; the plural of its kind is a guess, since nobody is asked. */
function creationOf({ apiVersion = 'v1', kind = '', metadata }: KubernetesObject): string {
  const [group] = apiVersion.includes('/') ? apiVersion.split('/') : [''];
  const plural = kind
    .toLowerCase()
    .replace(/y$/, 'ie')
    .replace(/(s|x|ch)$/, '$1e');
  const scope = metadata?.namespace === undefined ? 'cluster ' : '';
  return `${scope}create ${plural}s${group === '' ? '' : `.${group}`}`;
}
