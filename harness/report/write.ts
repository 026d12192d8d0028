import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HarnessError } from '../core/errors.ts';
import { redact } from '../core/redact.ts';
import { toJunit } from './junit.ts';
import type { Report } from './report.ts';

/**
 * Writes `report.json` and `junit.xml` into a folder, which is made if need be. A file is there whole or not at all.
 *
 * @throws HarnessError that names the folder when it cannot be written
 */
export function writeReport(folder: string, report: Report): { json: string; junit: string } {
  const put = (name: string, content: string): string => {
    const file = join(folder, name);
    writeFileSync(`${file}.partial`, redact(content));
    renameSync(`${file}.partial`, file);
    return file;
  };
  try {
    mkdirSync(folder, { recursive: true });
    return {
      json: put('report.json', `${JSON.stringify(report, null, 2)}\n`),
      junit: put('junit.xml', toJunit(report)),
    };
  } catch (error) {
    throw new HarnessError(`the report cannot be written to ${folder}; give another folder by --report`, {
      cause: error,
    });
  }
}
