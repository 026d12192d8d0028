import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { UsageError } from '../core/errors.ts';
import { loadTarget } from './load.ts';

const TARGETS = fileURLToPath(new URL('../../fixtures/targets/', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'kube-agent-conformance-'));
afterAll(() => rmSync(folder, { recursive: true }));

type Path = (string | number)[];

function pathsOf(tree: unknown, path: Path = []): Path[] {
  if (typeof tree !== 'object' || tree === null) {
    return [path];
  }
  return [path, ...Object.entries(tree).flatMap(([key, value]) => pathsOf(value, [...path, key]))];
}

function mutated(tree: unknown, [key, ...rest]: Path, change: (value: unknown) => unknown): unknown {
  if (key === undefined || typeof tree !== 'object' || tree === null) {
    return change(tree);
  }
  const copy: unknown = structuredClone(tree);
  const parts = copy as Record<string, unknown>;
  const value = mutated(parts[String(key)], rest, change);
  if (value === undefined) {
    delete parts[String(key)];
  } else {
    parts[String(key)] = value;
  }
  return copy;
}

const shipped = globSync('**/*.yaml', { cwd: TARGETS })
  .filter((file) => !file.includes('manifests'))
  .map((file) => parse(readFileSync(join(TARGETS, file), 'utf8')) as unknown);

const odd = fc.oneof(
  fc.constant(undefined),
  fc.constant(null),
  fc.constantFrom('', ' ', '${', '${set.x}', '$${x}', '${env.}', '../..', '\u0000', '0', 'true', '[', 'a: b'),
  fc.integer(),
  fc.boolean(),
  fc.array(fc.integer(), { maxLength: 2 }),
  fc.dictionary(fc.string(), fc.integer(), { maxKeys: 2 }),
);

test('a mutated target file is read, or refused as wrong use: it never crashes', { timeout: 60_000 }, () => {
  const file = join(folder, 'target.yaml');
  fc.assert(
    fc.property(fc.constantFrom(...shipped), fc.nat(), odd, fc.nat(), odd, (tree, first, one, second, other) => {
      const paths = pathsOf(tree);
      const at = (index: number): Path => paths[index % paths.length] ?? [];
      const changed = mutated(
        mutated(tree, at(first), () => one),
        at(second),
        () => other,
      );
      writeFileSync(file, stringify(changed ?? null));
      try {
        loadTarget(file);
      } catch (error) {
        expect(error).toBeInstanceOf(UsageError);
        expect((error as Error).message).toContain(file);
      }
    }),
    { numRuns: 1_000 },
  );
});
