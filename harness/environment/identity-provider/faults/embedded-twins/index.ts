import type { EmbeddedTwin } from '../../embedded/twin.ts';
import { ANSWER_TWINS } from './answers.ts';
import { CLAIM_TWINS } from './claims.ts';
import { IDENTITY_TWINS } from './identities.ts';
import { KEY_TWINS } from './keys.ts';
import { SIGNATURE_TWINS } from './signatures.ts';

/** Broken variants of the embedded identity provider, by name; each has one fault. */
export const EMBEDDED_TWINS: Record<string, EmbeddedTwin> = {
  ...CLAIM_TWINS,
  ...SIGNATURE_TWINS,
  ...IDENTITY_TWINS,
  ...ANSWER_TWINS,
  ...KEY_TWINS,
};
