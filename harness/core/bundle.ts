import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const WORKLOADS = fileURLToPath(new URL('../../fixtures/workloads', import.meta.url));

/**
 * A ConfigMap holds 1 MiB at most (Kubernetes, ConfigMaps); what is left is for its other keys and the object's own.
 */
const MAXIMUM_BYTES = 1_000_000;

const bundles = new Map<string, Promise<string>>();

/**
 * Bundles `fixtures/workloads/<name>/main.ts` and all that it imports into one ES module for `node /app/main.mjs`. In
 * memory, once for each name.
 *
 * @param name folder, for example `observer` or `token-client-twins/reads-once`
 * @param maximumBytes what it goes into has room for so many; default: a ConfigMap
 * @returns the module's source, minified
 * @throws Error if there is no such workload (it lists those that are there), it does not build, or there is no room
 *   for it
 */
export function bundleWorkload(name: string, maximumBytes: number = MAXIMUM_BYTES): Promise<string> {
  const key = `${name} ${maximumBytes}`;
  const known = bundles.get(key);
  if (known !== undefined) {
    return known;
  }
  const bundle = makeBundle(name, maximumBytes);
  bundles.set(key, bundle);
  return bundle;
}

async function makeBundle(name: string, maximumBytes: number): Promise<string> {
  const [source = ''] = await buildWorkloads([name], maximumBytes);
  return source;
}

/**
 * The same for many workloads: what several of them import is read once.
 *
 * @returns the modules' sources, in the order of the names
 */
export async function buildWorkloads(names: string[], maximumBytes: number = MAXIMUM_BYTES): Promise<string[]> {
  const entryPoints = names.map((name) => {
    const entry = join(WORKLOADS, name, 'main.ts');
    if (!existsSync(entry)) {
      const known = listWorkloads().join(', ');
      throw new Error(`there is no workload "${name}": ${entry} does not exist; there are ${known}`);
    }
    return { in: entry, out: name };
  });
  const result = await build({
    entryPoints,
    // Nothing is written there: it gives each module its name.
    outdir: WORKLOADS,
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
  return names.map((name) => {
    const file = result.outputFiles.find(({ path }) => path === join(WORKLOADS, `${name}.js`));
    const size = file?.contents.length ?? 0;
    if (file === undefined || size === 0 || size > maximumBytes) {
      throw new Error(`the bundle of workload "${name}" has ${size} bytes, and there is room for 1 to ${maximumBytes}`);
    }
    return file.text;
  });
}

/** Names of all workloads, in order. */
export function listWorkloads(): string[] {
  return readdirSync(WORKLOADS, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name === 'main.ts')
    .map((entry) => entry.parentPath.slice(WORKLOADS.length + 1))
    .sort();
}
