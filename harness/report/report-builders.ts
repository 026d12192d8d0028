/** Reports for tests: every outcome, in any number, with the sections of a real run. Deterministic. */
import { createHash } from 'node:crypto';
import { loadCatalogue, type Requirement } from '../catalogue/catalogue.ts';
import { loadDocuments, resolveSource } from '../catalogue/sources.ts';
import { groupByCause } from '../core/causes.ts';
import type { Outcome } from '../core/outcome.ts';
import type { Permissions } from '../kubernetes/permissions.ts';
import type { Matrix } from '../probes/matrix.ts';
import type { TimelineEvent } from '../probes/timeline.ts';
import { sentenceOf } from './failures.ts';
import { type Report, type ReportResult, reportSchema } from './report.ts';
import { assess, summarize } from './verdict.ts';

const BEGIN = Date.parse('2026-03-02T09:00:00.000Z');
const at = (seconds: number): string => new Date(BEGIN + seconds * 1000).toISOString();
const digest = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 12);

/** One result that is not of the catalogue. */
export function resultOf(id: string, outcome: Outcome, more: Partial<ReportResult> = {}): ReportResult {
  return {
    id,
    level: 'MUST',
    role: 'cluster',
    suite: 'token-rotation',
    outcome,
    ...(outcome === 'passed' ? {} : { reason: `${id} is ${outcome} for a reason` }),
    startedAt: at(10),
    durationMs: 1500,
    evidence: [],
    ...more,
  };
}

/** A report of some results: planned is what has one, unless it is said. */
export function reportOf(results: ReportResult[], more: Partial<Report> = {}): Report {
  const planned = more.planned ?? results.map(({ id }) => id);
  const faults = more.faults ?? [];
  return reportSchema.parse({
    apiVersion: 'conformance/v1',
    tool: { name: 'kube-agent-conformance', version: '0.1.0', node: 'v24.0.0' },
    runId: 'r1a2b3c4',
    startedAt: at(0),
    finishedAt: at(420),
    catalogue: { digest: 'a'.repeat(64), requirements: 158 },
    target: { name: 'references' },
    environment: { clusters: [{ name: 'reference', kind: 'k3s', kubernetesVersion: 'v1.35.4' }] },
    requests: [{ component: 'cluster', counts: { TokenReview: 3, 'list pods': 41 }, countedBy: 'its audit log' }],
    clock: { kind: 'accelerated', lifetimeSeconds: 60, clientLifetimeSeconds: 25, syncFrequencySeconds: 1 },
    planned,
    results,
    timeline: [],
    faults,
    summary: summarize(results),
    ...assess(planned, results, faults, more.strict),
    ...more,
  });
}

/** What some requirements were found to break, as the checks word it. */
const FINDINGS: Record<string, string[]> = {
  'TR-22': [4, 5, 6, 7, 8, 9, 10].map(
    (call) =>
      `call ${call} presented the token ${digest('one')} although the file held ${digest(`file ${call}`)} for ${(call * 1.7).toFixed(1)} s`,
  ),
  'TR-23': [8, 9, 10].map(
    (call) => `call ${call} presented a subject token that had expired ${(call * 0.9).toFixed(1)} s before`,
  ),
  'TR-30': ['the output holds a subject token in line 212, at log level debug'],
  'AI-01': ['the provider staging accepts a token for the audience of production (jwt-bearer, 200)'],
  'RB-21': ['documented but never used: delete secrets', 'documented but never used: list nodes (whole cluster)'],
  'WH-01': [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12].map(
    (pod) => `pod task-${digest(`p${pod}`)} has a container without resource limits`,
  ),
};

const LOG = [
  '09:04:11.120 INFO  token source: watching /var/run/secrets/tokens/oauth2/token',
  '09:04:36.402 WARN  exchange failed: 400 invalid_grant (assertion expired)',
  '09:04:36.403 ERROR call 8 failed: no usable access token',
  '    at TokenSource.get (/app/dist/token-source.js:88:13)',
  '    at process.processTicksAndRejections (node:internal/process/task_queues:103:5)',
].join('\n');

