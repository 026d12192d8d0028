import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const WORKLOADS = fileURLToPath(new URL('../../fixtures/workloads', import.meta.url));

/** A ConfigMap holds 1 MiB at most (Kubernetes, ConfigMaps); what is left is for its other keys and the object's own. */
const MAXIMUM_BYTES = 900_000;

const bundles = new Map<string, Promise<string>>();

/**
 * Bundles `fixtures/workloads/<name>/main.ts` and all that it imports into one ES module for `node /app/main.mjs`.
 * In memory, once for each name.
 *
 * @param name folder, for example `observer` or `token-client-twins/reads-once`
 * @returns the module's source, minified, below 900 kB
 * @throws Error if there is no such workload (it lists those that are there), it does not build, or it is too large for a ConfigMap
 */
export function bundleWorkload(name: string): Promise<string> {
  const known = bundles.get(name);
  if (known !== undefined) return known;
  const bundle = makeBundle(name);
  bundles.set(name, bundle);
  return bundle;
}

async function makeBundle(name: string): Promise<string> {
  const entry = join(WORKLOADS, name, 'main.ts');
  if (!existsSync(entry)) {
    throw new Error(`there is no workload "${name}": ${entry} does not exist; there are ${listWorkloads().join(', ')}`);
  }
  const result = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    platform: 'node',
    target: 'node22',
    format: 'esm',
    minify: true,
    keepNames: true,
    legalComments: 'none',
    // Packages in CommonJS require what Node brings.
    banner: { js: "import{createRequire as $require}from'node:module';const require=$require(import.meta.url);" },
    logLevel: 'silent',
  });
  const source = result.outputFiles[0]?.text ?? '';
  const size = Buffer.byteLength(source);
  if (size === 0 || size > MAXIMUM_BYTES) {
    throw new Error(`the bundle of workload "${name}" has ${size} bytes; a ConfigMap takes 1 to ${MAXIMUM_BYTES}`);
  }
  return source;
}

/** Names of all workloads, in order. */
export function listWorkloads(): string[] {
  return readdirSync(WORKLOADS, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name === 'main.ts')
    .map((entry) => entry.parentPath.slice(WORKLOADS.length + 1))
    .sort();
}
