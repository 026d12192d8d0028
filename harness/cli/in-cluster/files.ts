import { readFileSync } from 'node:fs';
import { dirname, relative, sep } from 'node:path';
import type { V1ConfigMap, V1OwnerReference, V1Volume } from '@kubernetes/client-node';
import { UsageError } from '../../core/errors.ts';

/** Where the pods of a run find the files that it was submitted with. */
export const FILES_FOLDER = '/files';

/** A ConfigMap takes 1 MiB (Kubernetes, ConfigMaps). */
const MAXIMUM_BYTES = 900_000;

/** Files of this host that go along with a run, as its pods have them. */
export interface FilesAlong {
  /** Path in the pod by the path on this host. */
  paths: ReadonlyMap<string, string>;
  volume: V1Volume;
  configMap(owner: V1OwnerReference): V1ConfigMap;
}

/** The folder that holds all of some files, at whatever depth. */
function commonFolder(files: readonly string[]): string {
  const [first = [], ...others] = files.map((file) => dirname(file).split(sep));
  const length = first.findIndex((part, index) => others.some((other) => other[index] !== part));
  return (length < 0 ? first : first.slice(0, length)).join(sep);
}

/**
 * Packs files into a ConfigMap, so that they lie to each other as they do here: a target file names others beside it.
 *
 * @param files absolute paths, one at least
 * @param name of the ConfigMap
 * @throws UsageError where they are too many for one
 */
export function filesAlong(files: readonly string[], name: string): FilesAlong {
  const folder = commonFolder(files);
  const inside = files.map((file) =>
    relative(folder === '' ? sep : folder, file)
      .split(sep)
      .join('/'),
  );
  const contents = files.map((file) => readFileSync(file));
  const bytes = contents.reduce((sum, content) => sum + content.length, 0);
  if (bytes > MAXIMUM_BYTES) {
    throw new UsageError(
      `the target files and what they name have ${bytes} bytes, and a ConfigMap takes ${MAXIMUM_BYTES}: put them into an image that is built on that of the harness, and name them by their path there behind --`,
    );
  }
  const key = (index: number): string => `file-${index}`;
  return {
    paths: new Map(files.map((file, index) => [file, `${FILES_FOLDER}/${inside[index]}`])),
    volume: { name: 'files', configMap: { name, items: inside.map((path, index) => ({ key: key(index), path })) } },
    configMap: (owner) => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name, ownerReferences: [owner] },
      binaryData: Object.fromEntries(contents.map((content, index) => [key(index), content.toString('base64')])),
    }),
  };
}