function evidenceFor(id: string, outcome: Outcome): ReportResult['evidence'] {
  if (outcome === 'passed') {
    return [{ label: 'seen', at: at(60), data: { requests: 12, answers: [200, 200, 401] } }];
  }
  return [
    { label: 'log of the pod, last lines', at: at(61), data: LOG },
    {
      label: 'events of the pod',
      at: at(62),
      data: [
        {
          type: 'Normal',
          reason: 'Scheduled',
          message: 'Successfully assigned conformance-1/agent-0 to node-1',
          count: 1,
        },
        { type: 'Warning', reason: 'BackOff', message: 'Back-off restarting failed container agent', count: 4 },
      ],
    },
    {
      label: 'claims of the token',
      at: at(63),
      data: {
        iss: 'https://cluster.test',
        aud: ['production'],
        exp: 1772442300,
        sub: `system:serviceaccount:ns:${id}`,
      },
    },
  ];
}

/** Requirements that all fail for one reason. */
const NOT_TESTABLE = ['JL-20', 'JL-21', 'JL-22', 'JL-23', 'JL-24', 'JL-25', 'JL-26', 'JL-27'];
const NOT_READY =
  'the job runner does not accept work: preflight failed: configmaps "runner" is forbidden: cannot get resource "configmaps"';

function outcomeFor({ id, level }: Requirement, index: number): [Outcome, string?] {
  if (FINDINGS[id] !== undefined) {
    return ['failed'];
  }
  if (NOT_TESTABLE.includes(id)) {
    return ['not testable', NOT_READY];
  }
  if (level === 'SHOULD' && index % 4 === 0) {
    return [
      'failed',
      `waited ${10 + (index % 7)}.0 s for the pod to be Ready; last seen: phase Pending, reason Unschedulable`,
    ];
  }
  if (index % 11 === 0) {
    return ['not applicable', 'the target file declares no capability `retain`'];
  }
  if (index % 53 === 0) {
    return ['disabled', 'switched off by --disable'];
  }
  return ['passed'];
}

function sampleResult(row: Requirement, id: string, index: number): ReportResult {
  const [outcome, reason] = outcomeFor(row, index);
  const findings = outcome === 'failed' ? (FINDINGS[row.id] ?? []) : [];
  const { level, role, suite, statement, source, rationale, observed, remedy } = row;
  return {
    id,
    level,
    role,
    suite,
    statement: sentenceOf(statement),
    source,
    rationale,
    observed,
    remedy,
    outcome,
    ...(outcome === 'passed' ? {} : { reason: reason ?? findings.slice(0, 5).join('; ') }),
    ...(findings.length === 0 ? {} : { findings: groupByCause(findings) }),
    startedAt: at(90 + (index % 40) * 3),
    durationMs: 800 + ((index * 7919) % 60_000),
    evidence: evidenceFor(id, outcome),
  };
}

function sampleTimeline(): TimelineEvent[] {
  return ['production', 'staging'].flatMap((provider, file) =>
    Array.from({ length: 6 }, (_, index): TimelineEvent[] => {
      const [subject, access] = [digest(`${provider} ${index}`), digest(`${provider} access ${index}`)];
      const [minted, where] = [100 + index * 20 + file * 3, `/var/run/secrets/tokens/${provider}/token`];
      const own = { token: subject, kind: 'subject token' } as const;
      return [
        { ...own, at: at(minted), event: 'minted', where },
        { ...own, at: at(minted + 1), event: 'mounted', where },
        { ...own, at: at(minted + 4), event: 'presented', where: provider, detail: 'assertion' },
        index === 4
          ? { ...own, at: at(minted + 27), event: 'refused', where: provider, detail: '400 invalid_grant' }
          : { ...own, at: at(minted + 4.2), event: 'exchanged', where: provider },
        { token: access, kind: 'access token', at: at(minted + 4.2), event: 'issued', where: provider },
        { token: access, kind: 'access token', at: at(minted + 5), event: 'used', where: provider },
        {
          token: access,
          kind: 'access token',
          at: at(minted + 18),
          event: 'refused',
          where: provider,
          detail: '401 "exp" claim timestamp check failed',
        },
        { ...own, at: at(minted + 21), event: 'replaced', where, detail: `by ${digest(`${provider} ${index + 1}`)}` },
        { ...own, at: at(minted + 25), event: 'expired', where },
      ];
    }).flat(),
  );
}

