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

/** {@link redact} for every string in plain data (keys included); the input is not changed. */
export function redactData<T>(data: T): T {
  return JSON.parse(redact(JSON.stringify(data) ?? 'null')) as T;
}
