import { join, relative } from 'node:path';
import { cwd } from 'node:process';
import type { Command } from 'commander';
import pc from 'picocolors';
import { type Catalogue, loadCatalogue, type Requirement, SUITES_FOLDER } from '../catalogue/catalogue.ts';
import { codeOf, type Place } from '../catalogue/code.ts';
import { describePreconditions } from '../catalogue/describe.ts';
import { loadDocuments, resolveSource } from '../catalogue/sources.ts';
import { UsageError } from '../core/errors.ts';
import { redact } from '../core/redact.ts';
import { evidenceOfResult } from '../report/evidence.ts';
import type { Report, ReportResult } from '../report/report.ts';
import { describeRepeat } from '../report/words.ts';
import { select } from '../run/plan.ts';

/** Characters of one piece of evidence that are printed; the report holds all of it. */
const EVIDENCE_LIMIT = 4000;
/** Findings of one cause that are printed. */
const FINDINGS_SHOWN = 5;

/** `conformance explain ID`: one requirement in full, and what became of it in a report. */
export function registerExplain(program: Command): void {
  program
    .command('explain')
    .description(
      'Explain a requirement: why, source, how it is observed, remedy, twins, code; and its result in a report.',
    )
    .argument('<id>', 'requirement ID, e.g. TR-03')
    .option('--report <folder>', 'also show the outcome, the reason and the evidence of this run, e.g. reports/latest')
    .action(async (id: string, { report: folder }: { report?: string }) => {
      const catalogue = loadCatalogue();
      const [requirement] = select(catalogue, { requirements: [id] });
      if (requirement === undefined) {
        return;
      }
      let result = '';
      if (folder !== undefined) {
        // Loaded here, so that the command starts at once without a report.
        const { readReport } = await import('../report/read.ts');
        result = explainResult(id, folder, readReport(folder));
      }
      process.stdout.write(`${explain(requirement, catalogue)}${result}`);
    });
}

function part(title: string, ...lines: string[]): string {
  return `\n${pc.bold(title)}\n${lines.map((line) => `  ${line}\n`).join('')}`;
}

function explain(requirement: Requirement, { twins }: Catalogue): string {
  const { id, level, role, suite, statement, source, rationale, observed, remedy } = requirement;
  const documents = loadDocuments();
  const sources = source.map((each) => {
    const url = resolveSource(each, documents)?.url;
    return url === undefined ? each : `${each} <${url}>`;
  });
  const faults = requirement.twins.map((name) => `${name}: ${twins.find((twin) => twin.name === name)?.fault}`);
  const conditions = describePreconditions(requirement);
  const code = codeOf(requirement);
  const places = [
    ...(code === undefined ? [] : [`test   ${describePlace(code.test)}`]),
    ...(code?.checks ?? []).map(({ name, ...place }) => `check  ${describePlace(place)}  ${name}`),
  ];
  return [
    `${pc.bold(id)}  ${level}, role ${role}, suite ${suite}\n  ${statement}\n`,
    part('Source', ...sources),
    ...(conditions.length === 0 ? [] : [part('Preconditions and cost', ...conditions)]),
    part('Why', rationale),
    part('How it is observed', observed),
    part('Remedy', remedy),
    part('Twins: broken implementations that must fail it', ...faults),
    part('Code', ...places),
  ].join('');
}

function describePlace({ file, line }: Place): string {
  return `${relative(cwd(), join(SUITES_FOLDER, file))}:${line}`;
}

/**
 * What a report says of one requirement: outcome, reason and evidence.
 *
 * @param folder where the report was read, for the text
 * @throws UsageError where the run did not plan the requirement
 */
export function explainResult(
  id: string,
  folder: string,
  { runId, finishedAt, planned, results }: Pick<Report, 'runId' | 'finishedAt' | 'planned' | 'results'>,
): string {
  const result = results.find((row) => row.id === id);
  if (result === undefined) {
    if (planned.includes(id)) {
      return part(`Result in ${folder}`, `planned, but not executed (run ${runId}, ${finishedAt})`);
    }
    throw new UsageError(
      `the run in ${folder} did not plan ${id}; run it with \`conformance run --requirement ${id} --report ${folder}\`.`,
    );
  }
  const seen = evidenceOfResult({ results }, result);
  return redact(
    [
      part(`Result in ${folder}`, `${pc.bold(result.outcome)}, run ${runId}, ${finishedAt}`, ...reasonsOf(result)),
      ...describeFindings(result),
      ...(result.evidence.length === 0 ? [part('Evidence', 'none')] : seen.map(describeEvidence)),
    ].join(''),
  );
}

/** All findings by cause, unless the reason has said the only one. */
function describeFindings({ findings = [], reason = '' }: ReportResult): string[] {
  const isTold = findings.every(({ texts }) => texts.every((text) => reason.includes(text)));
  return isTold
    ? []
    : findings.map(({ cause, count, texts }) => {
        const more = texts.length - FINDINGS_SHOWN;
        const rest = more <= 0 ? [] : [`… ${more} more in report.json`];
        return part(`Findings: ${cause} (${count})`, ...texts.slice(0, FINDINGS_SHOWN), ...rest);
      });
}

function reasonsOf({ reason, disturbedBefore, outcome }: ReportResult): string[] {
  return [
    ...(reason === undefined ? [] : [`Reason: ${reason}`]),
    ...(disturbedBefore === undefined ? [] : [describeRepeat(disturbedBefore, outcome)]),
  ];
}

function describeEvidence({ label, at, data }: ReturnType<typeof evidenceOfResult>[number]): string {
  const text = JSON.stringify(data, null, 2) ?? 'nothing';
  const rest = text.length - EVIDENCE_LIMIT;
  const shown = rest <= 0 ? text : `${text.slice(0, EVIDENCE_LIMIT)}\n… ${rest} more characters in report.json`;
  return part(`Evidence: ${label} (${at})`, ...shown.split('\n'));
}
