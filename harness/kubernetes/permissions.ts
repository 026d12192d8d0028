import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { z } from 'zod';
import type { PolicyRule } from '../core/policy-rule.ts';
import {
  beyondRules,
  describeRight,
  isSelfReview,
  type MadeRequest,
  neededActions,
  type Right,
  rightsOf,
  roleYaml,
  ruleAllows,
  ruleOf,
  smallestRules,
  spelledResource,
} from './rbac.ts';

/** Label of the evidence that a report's permission diff is made of. */
export const PERMISSIONS = 'permissions';

const rightSchema = z.strictObject({
  verb: z.string(),
  apiGroup: z.string().describe('empty for the core group'),
  resource: z.string().describe('with its subresource, as pods/log'),
  name: z.string().optional().describe('where the rule or the request is for one object'),
  namespaced: z.boolean().describe('false: by a ClusterRole for the whole cluster'),
  documented: z.boolean().describe('the target file says that it is needed'),
  requests: z.number().int().nonnegative().describe('requests that used it or would have needed it'),
  refused: z.number().int().nonnegative().describe('of these, answered 403'),
  unused: z.string().optional().describe('why it was not used although it is needed'),
});

/** The rights that an implementation documents at the API server, alongside those that it used. */
export const permissionsSchema = z.strictObject({
  of: z.string().describe('name of the implementation'),
  rights: z.array(rightSchema),
  smallest: z.string().describe('the smallest Role for what it did, YAML'),
  documentedIn: z.string().optional().describe('where the documented rights are: file and field'),
});

export type Permissions = z.infer<typeof permissionsSchema>;
export type PermissionRight = z.infer<typeof rightSchema>;

/**
 * How a documented or used right stands: needed, surplus (documented, never used), not exercised (documented, and
 * nothing was done that needs it), missing (used, not documented).
 */
export function standingOf({
  documented,
  requests,
  unused,
}: PermissionRight): 'needed' | 'surplus' | 'not exercised' | 'missing' {
  if (!documented) {
    return 'missing';
  }
  if (requests > 0) {
    return 'needed';
  }
  return unused === undefined ? 'surplus' : 'not exercised';
}

/** A right that was not used, and why that does not make it surplus. */
export interface UnusedRight {
  right: Right;
  why: string;
}

/** Requests by which a right was used, or would have been. */
function requestsOf(right: Right, requests: readonly MadeRequest[]): { requests: number; refused: number } {
  const rule = ruleOf(right);
  const asked = requests.filter((request) => request.resource !== undefined && ruleAllows(rule, request));
  // An upgrade needs `create` as well, whatever its method was.
  const upgraded = neededActions(requests).filter(
    (action) => !(requests as readonly unknown[]).includes(action) && ruleAllows(rule, action),
  );
  return {
    requests: asked.length + upgraded.length,
    refused: asked.filter(({ code }) => code === 403).length,
  };
}

/** An implementation as its target file documents it. */
export interface Documented {
  name: string;
  rules: { namespaced: readonly PolicyRule[]; cluster: readonly PolicyRule[] };
  /** Path of the target file. */
  file?: string;
}

/** Where a target file has its rules: `agent.yaml:12 (rules)`; without the line where the file cannot be read. */
export function placeOfRules(file: string): string {
  let line = -1;
  try {
    line = readFileSync(file, 'utf8')
      .split('\n')
      .findIndex((text) => /^rules:/.test(text));
  } catch {
    // The rules were read; where they stand is a help only.
  }
  return `${relative(process.cwd(), file)}${line === -1 ? '' : `:${line + 1}`} (rules)`;
}

/** What an implementation documents, as evidence: where, and the Role. */
export function documentedRole({ name, rules, file }: Documented): Record<string, string> {
  return {
    ...(file === undefined ? {} : { documentedIn: placeOfRules(file) }),
    role: roleYaml(name, '<namespace>', rules.namespaced),
    ...(rules.cluster.length === 0 ? {} : { clusterRole: roleYaml(name, '<namespace>', rules.cluster) }),
  };
}

/**
 * Documented rules held against requests: each right that is documented, and each that was asked for beyond these.
 *
 * @param of the implementation: its name, and what its target file documents, in its namespace and for the cluster
 * @param unused documented rights that no request used although they are needed, with the reason
 */
export function permissionDiff(
  of: Documented,
  requests: readonly MadeRequest[],
  unused: readonly UnusedRight[] = [],
): Permissions {
  const { name: implementation, rules, file } = of;
  const documented = [...rules.namespaced, ...rules.cluster];
  const entry = (
    { verb, group, resource, name }: Right,
    namespaced: boolean,
    isDocumented: boolean,
  ): PermissionRight => {
    const right: Right = { verb, group, resource, ...(name === undefined ? {} : { name }) };
    const why = unused.find((other) => describeRight(other.right) === describeRight(right))?.why;
    return {
      verb,
      apiGroup: group,
      resource,
      ...(name === undefined ? {} : { name }),
      namespaced,
      documented: isDocumented,
      ...requestsOf(right, requests),
      ...(why === undefined ? {} : { unused: why }),
    };
  };
  const beyond = beyondRules(documented, requests).map(
    (request): PermissionRight =>
      entry(
        { verb: request.verb, group: request.group ?? '', resource: spelledResource(request) },
        request.namespace !== undefined,
        false,
      ),
  );
  return {
    of: implementation,
    rights: [
      ...rightsOf(rules.namespaced).map((right) => entry(right, true, true)),
      ...rightsOf(rules.cluster).map((right) => entry(right, false, true)),
      ...new Map(beyond.map((right) => [`${right.verb} ${right.apiGroup} ${right.resource}`, right])).values(),
    ].filter(
      ({ verb, apiGroup: group, resource, documented: isDocumented }) =>
        isDocumented || !isSelfReview({ verb, group, resource }),
    ),
    smallest: roleYaml(implementation, '<namespace>', smallestRules(requests, documented)),
    ...(file === undefined ? {} : { documentedIn: placeOfRules(file) }),
  };
}
