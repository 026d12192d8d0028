import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { buffer } from 'node:stream/consumers';
import { gunzipSync, gzipSync } from 'node:zlib';
import { extract, pack } from 'tar-stream';
import { HarnessError, UsageError } from '../../core/errors.ts';
import { firstDifference } from './dsse.ts';
import { readFolder } from './verify.ts';

/** A bundle in one file: a tar archive, compressed, and the same bytes wherever it is made. */
export function isArchive(path: string): boolean {
  return /\.(?:tar\.gz|tgz)$/.test(path);
}

/** Byte 9 of a gzip file names the system that made it (RFC 1952 section 2.3.1): unknown. */
const GZIP_SYSTEM = { at: 9, unknown: 255 };

async function tarOf(files: Iterable<[string, string | Buffer]>): Promise<Buffer> {
  const archive = pack();
  for (const [name, content] of files) {
    archive.entry({ name, mode: 0o644, mtime: new Date(0), uid: 0, gid: 0 }, content);
  }
  archive.finalize();
  return await buffer(archive);
}

function compressed(tar: Buffer): Buffer {
  const packed = gzipSync(tar, { level: 9 });
  packed[GZIP_SYSTEM.at] = GZIP_SYSTEM.unknown;
  return packed;
}

/** @throws HarnessError where it cannot be written */
export async function writeArchive(path: string, files: Record<string, string>): Promise<void> {
  const content = compressed(await tarOf(Object.entries(files)));
  try {
    writeFileSync(path, content);
  } catch (error) {
    throw new HarnessError(`the bundle cannot be written to ${path}; give another place by --bundle`, { cause: error });
  }
}

async function entriesOf(tar: Buffer): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  const reader = extract();
  reader.end(tar);
  for await (const entry of reader) {
    files.set(entry.header.name, await buffer(entry));
  }
  return files;
}

/** The files of a bundle, and what is wrong with the archive that they were in. */
export interface ReadBundle {
  files: Map<string, Buffer>;
  problems: string[];
}

/**
 * Reads a bundle from its folder, or from its archive.
 *
 * @throws UsageError where there is none, or where the archive is cut off or damaged, so that nothing can be read from
 *   it
 */
export async function readBundle(path: string): Promise<ReadBundle> {
  if (!isArchive(path) || statSync(path, { throwIfNoEntry: false })?.isFile() !== true) {
    return { files: readFolder(path), problems: [] };
  }
  const content = readFileSync(path);
  let tar: Buffer;
  try {
    tar = gunzipSync(content);
  } catch (error) {
    const { message } = error as Error;
    throw new UsageError(
      message.includes('unexpected end')
        ? `the bundle ${path} is cut off after ${content.length} bytes: copy it again`
        : `the bundle ${path} is damaged: ${message}`,
    );
  }
  const files = await entriesOf(tar).catch((error: unknown) => {
    throw new UsageError(`the bundle ${path} is no tar archive: ${(error as Error).message}`);
  });
  const made = await tarOf(files);
  const problems: string[] = [];
  if (!made.equals(tar)) {
    problems.push(`the archive was altered beside its files, at byte ${firstDifference(tar, made)} of the tar file`);
  } else if (!compressed(made).equals(content)) {
    const at = firstDifference(content, compressed(made));
    problems.push(`the archive is not compressed as certify does it: they differ at byte ${at}`);
  }
  return { files, problems };
}
