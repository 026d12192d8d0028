import type { Matrix } from '../../../probes/matrix.ts';
import type { Report } from '../../report.ts';
import { html, type Markup, table } from './markup.ts';

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
  if (cells.length === 0) {
    return html`<td class="cell none"><span class="dim">not tried</span></td>`;
  }
  const isRight = cells.every(({ asItMust }) => asItMust);
  const outcomes = [...new Set(cells.map(({ outcome }) => outcome))].join(' or ');
  const must = isOwn ? 'must be accepted' : 'must be refused';
  const text = isRight ? outcomes : `${outcomes}, ${must}`;
  const answers = Map.groupBy(cells, answer);
  const reasons = [...answers].map(([reason, group]) => {
    const by = group.map(({ exchange, as }) => (as === undefined ? exchange : `${exchange} as ${as}`)).join(', ');
    return html`<span class="why">${reason}${answers.size > 1 && html` <span class="dim">(${by})</span>`}</span>`;
  });
  return html`
    <td class="cell ${isRight ? 'pass' : 'fail'}">
      <strong><span aria-hidden="true">${isRight ? '✓' : '✕'}</span> ${text}</strong>
      ${reasons}
    </td>`;
}

interface Grid {
  caption: string;
  corner: string;
  rows: string[];
  columns: string[];
  cell(row: string, column: string): Markup;
}

function grid({ caption, corner, rows, columns, cell }: Grid): Markup {
  const lines = rows.map(
    (row) => html`<tr><th scope="row">${row}</th>${columns.map((column) => cell(row, column))}</tr>`,
  );
  return html`
    <div class="scroll" role="group" aria-label="${caption}" tabindex="0">
      <table class="matrix">
        <caption>${caption}</caption>
        <thead>
          <tr><th scope="col">${corner}</th>${columns.map((column) => html`<th scope="col">${column}</th>`)}</tr>
        </thead>
        <tbody>${lines}</tbody>
      </table>
    </div>`;
}

/** Names that were found, in the order of the providers; one that is nobody's comes last. */
function rowsOf({ providers }: Matrix, found: string[]): string[] {
  return [...new Set([...providers.map(({ name }) => name), ...found].filter((name) => found.includes(name)))];
}

/** With more providers than these a picture of all fields helps nobody: only what is wrong is listed. */
const PICTURE = 20;
/** Rows of a list. */
const LISTED = 200;

function wrongAnswers({ subjectTokens, accessTokens }: Matrix): Markup {
  const wrong = [
    ...subjectTokens.map((cell) => ({ ...cell, row: cell.token, column: cell.provider })),
    ...accessTokens.map((cell) => ({ ...cell, row: cell.issuedBy, column: cell.resourceServer })),
  ].filter(({ asItMust }) => !asItMust);
  const lines = wrong.slice(0, LISTED).map(({ row, column, outcome, reason, exchange }) => {
    const why = reason === undefined ? '' : `, ${reason}`;
    return html`<li>${row} at ${column}: ${outcome}${why} (${exchange})</li>`;
  });
  return html`<ul>${lines}</ul>`;
}

function pictures(matrix: Matrix, columns: string[]): Markup {
  const { subjectTokens, accessTokens } = matrix;
  const tokens = rowsOf(
    matrix,
    subjectTokens.map(({ token }) => token),
  );
  const issuers = rowsOf(
    matrix,
    accessTokens.map(({ issuedBy }) => issuedBy),
  );
  const presented = (row: string, column: string): Markup => {
    const cells = subjectTokens.filter(({ token, provider }) => token === row && provider === column);
    return cellOf(cells, row === column);
  };
  const used = (row: string, column: string): Markup => {
    const cells = accessTokens.filter(({ issuedBy, resourceServer }) => issuedBy === row && resourceServer === column);
    return cellOf(cells, row === column);
  };
  const subject = 'Projected tokens (rows) at token endpoints (columns)';
  const access = 'Access tokens (rows) at resource servers (columns)';
  return html`
    ${tokens.length > 0 && grid({ caption: subject, corner: 'token for', rows: tokens, columns, cell: presented })}
    ${issuers.length > 0 && grid({ caption: access, corner: 'issued by', rows: issuers, columns, cell: used })}`;
}

const GOOD = 'Every token was accepted by the provider that it is meant for and refused by all others.';
const DANGER = 'A token that a foreign provider accepts is a way into that provider.';

/** Who takes whose token: the matrix as a picture, with the reason in each field. Undefined where it was not asked. */
export function audiencesSection({ matrix }: Report): Markup | undefined {
  if (matrix === undefined) {
    return undefined;
  }
  const { providers, subjectTokens, accessTokens } = matrix;
  const answers = [...subjectTokens, ...accessTokens];
  const wrong = answers.filter(({ asItMust }) => !asItMust).length;
  const lead = wrong === 0 ? GOOD : `${wrong} of ${answers.length} answers are not as they must be. ${DANGER}`;
  const names = providers.map(({ name }) => name);
  const rows = providers.slice(0, LISTED).map(
    ({ name, issuer, audience, underTest }) => html`
      <tr>
        <th scope="row">${name}</th>
        <td><code>${issuer}</code></td>
        <td><code>${audience}</code></td>
        <td>${underTest ? 'yes' : 'no, a reference'}</td>
      </tr>`,
  );
  return html`
    <section id="audiences">
      <h2>Audience isolation</h2>
      <p class="lead">${lead}</p>
      ${names.length > PICTURE ? wrongAnswers(matrix) : pictures(matrix, names)}
      <details class="table">
        <summary>The providers</summary>
        ${table('providers', ['provider', 'issuer', 'audience', 'under test'], rows)}
      </details>
    </section>`;
}
