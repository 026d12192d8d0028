import type { Catalogue } from '../catalogue/catalogue.ts';
import { supportOf } from '../catalogue/levels.ts';
import { ROLES, type Role } from '../role-data/index.ts';

interface Guide {
  /** With its article. */
  what: string;
  /** What the role does, and for whom the page is. */
  about: string;
  /** What the target file has to say: what takes the ten minutes. */
  fill: string[];
  /** A requirement that shows in a minute whether the target file is right. */
  first: string;
  /** A target file of the project to begin from, or to look at. */
  example: string;
  /** Further pages, from the root. */
  more: string[];
  /** Words after `run` and `certify`. */
  options?: string;
}

const GUIDES: Record<Role, Guide> = {
  cluster: {
    what: 'a cluster',
    about:
      'A distribution or a managed service: whether it rotates projected tokens, keeps audiences apart, refuses what ' +
      'has expired, and gives agents storage and Jobs that work.',
    fill: [
      'Nothing, as a rule: storage classes and policies are detected.',
      'What the storage does not support (ReadWriteMany, locks, …): declared, it is not applicable; undeclared, it fails.',
    ],
    first: 'TR-01',
    example: 'fixtures/targets/templates/cluster.yaml',
    more: ['harness/docs/live-clusters.md'],
    options: '--cluster kubeconfig --context my-cluster ',
  },
  'identity-provider': {
    what: 'an identity provider',
    about:
      'A server that turns a projected ServiceAccount token into an access token (RFC 7523, RFC 8693): whether it ' +
      'accepts what it must, and refuses every token that is expired, forged, of another audience or of another issuer.',
    fill: [
      'Where it is: running already, or a container image that the harness starts.',
      'At least two providers with different audiences (two realms, two tenants), each with its grants.',
      'The requests or commands that make it trust the cluster and know a ServiceAccount.',
    ],
    first: 'TX-10',
    example: 'fixtures/targets/identity-providers/keycloak-jwt-grant.yaml',
    more: ['fixtures/identity-providers/README.md'],
  },
  'token-client': {
    what: 'a token client',
    about:
      'A library, an SDK, a plugin or an agent that reads a projected token and exchanges it: whether it re-reads the ' +
      'file after every rotation, caches within bounds, fails fast, and never writes a token to its output.',
    fill: [
      'The grants that it has, and what else it documents (`cache`, `resident`, a skew).',
      'Its configuration file, with placeholders where a run fills in issuer, client id and token path.',
      'How it is started, as a pod or as a process, and how it is told to make a call.',
    ],
    first: 'TR-21',
    example: 'fixtures/targets/token-clients/reference/target.yaml',
    more: ['fixtures/targets/token-clients/README.md', 'fixtures/targets/token-clients/certify-an-sdk.md'],
    options: '--idp embedded ',
  },
  'job-runner': {
    what: 'a job runner',
    about:
      'A worker that runs agents as Jobs: whether tasks end exactly once, output is whole, cancellation and shutdown ' +
      'clean up, and the documented Role is enough and no more.',
    fill: [
      'The rules of the Role that it documents.',
      'How it is started: a command that speaks JSON lines, or a driver module of about a hundred lines.',
      'Its times: how long it waits for pods, how long it keeps Jobs.',
    ],
    first: 'JL-22',
    example: 'fixtures/targets/job-runners/reference/target.yaml',
    more: ['fixtures/targets/job-runners/README.md'],
  },
  'session-manager': {
    what: 'a session manager',
    about:
      'An API or a controller that makes pods for sessions: whether it makes what it is asked for, reports what is, ' +
      'cleans up only its own, and keeps to its documented rights.',
    fill: [
      'Its form: `http` (routes and answers), or `custom-resource` (the CRD, its conditions).',
      'What it documents of its pods: labels, container, restart policy.',
      'The rules of the Role that it documents.',
    ],
    first: 'SM-03',
    example: 'fixtures/targets/session-managers/reference/target.yaml',
    more: ['fixtures/targets/session-managers/README.md'],
  },
  'session-operator': {
    what: 'a session operator',
    about:
      'A controller that routes traffic to session pods (DNS, tunnel, ingress): whether each session is reachable ' +
      'while it lives, never afterwards, and never by somebody else.',
    fill: [
      'How it is started, with the addresses of the stand-ins for DNS and tunnel.',
      'Labels of session pods, and the names of what it makes.',
      'The rules of the Role that it documents.',
    ],
    first: 'SR-01',
    example: 'fixtures/targets/session-operators/reference/target.yaml',
    more: ['fixtures/targets/session-operators/README.md'],
  },
};

/** Where the page of a role is, from the root. */
export const guideFile = (role: Role): string => `harness/docs/certify/${role}.md`;

/** Each role's page, "certify your … in ten minutes", by its path from the root. */
export function guidePages(catalogue: Catalogue, note: string): Record<string, string> {
  return Object.fromEntries(ROLES.map((role) => [guideFile(role), guidePage(role, catalogue, note)]));
}

const link = (path: string): string => `[${path}](../../../${path})`;

function guidePage(role: Role, { requirements }: Catalogue, note: string): string {
  const { what, about, fill, first, example, more, options = '' } = GUIDES[role];
  const own = requirements.filter((row) => row.role === role);
  const core = own.filter((row) => supportOf(row) === 'core').length;
  const row = own.find(({ id }) => id === first);
  if (row === undefined) {
    throw new Error(`the guide of ${role} begins with ${first}, which is no requirement of it`);
  }
  const file = `${role}.yaml`;
  const [article, ...noun] = what.split(' ');
  return `${note}

# Certify your ${noun.join(' ')} in ten minutes

${about}

The catalogue has ${own.length} requirements for ${article} ${noun.join(' ')}: ${core} bind every one, ${own.length - core} those that declare a
capability. You need Node 20 or newer and a container engine. In an empty folder, with the archive of \`npm pack\`:

\`\`\`sh
npm install kube-agent-conformance-VERSION.tgz
npx kube-agent-conformance doctor
npx kube-agent-conformance init ${role} ${file}
\`\`\`

The last command wrote a commented target file. What it has to say:

${fill.map((line) => `- ${line}`).join('\n')}

${link(example)} is one that works.

Look at one requirement before all of them. ${first} says: *${row.statement}*

\`\`\`sh
npx kube-agent-conformance explain ${first}
npx kube-agent-conformance run ${options}--target ${file} --requirement ${first}
npx kube-agent-conformance show --no-open
\`\`\`

The report says what was seen, why it matters and how to fix it. While you fix something, \`conformance up\` keeps an
environment, and \`run --env\` takes seconds. Then everything, for others to verify:

\`\`\`sh
openssl genpkey -algorithm ed25519 -out vendor.pem
npx kube-agent-conformance certify ${options}--product product.yaml --key vendor.pem
\`\`\`

\`product.yaml\` says whose product it is:

\`\`\`yaml
apiVersion: conformance-product/v1
vendor: Example Ltd
name: Example ${noun.map((word) => word[0]?.toUpperCase() + word.slice(1)).join(' ')}
version: 1.0.0
role: ${role}
target: ${file}
\`\`\`

The bundle in \`reports/certification\` is what you [publish](../publish-results.md). Further reading: ${[...more.map(link), '[levels](../levels.md)'].join(', ')}.
`;
}
