import { quotedIn } from '../../../core/quotation.ts';
import { causesOf } from '../../failures.ts';
import type { ReportResult } from '../../report.ts';

/** Shorter ones are in a finding by chance. */
const SHORTEST = 28;
/** So much of a line tells it from others: findings may have cut the rest. */
const COMPARED = 120;
/** Lines that are shown as the proof. */
const MOST = 8;
const DEPTH = 6;

const INSTANT = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g;

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What of an item of evidence proves the failure. */
export interface Proof {
  /** Lines of a log, or items of a list of texts. */
  lines: string[];
  /** Records of what happened at an instant that a finding names. */
  records: Record<string, unknown>[];
}

/**
 * The lines and records of evidence that the findings of a result speak of: a line that a finding repeats, a record of
 * an instant that a finding names. What a finding sets apart as a quotation is open there already.
 */
export function proofIn(data: unknown, result: ReportResult): Proof {
  const told = causesOf(result).flatMap(({ texts }) => texts);
  const instants = new Set(told.flatMap((text) => text.match(INSTANT) ?? []));
  const proof: Proof = { lines: [], records: [] };
  const facts = told.map((text) => quotedIn(text).fact);
  const isQuoted = (line: string): boolean => {
    const compared = line.trim().slice(0, COMPARED);
    return compared.length >= SHORTEST && facts.some((fact) => fact.includes(compared));
  };
  const look = (value: unknown, depth: number): void => {
    if (typeof value === 'string') {
      proof.lines.push(...value.split('\n').filter(isQuoted));
    } else if (Array.isArray(value)) {
      for (const item of value) {
        look(item, depth + 1);
      }
    } else if (isPlain(value)) {
      const isRecord = typeof value.at === 'string' && instants.has(value.at);
      if (isRecord) {
        proof.records.push(value);
      } else if (depth < DEPTH) {
        look(Object.values(value), depth + 1);
      }
    }
  };
  look(data, 0);
  return { lines: [...new Set(proof.lines)].slice(0, MOST), records: proof.records.slice(0, MOST) };
}
