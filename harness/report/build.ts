import type { Requirement } from '../catalogue/catalogue.ts';
import { loadDocuments, resolveSource } from '../catalogue/sources.ts';
import { packageVersion, sourceCommit } from '../core/package.ts';
import { redactData } from '../core/redact.ts';
import { PERMISSIONS } from '../kubernetes/permissions.ts';
import { MATRIX } from '../probes/matrix.ts';
import { TIMELINE } from '../probes/timeline.ts';
import { roleOf } from '../rpc/candidate.ts';
import type { RequirementResult } from '../rpc/protocol.ts';
import type { Execution } from '../run/execute.ts';
import type { Session } from '../run/session.ts';
import type { Target } from '../targets/load.ts';
import { shareEvidence } from './evidence.ts';
import { sentenceOf } from './failures.ts';
import { collectIncompatibilities } from './incompatibilities.ts';
import { collectMatrix } from './matrix.ts';
import { collectPermissions } from './permissions.ts';
import { type Report, type ReportResult, reportSchema } from './report.ts';
import { collectTimeline } from './timeline.ts';
import { assess, summarize } from './verdict.ts';

/** Labels of the evidence that has a section of its own. */
const SECTIONS = [TIMELINE, MATRIX, PERMISSIONS];

function addressesOf(results: ReportResult[]): Record<string, string> {
  const documents = loadDocuments();
  const sources = new Set(results.flatMap(({ source = [] }) => source));
  return Object.fromEntries(
    [...sources].flatMap((source) => {
      const url = resolveSource(source, documents)?.url;
      return url === undefined ? [] : [[source, url]];
    }),
  );
}

/** The results of one candidate with what the catalogue says of each, in the order of the catalogue. */
export function resultsOf(session: Session, candidate: string): ReportResult[] {
  const own = session.results.filter((result) => result.candidate === candidate);
  return session.catalogue.requirements.flatMap((row) =>
    own.filter(({ id }) => id === row.id).map((result) => withCatalogue(result, row)),
  );
}

function withCatalogue({ candidate: _, doubt: __, ...result }: RequirementResult, row: Requirement): ReportResult {
  const { id, level, role, suite, statement, source, rationale, observed, remedy } = row;
  return { ...result, id, level, role, suite, statement: sentenceOf(statement), source, rationale, observed, remedy };
}

function fileOf({
  name,
  role,
  version,
  profile,
  capabilities,
  digest,
}: Target): NonNullable<Report['target']['files']>[number] {
  return {
    name,
    role,
    ...(version === undefined ? {} : { version }),
    ...(profile === undefined ? {} : { profile }),
    capabilities,
    digest,
  };
}

/**
 * Builds the report of a run of one candidate, checked against its own schema, every token in it cut.
 *
 * @param execution what the parts said of themselves, taken before clean-up
 * @param invocation how the run was started, so that somebody can repeat it
 * @param strict a SHOULD counts as a MUST
 */
export function buildReport(
  session: Session,
  { faults, environment, requests }: Execution,
  invocation?: Report['invocation'],
  strict = false,
): Report {
  const [candidate] = session.candidates;
  if (candidate === undefined) {
    throw new Error('a run without a candidate');
  }
  const role = roleOf(candidate);
  const results = resultsOf(session, candidate.name);
  const incompatibilities = collectIncompatibilities(results);
  const evidence = results.flatMap((result) => result.evidence);
  const matrix = collectMatrix(evidence);
  const permissions = collectPermissions(evidence);
  const commit = sourceCommit();
  const { conformant, harnessError, reasons } = assess(candidate.planned, results, faults, strict);
  return reportSchema.parse(
    redactData({
      apiVersion: 'conformance/v1',
      tool: { ...packageVersion(), node: process.version, ...(commit === undefined ? {} : { commit }) },
      runId: session.runId,
      startedAt: session.startedAt.toISOString(),
      finishedAt: new Date().toISOString(),
      catalogue: { digest: session.catalogue.digest, requirements: session.catalogue.requirements.length },
      target: {
        name: candidate.name,
        ...(role === undefined ? {} : { role }),
        ...(candidate.kind === 'targets' ? { files: candidate.targets.map(fileOf) } : {}),
      },
      ...(invocation === undefined ? {} : { invocation }),
      environment,
      requests,
      clock: session.clock,
      sources: addressesOf(results),
      ...(strict ? { strict } : {}),
      planned: candidate.planned,
      // What a section of its own has is not told a second time.
      results: shareEvidence(
        results.map((result) => ({
          ...result,
          evidence: result.evidence.filter(({ label }) => !SECTIONS.includes(label)),
        })),
      ),
      timeline: collectTimeline(evidence),
      ...(matrix === undefined ? {} : { matrix }),
      ...(permissions.length === 0 ? {} : { permissions }),
      ...(incompatibilities.length === 0 ? {} : { incompatibilities }),
      faults,
      summary: summarize(results),
      conformant,
      harnessError,
      reasons,
    }),
  );
}
