import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const HERE = fileURLToPath(new URL('./', import.meta.url));
const TSC = fileURLToPath(new URL('../../node_modules/typescript/bin/tsc', import.meta.url));

/** What other projects import: the modules of package.json's `exports`. */
export const PUBLIC_MODULES = ['environment', 'vitest'] as const;

/**
 * Writes what a package needs beside its sources, since Node strips no types below node_modules: of each public module
 * the JavaScript and the declarations. `npm pack` does so (`prepack`); nothing of it is committed.
 *
 * @param folder where to; in a package it is the folder of the sources
 * @returns the files
 * @throws Error with what the compiler says
 */
export async function buildExports(folder: string = HERE): Promise<string[]> {
  mkdirSync(folder, { recursive: true });
  const scripts = PUBLIC_MODULES.map((name) => {
    const file = join(folder, `${name}.js`);
    writeFileSync(file, stripTypeScriptTypes(readFileSync(join(HERE, `${name}.ts`), 'utf8'), { mode: 'strip' }));
    return file;
  });
  // Each module alone, and unchecked: all of it was checked with the rest of the project.
  const alone = ['--isolatedDeclarations', '--noCheck', '--noResolve', '--ignoreConfig'];
  const form = ['--declaration', '--emitDeclarationOnly', '--target', 'es2024', '--module', 'nodenext'];
  const sources = PUBLIC_MODULES.map((name) => join(HERE, `${name}.ts`));
  await promisify(execFile)(process.execPath, [
    TSC,
    ...alone,
    ...form,
    '--outDir',
    folder,
    '--rootDir',
    HERE,
    ...sources,
  ]).catch((error: { stdout?: string }) => {
    throw new Error(`the declarations cannot be written: ${error.stdout ?? String(error)}`);
  });
  return [...scripts, ...PUBLIC_MODULES.map((name) => join(folder, `${name}.d.ts`))];
}

if (import.meta.main) {
  await buildExports();
}
