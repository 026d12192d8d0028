import type { Matrix } from '../../../probes/matrix.ts';
import type { Report } from '../../report.ts';
import { html, type Markup } from './markup.ts';

interface Cell {
  outcome: string;
  asItMust: boolean;
  reason?: string | undefined;
  exchange: string;
  as?: string | undefined;
  status?: number | undefined;
}

/** What one exchange answered beyond accepted or refused: `HTTP 400, audience`. */
function answer({ status, reason }: Cell): string {
  return [...(status === undefined ? [] : [`HTTP ${status}`]), ...(reason === undefined ? [] : [reason])].join(', ');
}

function cellOf(cells: Cell[], isOwn: boolean): Markup {
  if (cells.length === 0) return html`<td class="cell none"><span class="dim">not tried</span></td>`;
  const isRight = cells.every(({ asItMust }) => asItMust);
  const outcomes = [...new Set(cells.map(({ outcome }) => outcome))].join(' or ');
  const must = isOwn ? 'must be accepted' : 'must be refused';
  const answers = Map.groupBy(cells, answer);
  return html`<td class="cell ${isRight ? 'pass' : 'fail'}"><strong><span aria-hidden="true">${isRight ? '✓' : '✕'}</span> ${
    isRight ? outcomes : `${outcomes}, ${must}`
  }</strong>${[...answers].map(
    ([text, group]) =>
      html`<span class="why">${text}${
        answers.size > 1 &&
        html` <span class="dim">(${group.map(({ exchange, as }) => (as === undefined ? exchange : `${exchange} as ${as}`)).join(', ')})</span>`
      }</span>`,
  )}</td>`;
}

function grid(
  caption: string,
  corner: string,
  rows: string[],
  names: string[],
  cell: (row: string, name: string) => Markup,
): Markup {
  return html`<div class="scroll" role="group" aria-label="${caption}" tabindex="0"><table class="matrix"><caption>${caption}</caption><thead><tr><th scope="col">${corner}</th>${names.map(
    (name) => html`<th scope="col">${name}</th>`,
  )}</tr></thead><tbody>${rows.map(
    (row) => html`<tr><th scope="row">${row}</th>${names.map((name) => cell(row, name))}</tr>`,
  )}</tbody></table></div>`;
}

function rowsOf({ providers }: Matrix, found: string[]): string[] {
  return [...new Set([...providers.map(({ name }) => name), ...found].filter((name) => found.includes(name)))];
}

/** With more providers than these a picture of all fields helps nobody: only what is wrong is listed. */
const PICTURE = 20;

function wrongAnswers({ subjectTokens, accessTokens }: Matrix): Markup {
  const wrong = [
    ...subjectTokens.map((cell) => ({ ...cell, row: cell.token, column: cell.provider })),
    ...accessTokens.map((cell) => ({ ...cell, row: cell.issuedBy, column: cell.resourceServer })),
  ].filter(({ asItMust }) => !asItMust);
  return html`<ul>${wrong
    .slice(0, 200)
    .map(
      (cell) =>
        html`<li>${cell.row} at ${cell.column}: ${cell.outcome}${cell.reason !== undefined && `, ${cell.reason}`} (${cell.exchange})</li>`,
    )}</ul>`;
}

/** Who takes whose token: the matrix as a picture, with the reason in each field. Undefined where it was not asked. */
export function audiencesSection({ matrix }: Report): Markup | undefined {
  if (matrix === undefined) return undefined;
  const { providers, subjectTokens, accessTokens } = matrix;
  const names = providers.map(({ name }) => name);
  const tokens = rowsOf(
    matrix,
    subjectTokens.map(({ token }) => token),
  );
  const issuers = rowsOf(
    matrix,
    accessTokens.map(({ issuedBy }) => issuedBy),
  );
  const wrong = [...subjectTokens, ...accessTokens].filter(({ asItMust }) => !asItMust).length;
  return html`<section id="audiences"><h2>Audience isolation</h2><p class="lead">${
    wrong === 0
      ? 'Every token was accepted by the provider that it is meant for and refused by all others.'
      : `${wrong} of ${subjectTokens.length + accessTokens.length} answers are not as they must be. A token that a foreign provider accepts is a way into that provider.`
  }</p>${names.length > PICTURE && wrongAnswers(matrix)}${
    tokens.length > 0 &&
    names.length <= PICTURE &&
    grid('Projected tokens (rows) at token endpoints (columns)', 'token for', tokens, names, (row, name) =>
      cellOf(
        subjectTokens.filter((cell) => cell.token === row && cell.provider === name),
        row === name,
      ),
    )
  }${
    issuers.length > 0 &&
    names.length <= PICTURE &&
    grid('Access tokens (rows) at resource servers (columns)', 'issued by', issuers, names, (row, name) =>
      cellOf(
        accessTokens.filter((cell) => cell.issuedBy === row && cell.resourceServer === name),
        row === name,
      ),
    )
  }<details class="table"><summary>The providers</summary><div class="scroll" role="group" aria-label="providers" tabindex="0"><table><thead><tr><th scope="col">provider</th><th scope="col">issuer</th><th scope="col">audience</th><th scope="col">under test</th></tr></thead><tbody>${providers
    .slice(0, 200)
    .map(
      ({ name, issuer, audience, underTest }) =>
        html`<tr><th scope="row">${name}</th><td><code>${issuer}</code></td><td><code>${audience}</code></td><td>${
          underTest ? 'yes' : 'no, a reference'
        }</td></tr>`,
    )}</tbody></table></div></details></section>`;
}
