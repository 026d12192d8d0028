/** Files that a target file names: they are read before anything is started, so that what is wrong is told at once. */
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { KubernetesObject } from '@kubernetes/client-node';
import { parseAllDocuments } from 'yaml';
import { UsageError } from '../core/errors.ts';

/** A field of a target file that names such files, relative to the target file. */
export interface ManifestFiles {
  /** As it is written there, for example `install.files`. */
  field: string;
  names: readonly string[];
}

/** The files that a target file names. */
export interface NamedFiles {
  manifests?: ManifestFiles | undefined;
  /** `start.command`: of its first two parts, those that are relative paths are the program. */
  command?: readonly string[] | undefined;
}

/** As much of a file as a message quotes. */
const QUOTED_CHARACTERS = 60;

/**
 * Reads the objects in files that a target file names; those of a `List` one by one. Placeholders stay as they are.
 *
 * @throws UsageError that names the file, the field of the target file and what is wrong: it cannot be read, is not
 *   YAML, or holds something else than objects of Kubernetes
 */
export function readObjects(
  { file, folder }: { file: string; folder: string },
  { field, names }: ManifestFiles,
): KubernetesObject[] {
  return names.flatMap((name) => {
    const path = resolve(folder, name);
    const what = `${path}, which \`${field}\` of ${file} names,`;
    return documentsOf(path, what).flatMap((document) => {
      const { kind, items } = document as { kind?: string; items?: unknown };
      const all: unknown[] = kind === 'List' && Array.isArray(items) ? items : [document];
      return all.map((object) => {
        if (!isObject(object)) {
          const start = JSON.stringify(object).slice(0, QUOTED_CHARACTERS);
          throw new UsageError(
            `${what} holds something that is no object of Kubernetes, with apiVersion, kind and metadata.name: it begins with ${start}; a file that was downloaded may be a web page about it`,
          );
        }
        return object;
      });
    });
  });
}

/**
 * Sees that the files are there that a target file names, and that its manifests can be read.
 *
 * @throws UsageError as {@link readObjects} does, or that names `start.command` and the program that is not there
 */
export function checkFiles(target: { file: string; folder: string }, { manifests, command = [] }: NamedFiles): void {
  if (manifests !== undefined) {
    readObjects(target, manifests);
  }
  for (const part of command.slice(0, 2)) {
    const path = resolve(target.folder, part);
    if (/^\.{1,2}\//.test(part) && !part.includes('${') && !existsSync(path)) {
      throw new UsageError(
        `\`start.command\` of ${target.file} names ${part}, and there is no ${path}: a path is relative to the folder of the target file`,
      );
    }
  }
}

function documentsOf(path: string, what: string): unknown[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new UsageError(`${what} cannot be read: ${(error as Error).message}`);
  }
  if (/^\s*<(!doctype|html|\?xml)/i.test(text)) {
    throw new UsageError(
      `${what} is a web page, and no YAML: it begins with ${JSON.stringify(text.trim().slice(0, QUOTED_CHARACTERS))}; download the raw file`,
    );
  }
  return parseAllDocuments(text).flatMap((document) => {
    const [wrong] = document.errors;
    if (wrong !== undefined) {
      throw new UsageError(`${what} is not YAML: ${wrong.message}`);
    }
    return (document.toJS() as unknown) ?? [];
  });
}

function isObject(object: unknown): object is KubernetesObject {
  const { apiVersion, kind, metadata } = (object ?? {}) as Record<string, unknown>;
  const { name } = (metadata ?? {}) as { name?: unknown };
  return [apiVersion, kind, name].every((part) => typeof part === 'string' && part !== '');
}
