import type { Catalogue } from '../catalogue/catalogue.ts';
import type { Role } from '../role-data/index.ts';
import { canonicalPlan, missingFrom } from './certification/plan.ts';
import { escapeHtml } from './renderers/html/markup.ts';
import type { Report } from './report.ts';
import { verdictOf } from './verdict.ts';

export interface Badge {
  label: string;
  message: string;
  /** As shields.io names it. */
  color: 'brightgreen' | 'red' | 'blue' | 'lightgrey';
}

const LABEL = 'agent conformance';

/**
 * The verdict as a badge. A run of less than everything that is asked of its role is never called conformant: it says
 * how much was asked.
 */
export function badgeOf(report: Report, catalogue: Pick<Catalogue, 'requirements'>): Badge {
  const { conformant, harnessError } = verdictOf(report);
  const roles = (report.target.files ?? []).map(({ role }): Role => role);
  const missing = missingFrom(canonicalPlan(catalogue, roles), report.planned);
  const must = report.results.filter(
    ({ outcome, level }) => level === 'MUST' && ['failed', 'not testable', 'disabled'].includes(outcome),
  );
  if (harnessError) {
    return { label: LABEL, message: 'no verdict', color: 'lightgrey' };
  }
  if (!conformant) {
    return {
      label: LABEL,
      message: must.length === 0 ? 'not conformant' : `${must.length} MUST not met`,
      color: 'red',
    };
  }
  if (missing.length > 0) {
    const all = report.planned.length + missing.length;
    return { label: LABEL, message: `${report.summary.passed} of ${all} passed`, color: 'blue' };
  }
  return { label: LABEL, message: 'conformant', color: 'brightgreen' };
}

/** The document of a shields.io endpoint badge. */
export function shieldsJson({ label, message, color }: Badge): string {
  return `${JSON.stringify({ schemaVersion: 1, label, message, color })}\n`;
}

const FILL = { brightgreen: '#17693a', red: '#b3261e', blue: '#2b5fa8', lightgrey: '#576270' } as const;
/** Mean width of a letter of Verdana at 11 pixels, and the space around a text. */
const LETTER = 6.6;
const MARGIN = 12;

/** The badge as a picture that needs no other service. */
export function badgeSvg({ label, message, color }: Badge): string {
  const [left, right] = [label, message].map((text) => Math.round(text.length * LETTER + MARGIN)) as [number, number];
  const title = escapeHtml(`${label}: ${message}`);
  const text = (content: string, middle: number, width: number): string => {
    const fitted = `textLength="${width - MARGIN}" lengthAdjust="spacingAndGlyphs"`;
    return `<text x="${middle}" y="14" text-anchor="middle" ${fitted}>${escapeHtml(content)}</text>`;
  };
  const width = left + right;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="20" role="img" aria-label="${title}">`,
    `<title>${title}</title>`,
    `<clipPath id="r"><rect width="${width}" height="20" rx="3"/></clipPath>`,
    '<g clip-path="url(#r)">',
    `<rect width="${left}" height="20" fill="#39424e"/>`,
    `<rect x="${left}" width="${right}" height="20" fill="${FILL[color]}"/>`,
    '</g>',
    '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">',
    text(label, left / 2, left),
    text(message, left + right / 2, right),
    '</g></svg>\n',
  ].join('');
}
