import { z } from 'zod';

/** Label of the evidence that a report's matrix is made of. */
export const MATRIX = 'matrix';

const providerSchema = z.strictObject({
  name: z.string(),
  issuer: z.string(),
  audience: z.string().describe('the audience that a projected token must name for it'),
  underTest: z.boolean().describe('false for a reference alongside the implementation under test'),
});

const subjectTokenSchema = z.strictObject({
  provider: z.string().describe('name of the provider to which the token was presented'),
  exchange: z.string().describe('the declared exchange by which it was'),
  as: z.string().optional().describe("as which of the request's tokens, where there are several; the others were good"),
  audience: z.string().describe('the audience that the token named'),
  token: z.string().describe('name of the provider whose audience that is; the audience itself where it is nobody’s'),
  status: z.int().optional().describe('HTTP status of the answer; absent where no complete answer came'),
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
