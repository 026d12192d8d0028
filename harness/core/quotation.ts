/** What a product printed or answered stands in lines of their own, indented, so that nobody takes it for ours. */
const INDENT = '    ';

/** A text in its parts: what is ours, and what is quoted. */
export interface Quoted {
  /** The sentence, without the words that introduce the quotation. */
  fact: string;
  /** Who says it: `It printed`, `It answered`. */
  how: string;
  /** The product's own words, line by line; empty where there is no quotation. */
  lines: string[];
}

/**
 * A sentence, and set apart from it the product's own words.
 *
 * @param fact a sentence without its full stop
 * @param words what it printed, in lines; where there is nothing in them, the fact alone is returned
 * @param how what introduces them
 */
export function quoting(fact: string, words: string | readonly string[], how = 'It printed'): string {
  const lines = (typeof words === 'string' ? words.split('\n') : words.flatMap((line) => line.split('\n'))).filter(
    (line) => line.trim() !== '',
  );
  return lines.length === 0 ? fact : [`${fact}. ${how}:`, ...lines.map((line) => INDENT + line)].join('\n');
}

/** What {@link quoting} made, in its parts; any other text is a fact without a quotation. */
export function quotedIn(text: string): Quoted {
  const [head = '', ...rest] = text.split('\n');
  const lines = rest.filter((line) => line.startsWith(INDENT)).map((line) => line.slice(INDENT.length));
  const match = lines.length === 0 ? null : /^(.*)\. ([^.:]+):$/s.exec(head);
  return match === null ? { fact: text, how: '', lines: [] } : { fact: match[1] ?? head, how: match[2] ?? '', lines };
}

/** The same in one line, for a list or a terminal: the fact first. */
export function inOneLine(text: string): string {
  const { fact, how, lines } = quotedIn(text);
  const words = lines.map((line) => line.trim()).join(' ');
  return (lines.length === 0 ? fact : `${fact}. ${how}: “${words}”`).replace(/\s+/g, ' ').trim();
}

/** A text of several findings, one a line, with each quotation at its finding. */
export function splitFindings(text: string): string[] {
  const findings: string[] = [];
  for (const line of text.split('\n')) {
    if (line.startsWith(INDENT) && findings.length > 0) {
      findings.push(`${findings.pop()}\n${line}`);
    } else if (line.trim() !== '') {
      findings.push(line);
    }
  }
  return findings;
}

/** A text that is too long loses its middle: the fact begins it, and what was seen last ends it. */
export function cutMiddle(text: string, length: number): string {
  if (text.length <= length) {
    return text;
  }
  const end = Math.floor((length - 3) * 0.35);
  return `${text.slice(0, length - 3 - end).trimEnd()} … ${end === 0 ? '' : text.slice(-end).trimStart()}`.trim();
}

/** Lines by which programs say that all is well. */
const HARMLESS = /^\W*(?:\S+\s+){0,2}\W*(?:INFO|DEBUG|TRACE|VERBOSE)\b|\blevel["=: ]+"?(?:info|debug|trace)\b/i;

const ERROR = /\b(?:error|fatal|panic|exception|refused|denied|forbidden|not allowed|cannot|failed|failure)\b/i;

/**
 * Of the last lines of a log those that say what went wrong: what follows the last harmless line, where that holds an
 * error, else all but the harmless ones.
 *
 * @param most lines; what is over is cut at the beginning
 */
export function lastErrorLines(log: readonly string[], most = 12): string[] {
  const lines = log.filter((line) => line.trim() !== '');
  const harmful = lines.filter((line) => !HARMLESS.test(line));
  const error = lines.findLastIndex((line) => ERROR.test(line) && !HARMLESS.test(line));
  const harmless = lines.slice(0, Math.max(0, error)).findLastIndex((line) => HARMLESS.test(line));
  const tail = error === -1 ? harmful : lines.slice(harmless + 1).filter((line) => !HARMLESS.test(line));
  const kept = tail.length === 0 ? lines.slice(-3) : tail;
  return kept.length <= most ? kept : [`… ${kept.length - most} lines before`, ...kept.slice(-most)];
}
