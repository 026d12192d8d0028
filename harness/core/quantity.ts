const SUFFIXES: Record<string, number> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

const QUANTITY = /^([+-]?(?:\d+\.?\d*|\.\d+))(?:[eE]([+-]?\d+)|(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?)$/;

/** A quantity as a number, as `250m` or `64Mi` (Kubernetes, "Quantity"); NaN for what is none. */
export function parseQuantity(text: string): number {
  const [, number, exponent, suffix = ''] = QUANTITY.exec(text) ?? [];
  if (number === undefined) {
    return Number.NaN;
  }
  return exponent === undefined ? Number(number) * (SUFFIXES[suffix] ?? Number.NaN) : Number(`${number}e${exponent}`);
}
