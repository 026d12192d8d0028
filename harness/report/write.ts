import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HarnessError } from '../core/errors.ts';
import { redact } from '../core/redact.ts';
import { RENDERERS } from './renderers/index.ts';
import type { Report } from './report.ts';

/**
 * Writes each form of the report that is a file (`report.json`, `report.html`, `junit.xml`) into a folder, which is
 * made if need be.
 * A file is there whole or not at all.
 *
 * @returns the files, `report.json` first
 * @throws HarnessError that names the folder when it cannot be written
 */
export function writeReport(folder: string, report: Report): string[] {
  try {
    mkdirSync(folder, { recursive: true });
    return RENDERERS.flatMap(({ file, render }) => {
      if (file === undefined) return [];
      const path = join(folder, file);
      writeFileSync(`${path}.partial`, redact(render(report)));
      renameSync(`${path}.partial`, path);
      return [path];
    });
  } catch (error) {
    throw new HarnessError(`the report cannot be written to ${folder}; give another folder by --report`, {
      cause: error,
    });
  }
}
