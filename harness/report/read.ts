import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { UsageError } from '../core/errors.ts';
import { type Report, reportSchema } from './report.ts';

/**
 * Reads the report of a run.
 *
 * @param path its folder, or the JSON file itself
 * @throws UsageError that names the file and what is wrong: not there, not JSON, not a report of this version
 */
export function readReport(path: string): Report {
  const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  const file = isFolder ? join(path, 'report.json') : path;
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new UsageError(
      `the report ${file} cannot be read: ${(error as Error).message}. Give the folder that \`conformance run --report\` wrote.`,
    );
  }
  const result = reportSchema.safeParse(content);
  if (!result.success) {
    throw new UsageError(`${file} is not a report of this version:\n${z.prettifyError(result.error)}`);
  }
  return result.data;
}