function sampleMatrix(): Matrix {
  const names = ['production', 'staging', 'peer'];
  const pairs = names.flatMap((provider) => names.map((token) => ({ provider, token })));
  return {
    providers: names.map((name) => ({
      name,
      issuer: `https://idp.test/realms/${name}`,
      audience: name,
      underTest: name !== 'peer',
    })),
    subjectTokens: pairs.map(({ provider, token }) => {
      const isHole = provider === 'staging' && token === 'production';
      const isAccepted = provider === token || isHole;
      return {
        provider,
        token,
        audience: token,
        exchange: 'jwt-bearer',
        status: isAccepted ? 200 : 400,
        outcome: isAccepted ? 'accepted' : 'refused',
        ...(isAccepted ? {} : { reason: 'audience' }),
        asItMust: !isHole,
      };
    }),
    accessTokens: pairs.map(({ provider, token }) => ({
      issuedBy: token,
      resourceServer: provider,
      exchange: 'jwt-bearer',
      outcome: provider === token ? 'accepted' : 'refused',
      ...(provider === token ? {} : { reason: 'unexpected "iss" claim value' }),
      asItMust: true,
    })),
  };
}

const PERMISSION_DIFF: Permissions = {
  of: 'example-runner',
  rights: [
    {
      verb: 'create',
      apiGroup: 'batch',
      resource: 'jobs',
      namespaced: true,
      documented: true,
      requests: 14,
      refused: 0,
    },
    {
      verb: 'delete',
      apiGroup: 'batch',
      resource: 'jobs',
      namespaced: true,
      documented: true,
      requests: 12,
      refused: 0,
    },
    { verb: 'watch', apiGroup: '', resource: 'pods', namespaced: true, documented: true, requests: 31, refused: 0 },
    { verb: 'get', apiGroup: '', resource: 'pods/log', namespaced: true, documented: true, requests: 14, refused: 0 },
    { verb: 'delete', apiGroup: '', resource: 'secrets', namespaced: true, documented: true, requests: 0, refused: 0 },
    { verb: 'list', apiGroup: '', resource: 'nodes', namespaced: false, documented: true, requests: 0, refused: 0 },
    {
      verb: 'get',
      apiGroup: '',
      resource: 'configmaps',
      name: 'runner',
      namespaced: true,
      documented: false,
      requests: 3,
      refused: 3,
    },
  ],
  smallest: `apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: job-runner
rules:
  - apiGroups: [batch]
    resources: [jobs]
    verbs: [create, delete]
  - apiGroups: [""]
    resources: [pods]
    verbs: [watch]
  - apiGroups: [""]
    resources: [pods/log]
    verbs: [get]
`,
};

/**
 * The requirements by id, those that a test looks for first: whatever the catalogue has beside them, a report is much
 * the same.
 */
function inOrder(requirements: Requirement[]): Requirement[] {
  const first = [...Object.keys(FINDINGS), ...NOT_TESTABLE];
  const rest = requirements.filter(({ id }) => !first.includes(id)).sort((one, other) => (one.id < other.id ? -1 : 1));
  return [...first.flatMap((wanted) => requirements.filter(({ id }) => id === wanted)), ...rest];
}

/**
 * A report of a failing run with every section: `count` results, of the catalogue's requirements and, beyond them, of
 * more like these.
 *
 * @param withHarnessError one of them could not be evaluated, so that there is no verdict
 */
export function sampleReport(count: number, withHarnessError = false): Report {
  const { requirements: rows, digest: catalogueDigest } = loadCatalogue();
  const requirements = inOrder(rows);
  const documents = loadDocuments();
  const results = Array.from({ length: count }, (_, index) => {
    const row = requirements[index % requirements.length];
    if (row === undefined) {
      throw new Error('an empty catalogue');
    }
    const round = Math.floor(index / requirements.length);
    return sampleResult(row, round === 0 ? row.id : `${row.id}-${round}`, index + 1);
  });
  if (withHarnessError && results[2] !== undefined) {
    results[2] = {
      ...results[2],
      outcome: 'harness error',
      reason: 'the API server did not answer: connect ECONNREFUSED',
      findings: undefined,
    };
  }
  return reportOf(results, {
    catalogue: { digest: catalogueDigest, requirements: requirements.length },
    target: {
      name: 'example-agent',
      files: [
        {
          name: 'example-agent',
          role: 'job-runner',
          version: '2.4.1',
          capabilities: ['cancel'],
          digest: 'b'.repeat(64),
        },
      ],
    },
    sources: Object.fromEntries(
      requirements
        .flatMap(({ source }) => source)
        .flatMap((source) => {
          const url = resolveSource(source, documents)?.url;
          return url === undefined ? [] : [[source, url]];
        }),
    ),
    invocation: { program: 'npm run conformance --', options: ['--target', 'example-agent.yaml'] },
    timeline: sampleTimeline(),
    matrix: sampleMatrix(),
    permissions: [PERMISSION_DIFF],
  });
}
