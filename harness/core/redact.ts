/**
 * What may be a compact JWS (RFC 7515 section 7.1) anywhere in a text: its header is a JSON object, so that it begins
 * with `eyJ`, or otherwise where white space follows the brace. Whatever stands before it: in JSON a line break before
 * a token is the letter `n`.
 */
const COMPACT_JWS = /(e(?:yJ|yA|wo|w0|wk)[\w-]*)\.([\w-]*)\.[\w-]+/g;

/** Nothing but base64url of a JSON object begins with `eyJ`; the other beginnings are those of words, too. */
function isHeader(text: string): boolean {
  if (text.startsWith('eyJ')) {
    return true;
  }
  try {
    return typeof JSON.parse(Buffer.from(text, 'base64url').toString('utf8')) === 'object';
  } catch {
    return false;
  }
}

/** What stands for a signature that was cut off. */
export const SIGNATURE_CUT = 'SIGNATURE-CUT';

/**
 * Cuts the signature off every compact JWS in `text`: what is left can be read by a person and is accepted by nobody.
 * Every text that leaves the harness (log, report, error, evidence) goes through here.
 */
export function redact(text: string): string {
  return text.replace(COMPACT_JWS, (whole, header: string, payload: string) =>
    isHeader(header) ? `${header}.${payload}.${SIGNATURE_CUT}` : whole,
  );
}

/** Signatures are longer than what stands for one that was cut off, in whatever words. */
const SHORTEST_SIGNATURE = 20;

/**
 * Compact JWS in `text` that have their signature still: what no artefact of a run may hold. Given cut off, to be
 * named.
 */
export function wholeTokensIn(text: string): string[] {
  return [...text.matchAll(COMPACT_JWS)]
    .filter(([, header = '']) => isHeader(header))
    .map(([token]) => token)
    .filter((token) => {
      const signature = token.slice(token.lastIndexOf('.') + 1);
      return signature !== SIGNATURE_CUT && signature.length >= SHORTEST_SIGNATURE;
    })
    .map(redact);
}

/** {@link redact} for every string in plain data (keys included); the input is not changed. */
export function redactData<T>(data: T): T {
  return JSON.parse(redact(JSON.stringify(data) ?? 'null')) as T;
}
