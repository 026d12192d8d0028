import { z } from 'zod';
import type { EvidenceItem } from '../run/protocol.ts';

/** Label of the evidence that a report's matrix is made of. */
export const MATRIX = 'matrix';

const providerSchema = z.strictObject({
  name: z.string(),
  issuer: z.string(),
  audience: z.string().describe('the audience that a projected token must name for it'),
  underTest: z.boolean().describe('false for a reference beside the implementation under test'),
});

const subjectTokenSchema = z.strictObject({
  provider: z.string().describe('name of the provider to which the token was presented'),
  exchange: z.string().describe('the declared exchange by which it was'),
  as: z.string().optional().describe("as which of the request's tokens, where there are several; the others were good"),
  audience: z.string().describe('the audience that the token named'),
  token: z.string().describe('name of the provider whose audience that is; the audience itself where it is nobody’s'),
  status: z.int().describe('HTTP status of the answer'),
  outcome: z.enum(['accepted', 'refused', 'other']).describe('other: neither an access token nor 4xx'),
  reason: z.string().optional().describe('what a refusal said it is about, or generic'),
  asItMust: z.boolean().describe('accepted for its own audience, refused for every other one and for the right reason'),
});

const accessTokenSchema = z.strictObject({
  issuedBy: z.string().describe('name of the provider that issued the access token'),
  exchange: z.string(),
  resourceServer: z.string().describe('name of the provider whose resource server it was presented to'),
  outcome: z.enum(['accepted', 'refused']),
  reason: z.string().optional(),
  asItMust: z.boolean(),
});

/** Every provider with every token: who takes what. */
export const matrixSchema = z.strictObject({
  providers: z.array(providerSchema).describe('three at least on a cluster of the harness’s own'),
  subjectTokens: z
    .array(subjectTokenSchema)
    .describe('projected tokens of each audience at each provider (AI-01); each refusal was between two controls'),
  accessTokens: z.array(accessTokenSchema).describe('access tokens of each provider at each resource server (AI-11)'),
});

export type Matrix = z.infer<typeof matrixSchema>;

/** The matrix of a run, of what its requirements kept of it; undefined where none did. */
export function collectMatrix(evidence: EvidenceItem[]): Matrix | undefined {
  const parts = evidence.filter(({ label }) => label === MATRIX).map(({ data }) => matrixSchema.parse(data));
  if (parts.length === 0) return undefined;
  const providers = new Map(parts.flatMap((part) => part.providers.map((provider) => [provider.name, provider])));
  return {
    providers: [...providers.values()],
    subjectTokens: parts.flatMap(({ subjectTokens }) => subjectTokens),
    accessTokens: parts.flatMap(({ accessTokens }) => accessTokens),
  };
}

/** One field: what all exchanges of a provider did with a token. */
function field(cells: { outcome: string; asItMust: boolean }[]): string {
  if (cells.length === 0) return '-';
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
