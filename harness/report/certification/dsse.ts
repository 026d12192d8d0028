import type { KeyObject } from 'node:crypto';
import { z } from 'zod';
import { isSignature, keyIdOf, type Signer } from './keys.ts';

/**
 * Media type of an in-toto statement in an envelope (in-toto Attestation Framework, "Envelope layer specification").
 */
export const IN_TOTO = 'application/vnd.in-toto+json';

const envelopeSchema = z.strictObject({
  payloadType: z.literal(IN_TOTO),
  payload: z.base64(),
  signatures: z.array(z.strictObject({ keyid: z.string(), sig: z.base64() })).min(1),
});

export type Envelope = z.infer<typeof envelopeSchema>;

/**
 * What is signed (DSSE, "Protocol", PAE): type and payload, each with its length, so that neither can be taken for the
 * other.
 */
export function preAuthenticationEncoding(type: string, payload: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`DSSEv1 ${Buffer.byteLength(type)} ${type} ${payload.length} `), payload]);
}

/** A statement in its envelope, as the text of a file. */
export function seal(statement: unknown, { publicKey, sign }: Signer): string {
  const payload = Buffer.from(JSON.stringify(statement));
  const signature = sign(preAuthenticationEncoding(IN_TOTO, payload));
  return textOf({
    payloadType: IN_TOTO,
    payload: payload.toString('base64'),
    signatures: [{ keyid: keyIdOf(publicKey), sig: signature.toString('base64') }],
  });
}

/**
 * The one way in which an envelope is written: what is not part of it is not signed, so that there must be nothing
 * beside it.
 */
function textOf(envelope: Envelope): string {
  return `${JSON.stringify(envelope, null, 2)}\n`;
}

/** An envelope that was opened: its payload, and by whom it is signed. */
export interface Opened {
  statement: unknown;
  signatures: { keyid: string; isBy(publicKey: KeyObject): boolean }[];
}

/**
 * Opens an envelope. Nothing is verified yet.
 *
 * @throws Error in one sentence: no JSON, not an envelope, or written in another way than {@link seal} does
 */
export function open(text: string): Opened {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (error) {
    throw new Error(`it is no JSON: ${(error as Error).message}`);
  }
  const result = envelopeSchema.safeParse(content);
  if (!result.success) {
    throw new Error(`it is no DSSE envelope of an in-toto statement: ${z.prettifyError(result.error)}`);
  }
  const { payload, signatures } = result.data;
  const bytes = Buffer.from(payload, 'base64');
  const canonical = textOf({
    payloadType: IN_TOTO,
    payload: bytes.toString('base64'),
    signatures: signatures.map(({ keyid, sig }) => ({ keyid, sig: Buffer.from(sig, 'base64').toString('base64') })),
  });
  if (canonical !== text) {
    throw new Error(`it was altered beside what is signed, at byte ${firstDifference(text, canonical)}`);
  }
  let statement: unknown;
  try {
    statement = JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw new Error(`its payload is no JSON: ${(error as Error).message}`);
  }
  const message = preAuthenticationEncoding(IN_TOTO, bytes);
  return {
    statement,
    signatures: signatures.map(({ keyid, sig }) => ({
      keyid,
      isBy: (publicKey) => keyid === keyIdOf(publicKey) && isSignature(publicKey, message, Buffer.from(sig, 'base64')),
    })),
  };
}

/** Offset of the first byte in which two texts differ. */
export function firstDifference(one: string | Buffer, other: string | Buffer): number {
  const [first, second] = [Buffer.from(one), Buffer.from(other)];
  const length = Math.min(first.length, second.length);
  for (let index = 0; index < length; index += 1) {
    if (first[index] !== second[index]) {
      return index;
    }
  }
  return length;
}
