/** The public modules, as others see them: a change of them is seen in a review, and decides the next version. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { buildExports, PUBLIC_MODULES } from './build.ts';

const HEAD = `# API report

Written by \`npx vitest run --project unit harness/exports/api-report.test.ts -u\`. What a change of it means for the
version is in [versions.md](../docs/versions.md).
`;

test('the declarations of the public modules are those of api-report.md', { timeout: 60_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'conformance-api-'));
  try {
    await buildExports(folder);
    const declarations = PUBLIC_MODULES.map((name) => ({
      name,
      text: readFileSync(join(folder, `${name}.d.ts`), 'utf8').trim(),
    }));
    for (const { name, text } of declarations) {
      // A type of the harness would make its own files public.
      expect(text, name).not.toMatch(/\bimport\b|\bfrom '/);
    }
    const modules = declarations.map(
      ({ name, text }) => `## kube-agent-conformance/${name}\n\n\`\`\`ts\n${text}\n\`\`\`\n`,
    );
    await expect([HEAD, ...modules].join('\n')).toMatchFileSnapshot('./api-report.md');
  } finally {
    rmSync(folder, { recursive: true });
  }
});
