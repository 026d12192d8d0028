import { MATRIX, type Matrix, matrixSchema } from '../probes/matrix.ts';
import type { ReportResult } from './report.ts';

/** The matrix of a run, of what its requirements kept of it; undefined where none did. */
export function collectMatrix(evidence: ReportResult['evidence']): Matrix | undefined {
  return joinMatrices(evidence.filter(({ label }) => label === MATRIX).map(({ data }) => matrixSchema.parse(data)));
}

/** One matrix of several that tell of different tokens; undefined where there is none. */
export function joinMatrices(parts: Matrix[]): Matrix | undefined {
  if (parts.length === 0) {
    return undefined;
  }
  const providers = new Map(parts.flatMap((part) => part.providers.map((provider) => [provider.name, provider])));
  return {
    providers: [...providers.values()],
    subjectTokens: parts.flatMap(({ subjectTokens }) => subjectTokens),
    accessTokens: parts.flatMap(({ accessTokens }) => accessTokens),
  };
}

/** One field: what all exchanges of a provider did with a token. */
function field(cells: { outcome: string; asItMust: boolean }[]): string {
  if (cells.length === 0) {
    return '-';
  }
  const outcomes = [...new Set(cells.map(({ outcome }) => outcome))].join('/');
  return cells.every(({ asItMust }) => asItMust) ? outcomes : `${outcomes.toUpperCase()} (!)`;
}

function table(corner: string, columns: string[], rows: [string, string[]][]): string[] {
  const lines = [[corner, ...columns], ...rows.map(([head, fields]) => [head, ...fields])];
  const widths = [corner, ...columns].map((_, index) => Math.max(...lines.map((line) => line[index]?.length ?? 0)));
  return lines.map((line) =>
    line
      .map((text, index) => text.padEnd(widths[index] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

/** The matrix as a table for people: a row for each token, a column for each provider; (!) marks what must not be. */
export function renderMatrix({ providers, subjectTokens, accessTokens }: Matrix): string[] {
  const names = providers.map(({ name }) => name);
  // In the order of the columns; an audience that is nobody's comes last.
  const rows = (found: string[]): string[] => [...new Set([...names, ...found].filter((name) => found.includes(name)))];
  const tokens = rows(subjectTokens.map(({ token }) => token));
  const issuers = rows(accessTokens.map(({ issuedBy }) => issuedBy));
  return [
    ...(tokens.length === 0
      ? []
      : table(
          'token for',
          names.map((name) => `at ${name}`),
          tokens.map((token) => [
            token,
            names.map((name) => field(subjectTokens.filter((cell) => cell.provider === name && cell.token === token))),
          ]),
        )),
    ...(issuers.length === 0
      ? []
      : table(
          'access token of',
          names.map((name) => `at ${name}'s resource server`),
          issuers.map((issuer) => [
            issuer,
            names.map((name) =>
              field(accessTokens.filter((cell) => cell.issuedBy === issuer && cell.resourceServer === name)),
            ),
          ]),
        )),
  ];
}
