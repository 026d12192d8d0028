import type { Command } from 'commander';
import { Option } from 'commander';
import { stringify } from 'yaml';
import { loadCatalogue } from '../catalogue/catalogue.ts';
import type { IdentityProviderKind } from '../rpc/protocol.ts';
import type { Needs } from '../run/live/needs.ts';
import { ACROSS_CLUSTERS, type PeerNeeds } from '../run/live/peer-needs.ts';
import { describeNeed, type NeededRight, reachesFar, rulesOf } from '../run/live/rights.ts';
import { select, targetsCandidate } from '../run/plan.ts';
import { loadTarget } from '../targets/load.ts';
import { identityProviderOption, registryOption, setRegistry, withDigest } from './images.ts';
import { namespaceOption, peerContextOption, requirementOption, setOption, targetOption } from './options.ts';

const FORMATS = ['text', 'json', 'rbac'] as const;

interface PlanFlags {
  requirement: string[];
  target: string[];
  set: Record<string, string>;
  namespace: string[];
  registry?: string;
  digests?: boolean;
  peerContext?: string;
  idp?: IdentityProviderKind;
  output: (typeof FORMATS)[number];
}

/**
 * `conformance plan`: what a selection would make on a live cluster, and what it needs there. Asks nobody, touches
 * nothing.
 */
export function registerPlan(program: Command): void {
  program
    .command('plan')
    .description(
      'Show what a run would make and need on a live cluster: objects, rights, images, time. Touches nothing.',
    )
    .argument('[suite...]', 'suite names (default: all)')
    .addOption(targetOption())
    .addOption(setOption())
    .addOption(requirementOption('only this requirement; repeatable'))
    .addOption(namespaceOption('for a run that is kept to this existing namespace; repeatable'))
    .addOption(peerContextOption('also what a run with this second live cluster makes and needs there'))
    .addOption(identityProviderOption('for a run with this identity provider of the references (default: embedded)'))
    .addOption(registryOption())
    .option('--digests', 'ask the registries for the digests of images, through the container engine')
    .addOption(
      new Option('-o, --output <format>', 'rbac: the Role or ClusterRole that grants exactly what is needed')
        .choices(FORMATS)
        .default('text'),
    )
    .action(
      async (
        suites: string[],
        { requirement, target, set, namespace, peerContext, idp, registry, digests = false, output }: PlanFlags,
      ) => {
        setRegistry(registry);
        const selected = select(loadCatalogue(), { suites, requirements: requirement });
        const targets = target.map((file) => loadTarget(file, set));
        const bound = targets.length === 0 ? undefined : new Set(targetsCandidate(targets, selected).planned);
        const { needsOf } = await import('../run/live/needs.ts');
        const rows = bound === undefined ? selected : selected.filter(({ id }) => bound.has(id));
        const needs = needsOf(rows, {
          targets,
          namespaces: namespace,
          peer: peerContext !== undefined,
          ...(idp === undefined ? {} : { identityProvider: idp }),
        });
        const images = await Promise.all(
          needs.images.map(async (image) => ({ ...image, reference: await withDigest(image.reference, digests) })),
        );
        process.stdout.write(RENDER[output]({ ...needs, images }, namespace));
      },
    );
}

const RENDER: Record<PlanFlags['output'], (needs: Needs, namespaces: string[]) => string> = {
  text: renderText,
  json: (needs, namespaces) => `${JSON.stringify(planDocument(needs, namespaces), null, 2)}\n`,
  rbac: renderRbac,
};

/** The plan as data, for other programs. */
export function planDocument(needs: Needs, namespaces: string[]): unknown {
  const { requirements, notApplicable, rights, rightsToGive, objects, images, peer, seconds } = needs;
  return {
    requirements: requirements.map(({ id, suite, role, level }) => ({ id, suite, role, level })),
    notApplicable,
    namespaces: namespaces.length === 0 ? 'kac-RUN-*, made and removed by the run' : namespaces,
    objects,
    rights,
    rightsToGive,
    images,
    ...(peer === undefined ? {} : { secondCluster: peer }),
    seconds,
  };
}

const some = (ids: string[]): string =>
  ids.length > 6 ? `${ids.slice(0, 6).join(', ')} and ${ids.length - 6} more` : ids.join(', ');

const SCOPES: Record<NeededRight['scope'], string> = {
  cluster: 'in the whole cluster',
  namespace: 'in the namespaces of the run',
  path: 'of paths',
};

/** The plan for people. */
export function renderText(needs: Needs, namespaces: string[]): string {
  const { requirements, notApplicable, rights, rightsToGive, objects, images, peer, seconds } = needs;
  const lines = [
    `${requirements.length} requirements can be evaluated on a live cluster, in about ${Math.ceil(seconds / 60)} minutes.`,
  ];
  lines.push(
    '',
    `Objects (${namespaces.length === 0 ? 'in namespaces kac-RUN-* that the run makes and removes' : `in ${namespaces.join(', ')}, removed by the run`}):`,
  );
  lines.push(...objects.map(({ resource, count }) => `  ${String(count).padStart(5)}  ${resource}`));
  lines.push(...rightLines(rights));
  lines.push(...rightLines(rightsToGive, ', to give them to what is evaluated'));
  lines.push('', 'Images that the nodes have to be able to pull:');
  lines.push(
    ...images.map(
      ({ reference, variable, why, requirements: ids }) =>
        `  ${reference ?? `(name it in ${variable})`}: ${why}; ${some(ids)}`,
    ),
  );
  if (peer !== undefined) {
    lines.push('', ...peerLines(peer));
  }
  if (notApplicable.length > 0) {
    lines.push('', 'Not applicable:', ...grouped(notApplicable));
  }
  return `${lines.join('\n')}\n`;
}

