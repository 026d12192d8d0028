import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { UsageError } from '../core/errors.ts';
import { packageVersion } from '../core/package.ts';
import { type Report, reportSchema } from './report.ts';

const GIVE = 'Give the folder that `conformance run --report` wrote.';

/**
 * Reads the report of a run.
 *
 * @param path its folder, or the JSON file itself
 * @throws UsageError that names the file and what is wrong: not there, cut off, not JSON, not a report, of another
 *   major version
 */
export function readReport(path: string): Report {
  const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  const file = isFolder ? join(path, 'report.json') : path;
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new UsageError(
      code === 'ENOENT'
        ? `there is no report ${file}: \`conformance run\` writes one. ${GIVE}`
        : `the report ${file} cannot be read: ${message}. ${GIVE}`,
    );
  }
  return parseReport(text, file);
}

/**
 * A report from the text of its file.
 *
 * @param file for messages
 * @throws UsageError as {@link readReport} does
 */
export function parseReport(text: string, file: string): Report {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (error) {
    const isCut = text.trimStart().startsWith('{') && !text.trimEnd().endsWith('}');
    throw new UsageError(
      isCut
        ? `the report ${file} cannot be read: it ends in the middle, after ${text.length} characters. Copy it again.`
        : `the report ${file} cannot be read: ${(error as Error).message}. ${GIVE}`,
    );
  }
  const { apiVersion, tool } = (content ?? {}) as { apiVersion?: unknown; tool?: { version?: unknown } };
  const version = /^conformance\/v(\d+)$/.exec(typeof apiVersion === 'string' ? apiVersion : '')?.[1];
  if (version === undefined) {
    throw new UsageError(`${file} is not a report of this version: it has no apiVersion like conformance/v1. ${GIVE}`);
  }
  const own = packageVersion();
  const writer = typeof tool?.version === 'string' ? tool.version : 'unknown';
  if (version !== '1') {
    throw new UsageError(
      `${file} is not a report of this version: it is conformance/v${version}, written by version ${writer}; ` +
        `${own.name} ${own.version} reads conformance/v1. Use the version that wrote it, or run again.`,
    );
  }
  const result = reportSchema.safeParse(content);
  if (!result.success) {
    const newer = writer === own.version ? '' : ` It was written by version ${writer}, this is ${own.version}.`;
    throw new UsageError(`${file} is not a report of this version:${newer}\n${z.prettifyError(result.error)}`);
  }
  return result.data;
}
