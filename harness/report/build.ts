import { packageVersion } from '../core/package.ts';
import { redactData } from '../core/redact.ts';
import { MATRIX } from '../probes/matrix.ts';
import { TIMELINE } from '../probes/timeline.ts';
import { roleOf } from '../rpc/candidate.ts';
import type { RequirementResult } from '../rpc/protocol.ts';
import type { Execution } from '../run/execute.ts';
import type { Session } from '../run/session.ts';
import type { Target } from '../targets/load.ts';
import { collectIncompatibilities } from './incompatibilities.ts';
import { collectMatrix } from './matrix.ts';
import { judge, type Report, type ReportResult, reportSchema, summarize } from './report.ts';
import { collectTimeline } from './timeline.ts';

/** The results of one candidate with what the catalogue says of each, in the order of the catalogue. */
export function resultsOf(session: Session, candidate: string): ReportResult[] {
  const own = session.results.filter((result) => result.candidate === candidate);
  return session.catalogue.requirements.flatMap((row) =>
    own.filter(({ id }) => id === row.id).map((result) => withCatalogue(result, row)),
  );
}

function withCatalogue(
  { id, outcome, reason, disturbedBefore, startedAt, durationMs, evidence }: RequirementResult,
  { level, role, suite }: Pick<ReportResult, 'level' | 'role' | 'suite'>,
): ReportResult {
  return {
    id,
    level,
    role,
    suite,
    outcome,
    ...(reason === undefined ? {} : { reason }),
    ...(disturbedBefore === undefined ? {} : { disturbedBefore }),
    startedAt,
    durationMs,
    evidence,
  };
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
 */
export function buildReport(session: Session, { faults, environment, requests }: Execution): Report {
  const [candidate] = session.candidates;
  if (candidate === undefined) {
    throw new Error('a run without a candidate');
  }
  const role = roleOf(candidate);
  const results = resultsOf(session, candidate.name);
  const incompatibilities = collectIncompatibilities(results);
  const evidence = results.flatMap((result) => result.evidence);
  const matrix = collectMatrix(evidence);
  const { conformant, reasons } = judge(candidate.planned, results, faults);
  return reportSchema.parse(
    redactData({
      apiVersion: 'conformance/v1',
      tool: { ...packageVersion(), node: process.version },
      runId: session.runId,
      startedAt: session.startedAt.toISOString(),
      finishedAt: new Date().toISOString(),
      catalogue: { digest: session.catalogue.digest, requirements: session.catalogue.requirements.length },
      target: {
        name: candidate.name,
        ...(role === undefined ? {} : { role }),
        ...(candidate.kind === 'targets' ? { files: candidate.targets.map(fileOf) } : {}),
      },
      environment,
      requests,
      clock: session.clock,
      planned: candidate.planned,
      // What the timeline and the matrix have is not told a second time.
      results: results.map((result) => ({
        ...result,
        evidence: result.evidence.filter(({ label }) => label !== TIMELINE && label !== MATRIX),
      })),
      timeline: collectTimeline(evidence),
      ...(matrix === undefined ? {} : { matrix }),
      ...(incompatibilities.length === 0 ? {} : { incompatibilities }),
      faults,
      summary: summarize(results),
      conformant,
      reasons,
    }),
  );
}
