/** A compact JWS (RFC 7515 section 7.1) anywhere in a text; JOSE headers are JSON objects, so they begin with `eyJ`. */
const COMPACT_JWS = /\b(eyJ[\w-]+)\.([\w-]*)\.[\w-]+/g;

/** What stands for a signature that was cut off. */
export const SIGNATURE_CUT = 'SIGNATURE-CUT';

/**
 * Cuts the signature off every compact JWS in `text`: what is left can be read by a person and is accepted by nobody.
 * Every text that leaves the harness (log, report, error, evidence) goes through here.
 */
export function redact(text: string): string {
  return text.replace(COMPACT_JWS, (_, header: string, payload: string) => `${header}.${payload}.${SIGNATURE_CUT}`);
}

/** Signatures are longer than what stands for one that was cut off, in whatever words. */
const SHORTEST_SIGNATURE = 20;

/** Compact JWS in `text` that have their signature still: what no artefact of a run may hold. Given cut off, to be named. */
export function wholeTokensIn(text: string): string[] {
  return [...text.matchAll(COMPACT_JWS)]
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
