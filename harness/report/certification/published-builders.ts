/** Results for tests, published as a vendor does. */
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadCatalogue } from '../../catalogue/catalogue.ts';
import { reportOf, resultOf } from '../report-builders.ts';
import { bundleFiles, writeBundle } from './bundle.ts';
import { publicPem, type Signer } from './keys.ts';
import { canonicalPlan } from './plan.ts';
import { parseProduct } from './product.ts';
import { productOfVersion } from './product-builders.ts';
import { folderName } from './registry.ts';

/** The product's folder in the folder of all results. */
export const PRODUCT_FOLDER = 'token-client/example-client';

const catalogue = loadCatalogue();
const plan = canonicalPlan(catalogue, ['token-client']);

/** Signs with an Ed25519 key. */
export function signerOf(privateKey: KeyObject, publicKey: KeyObject): Signer {
  return { publicKey, sign: (message) => sign(null, message, privateKey) };
}

/** The vendor's own, whose public key is published beside the results. */
export const vendorKeys = generateKeyPairSync('ed25519');
const vendor = signerOf(vendorKeys.privateKey, vendorKeys.publicKey);

/**
 * Publishes a bundle of a token client in a folder of results.
 *
 * @param options.failed the id of the only requirement that was not kept; default: none
 * @param options.signer default: the vendor
 */
export function publish(
  folder: string,
  {
    version = '2.4.1',
    failed,
    signer = vendor,
    signed = true,
  }: { version?: string; failed?: string; signer?: Signer; signed?: boolean } = {},
): void {
  const source = productOfVersion(version);
  const results = plan.requirements.map(({ id, level }) =>
    resultOf(id, id === failed ? 'failed' : 'passed', { level, role: 'token-client' }),
  );
  const report = reportOf(results, {
    catalogue: { digest: catalogue.digest, requirements: catalogue.requirements.length },
    target: { name: 'example', role: 'token-client' },
  });
  const product = parseProduct(source, 'product.yaml');
  const files = bundleFiles({ report, product, productSource: source, plan, ...(signed ? { signer } : {}) });
  const home = join(folder, PRODUCT_FOLDER);
  mkdirSync(home, { recursive: true });
  writeFileSync(join(home, 'vendor.pub'), publicPem(vendorKeys.publicKey));
  writeBundle(join(home, folderName(version)), files);
}
