import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HarnessError } from '../core/errors.ts';
import { redact } from '../core/redact.ts';
import { RENDERERS } from './renderers/index.ts';
import type { Renderer } from './renderers/renderer.ts';
import type { Report } from './report.ts';

/**
 * Writes each form of the report that is a file (`report.json`, `report.html`, `junit.xml`) into a folder, which is
 * made if need be. A file is there whole or not at all; one that cannot be made takes no other with it.
 *
 * @returns the files, `report.json` first
 * @throws HarnessError that names the folder when it cannot be written, or the forms that cannot be made
 */
export function writeReport(folder: string, report: Report, renderers: readonly Renderer[] = RENDERERS): string[] {
  const files: string[] = [];
  const failures: unknown[] = [];
  for (const { file, render } of renderers) {
    if (file === undefined) {
      continue;
    }
    let text: string;
    try {
      text = redact(render(report));
    } catch (error) {
      failures.push(new Error(`${file} cannot be made`, { cause: error }));
      continue;
    }
    try {
      mkdirSync(folder, { recursive: true });
      const path = join(folder, file);
      writeFileSync(`${path}.partial`, text);
      renameSync(`${path}.partial`, path);
      files.push(path);
    } catch (error) {
      throw new HarnessError(`the report cannot be written to ${folder}; give another folder by --report`, {
        cause: error,
      });
    }
  }
  if (failures.length > 0) {
    throw new HarnessError(`of the report only ${files.join(', ') || 'nothing'} could be written`, {
      cause: new AggregateError(failures),
    });
  }
  return files;
}