function rightLines(rights: readonly NeededRight[], suffix = ''): string[] {
  const lines: string[] = [];
  for (const [scope, where] of Object.entries(SCOPES)) {
    const rules = rulesOf(rights, scope as NeededRight['scope']);
    if (rules.length === 0) {
      continue;
    }
    lines.push('', `Rights ${where}${suffix}:`);
    for (const { resources, nonResourceURLs, apiGroups = [], verbs } of rules) {
      for (const resource of resources ?? nonResourceURLs ?? []) {
        const of = rights.filter(
          (right) =>
            right.scope === scope && right.resource === resource && (scope === 'path' || right.group === apiGroups[0]),
        );
        const named = apiGroups[0] ? `${resource} (${apiGroups[0]})` : resource;
        lines.push(
          `  ${named}: ${verbs.join(', ')}`,
          `      ${of[0]?.why}; ${some([...new Set(of.flatMap((right) => right.requirements))])}`,
        );
      }
    }
  }
  return lines;
}

/** What is made and needed on the second cluster. */
function peerLines({ requirements, rights, objects }: PeerNeeds): string[] {
  return requirements.length === 0
    ? [`On the second cluster: nothing. Of what is selected nothing sees its tokens (${ACROSS_CLUSTERS.join(', ')}).`]
    : [
        'Objects on the second cluster, at most; no pod and no image:',
        ...objects.map(({ resource, count }) => `  ${String(count).padStart(5)}  ${resource}`),
        ...rightLines(rights, ', on the second cluster'),
      ];
}

function grouped(list: Needs['notApplicable']): string[] {
  const byReason = Map.groupBy(list, ({ reason }) => reason);
  return [...byReason].map(([reason, rows]) => `  ${rows.map(({ id }) => id).join(', ')}: ${reason}`);
}

/** A Role for each namespace that a run is kept to, or a ClusterRole; not bound to anybody. */
export function renderRbac(needs: Needs, namespaces: string[]): string {
  const { rights, rightsToGive, peer } = needs;
  const granted = [...rights, ...rightsToGive.filter((right) => !reachesFar(right))];
  const first = `${withoutFarReaching(rightsToGive)}${roleDocuments(granted, namespaces, 'What the harness needs on a live cluster')}`;
  return peer === undefined || peer.rights.length === 0
    ? first
    : `${first}---\n${roleDocuments(peer.rights, namespaces, 'What it needs on the second cluster')}`;
}

function roleDocuments(rights: readonly NeededRight[], namespaces: string[], what: string): string {
  const name = 'kube-agent-conformance';
  const rule = (scope: NeededRight['scope']): object[] => rulesOf(rights, scope);
  const beyond = [...rule('cluster'), ...rule('path')];
  const documents: object[] =
    namespaces.length === 0
      ? [role('ClusterRole', { name }, [...rule('namespace'), ...beyond])]
      : [
          ...namespaces.map((namespace) => role('Role', { name, namespace }, rule('namespace'))),
          ...(beyond.length === 0 ? [] : [role('ClusterRole', { name }, beyond)]),
        ];
  const everywhere = `#   kubectl create clusterrolebinding ${name} --clusterrole ${name} --user NAME`;
  const bindings =
    namespaces.length === 0
      ? [everywhere]
      : [
          ...namespaces.map(
            (namespace) => `#   kubectl create rolebinding ${name} --role ${name} --user NAME --namespace ${namespace}`,
          ),
          ...(beyond.length === 0
            ? []
            : [`# and, unless the run is to leave out ${neededBeyond(rights)}, as\n${everywhere}`]),
        ];
  const head = `# ${what} for what is selected, and nothing else. Bind it to whoever runs the harness, as\n${bindings.join('\n')}\n`;
  return `${head}${documents.map((document) => stringify(document)).join('---\n')}`;
}

/** What a Role had better not give, though something is evaluated by it. */
function withoutFarReaching(rightsToGive: readonly NeededRight[]): string {
  const far = rightsToGive.filter(reachesFar);
  return far.length === 0
    ? ''
    : `# Not in it, since they reach further: ${far.map(describeNeed).join(', ')}.\n` +
        `# Without them these are not applicable: ${some([...new Set(far.flatMap(({ requirements }) => requirements))])}.\n`;
}

/** What a run that is kept to namespaces leaves out where it has no rights beyond them. */
function neededBeyond(rights: readonly NeededRight[]): string {
  const beyond = rights.filter(({ scope }) => scope !== 'namespace');
  return some([...new Set(beyond.flatMap(({ requirements }) => requirements))]);
}

function role(kind: string, metadata: object, rules: object[]): object {
  return { apiVersion: 'rbac.authorization.k8s.io/v1', kind, metadata, rules };
}
