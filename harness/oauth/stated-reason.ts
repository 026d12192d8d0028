/** What a stated reason for a refusal is about. */
export type Reason = 'audience' | 'issuer' | 'signature' | 'time' | 'reuse' | 'subject';

/** All of them: for a token that differs from a good one in everything. */
export const EVERY_REASON: Reason[] = ['audience', 'issuer', 'signature', 'time', 'reuse', 'subject'];

/**
 * Words by which a text names what a reason is about. The providers whose texts were looked at are in the test. A user
 * who is "not assigned" or "not active" says nothing of a signature or of a time, nor does one who is "signed in", and
 * what was "signed for" somebody else is not signed badly.
 */
const WORDS: Record<Reason, RegExp> = {
  audience: /audience|\baud\b/i,
  issuer: /issuer|\biss\b/i,
  signature:
    /signature|signing key|\b(un)?signed\b(?![ -](in|for|on|up|out)\b)|unknown key|verification key|public key|\bkid\b|\bjwks?\b|algorithm|\balg\b|unsecured|integrity/i,
  time: /expir|(?<!\b(?:user|account|client|identity|principal|application|app|subject|credential|provider|tenant)\b (?:is |was )?)not active|not (yet valid|valid yet)|in the future|before (it was )?issued|too (far|old|early|late)|stale|lifetime|time range|\bexp\b|\bnbf\b|\biat\b/i,
  reuse: /reuse|replay|\bjti\b|(used|seen) before(?! (it was )?issued)|already (been )?used/i,
  subject: /\bsub\b|\bsubject\b(?![ -]token)|user not found|not mapped/i,
};

/** A value that is quoted says nothing about the reason, whatever words are in it; a claim's name is one short word. */
const QUOTED = /(?<!\w)'([^']*)'(?!\w)|"([^"]*)"|`([^`]*)`/g;
const CLAIM_NAME = /^[a-z_]{2,12}$/i;

/** Addresses and ServiceAccounts, unquoted. */
const VALUE = /\b[a-z][\w+.-]*:\/\/\S+|\b\w+:\w[\w.-]*:\S+/gi;

/**
 * A sentence that offers several explanations gives none: `invalid, expired or revoked` (as RFC 6749 section 5.2 words
 * `invalid_grant`).
 */
const ALTERNATIVES =
  /\b(or|either|(may|might|could) be|possibly|perhaps|probably|likely|typically|usually|for example|such as)\b|\be\.g\.|\w\/\w/i;

/** A sentence that advises says what to look at, not what was wrong. */
const ADVICE =
  /\b(please|check|ensure|make sure|verify (that|your)|see|refer|visit|contact|consult|consider|should|hint|learn more|more info(rmation)?|documentation|troubleshoot\w*)\b/i;

/** The reasons that a text names anywhere, hints and alternatives included. */
export function namedReasons(text: string): Reason[] {
  return EVERY_REASON.filter((reason) => WORDS[reason].test(text));
}

/**
 * The one reason that the text of an error states. Undefined where it is generic, and where it is not unambiguous: a
 * text that names several claims (Entra ID's `AADSTS700213: … Please check your … Subject, Audience and Issuer …`, the
 * key that is looked up by issuer and subject) states none of them, and neither does advice, nor a sentence with
 * alternatives. A doubt is never a reason: the refusal has its controls.
 *
 * @param text `error_description` of an answer (RFC 6749 section 5.2)
 */
export function statedReason(text: string): Reason | undefined {
  const statements = text
    .replace(QUOTED, (whole, ...[single, double, back]: (string | undefined)[]) =>
      CLAIM_NAME.test(single ?? double ?? back ?? '') ? whole : ' ',
    )
    .replace(VALUE, ' ')
    .split(/(?<=[.!?;])\s+|[\r\n]+/)
    .filter((sentence) => !ALTERNATIVES.test(sentence) && !ADVICE.test(sentence))
    .join(' ');
  const [reason, ...others] = namedReasons(statements);
  return others.length === 0 ? reason : undefined;
}
