import { html, Markup, table } from './markup.ts';

/** Rows of a table, and items of a list, that are shown. */
const ROWS = 30;
const COLUMNS = 8;
const DEPTH = 6;
const LINE = 100;

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isScalar(value: unknown): value is string | number | boolean | null | undefined {
  return value === null || value === undefined || typeof value !== 'object';
}

/** What fits into a field of a table. */
function isShort(value: unknown): boolean {
  return isScalar(value) || JSON.stringify(value).length <= LINE;
}

/** Some short values, which stand in one line. */
function isEnumeration(value: unknown): value is unknown[] {
  return Array.isArray(value) && value.length > 0 && value.every((item) => isScalar(item) && String(item).length < 80);
}

function more(count: number): Markup | undefined {
  return count > 0 ? html`<p class="more">and ${count} more in report.json</p>` : undefined;
}

function scalar(value: string | number | boolean | null | undefined): Markup {
  if (typeof value === 'string') {
    if (value === '') {
      return html`<span class="dim">(empty)</span>`;
    }
    return value.includes('\n') || value.length > LINE ? html`<pre>${value}</pre>` : html`${value}`;
  }
  return html`<span class="num">${isEpoch(value) ? new Date(value).toISOString() : String(value)}</span>`;
}

/** Milliseconds since the epoch, of these decades: nobody reads them as a time. */
function isEpoch(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) > 1.5e12 && (value as number) < 4e12;
}

function tableOf(rows: Record<string, unknown>[], columns: string[], label: string): Markup {
  const lines = rows
    .slice(0, ROWS)
    .map((row) => html`<tr>${columns.map((column) => html`<td>${inline(row[column])}</td>`)}</tr>`);
  return html`${table(label, columns, lines)}${more(rows.length - ROWS)}`;
}

function inline(value: unknown): Markup {
  if (value === undefined) {
    return html``;
  }
  if (typeof value === 'string' && !value.includes('\n')) {
    return html`${value}`;
  }
  return isScalar(value) ? scalar(value) : html`<code>${JSON.stringify(value)}</code>`;
}

/**
 * Data as a person reads it: an object as terms and values, a list of like objects as a table, text of several lines as
 * it is.
 *
 * @param label what it is of: the name of a table that scrolls
 */
export function renderData(value: unknown, label: string, depth = 0): Markup {
  if (isScalar(value)) {
    return scalar(value);
  }
  if (isEnumeration(value)) {
    return html`${value.slice(0, ROWS).map(String).join(', ')}${more(value.length - ROWS)}`;
  }
  if (depth >= DEPTH) {
    return html`<pre>${JSON.stringify(value, null, 2)}</pre>`;
  }
  if (Array.isArray(value)) {
    if (value.length === 0) {
      return html`<span class="dim">(none)</span>`;
    }
    const columns = [...new Set(value.flatMap((row) => (isPlain(row) ? Object.keys(row) : [])))];
    const isFlat = value.every((row) => isPlain(row) && Object.values(row).every(isShort));
    if (isFlat && columns.length > 0 && columns.length <= COLUMNS) {
      return tableOf(value as Record<string, unknown>[], columns, label);
    }
    const items = value.slice(0, ROWS).map((item) => html`<li>${renderData(item, label, depth + 1)}</li>`);
    return html`<ol class="list">${items}</ol>${more(value.length - ROWS)}`;
  }
  const entries = Object.entries(value);
  if (entries.length === 0) {
    return html`<span class="dim">(none)</span>`;
  }
  const terms = entries.slice(0, ROWS).map(([key, item]) => {
    const isDeep = !isScalar(item) && !isEnumeration(item);
    return html`
      <div${isDeep && new Markup(' class="deep"')}><dt>${key}</dt><dd>${renderData(item, `${label}, ${key}`, depth + 1)}</dd></div>`;
  });
  return html`<dl class="data">${terms}</dl>${more(entries.length - ROWS)}`;
}
