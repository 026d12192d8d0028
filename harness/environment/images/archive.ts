import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { arch } from 'node:os';
import { pipeline } from 'node:stream/promises';
import { type Pack, pack } from 'tar-stream';
import type { PodImageSpec } from './spec.ts';

/** Nothing in an archive depends on when it was made: the same input gives the same bytes. */
const EPOCH = new Date(0);

/** `amd64`, `arm64`: this host's architecture as images and Debian name it. */
export function imageArchitecture(): string {
  const names: Record<string, string> = { x64: 'amd64', arm64: 'arm64' };
  return names[arch()] ?? arch();
}

export type ArchiveFile = { readonly name: string; readonly path: string; readonly executable: boolean };

/** Adds a file of this host to a tar archive. */
export async function addFile(archive: Pack, file: ArchiveFile): Promise<void> {
  const { size } = await stat(file.path);
  const entry = archive.entry({ name: file.name, size, mode: file.executable ? 0o755 : 0o644, mtime: EPOCH });
  await pipeline(createReadStream(file.path), entry);
}

function addBytes(archive: Pack, name: string, content: Buffer | string): void {
  archive.entry({ name, mode: 0o644, mtime: EPOCH }, content);
}

/**
 * Writes a docker-archive (`docker load`, `ctr images import`) of one layer: an image for pods, small enough to be made
 * without an engine.
 *
 * @param locate gives the path on this host of a file named by the specification
 */
export async function writePodImage(
  spec: PodImageSpec,
  locate: (name: string) => string,
  target: string,
): Promise<void> {
  const layer = pack();
  const chunks: Buffer[] = [];
  const collected = (async () => {
    for await (const chunk of layer) {
      chunks.push(chunk as Buffer);
    }
  })();
  const folders = new Set<string>();
  for (const [path, source] of Object.entries(spec.files).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const name = path.slice(1);
    const parents = name
      .split('/')
      .slice(0, -1)
      .map((_, index, all) => all.slice(0, index + 1).join('/'));
    for (const parent of parents) {
      if (folders.has(parent)) {
        continue;
      }
      folders.add(parent);
      layer.entry({ name: `${parent}/`, type: 'directory', mode: 0o755, mtime: EPOCH });
    }
    if (source.startsWith('link:')) {
      layer.entry({ name, type: 'symlink', linkname: source.slice('link:'.length), mtime: EPOCH });
    } else if (source.startsWith('dir:')) {
      folders.add(name);
      layer.entry({
        name: `${name}/`,
        type: 'directory',
        mode: Number.parseInt(source.slice('dir:'.length), 8),
        mtime: EPOCH,
      });
    } else {
      const content = await readFile(locate(source));
      layer.entry({ name, mode: 0o755, mtime: EPOCH }, content);
    }
  }
  layer.finalize();
  await collected;
  const bytes = Buffer.concat(chunks);
  const diff = createHash('sha256').update(bytes).digest('hex');
  const config = JSON.stringify({
    architecture: imageArchitecture(),
    os: 'linux',
    created: EPOCH.toISOString(),
    config: {
      Env: Object.entries(spec.env).map(([key, value]) => `${key}=${value}`),
      ...(spec.entrypoint.length === 0 ? {} : { Entrypoint: spec.entrypoint }),
      ...(spec.command.length === 0 ? {} : { Cmd: spec.command }),
      ...(spec.user === undefined ? {} : { User: spec.user }),
      ...(spec.workingDir === undefined ? {} : { WorkingDir: spec.workingDir }),
    },
    rootfs: { type: 'layers', diff_ids: [`sha256:${diff}`] },
  });
  const configName = `${createHash('sha256').update(config).digest('hex')}.json`;
  const archive = pack();
  const written = pipeline(archive, createWriteStream(target));
  addBytes(archive, configName, config);
  addBytes(archive, `${diff}/layer.tar`, bytes);
  addBytes(
    archive,
    'manifest.json',
    JSON.stringify([{ Config: configName, RepoTags: [spec.name], Layers: [`${diff}/layer.tar`] }]),
  );
  archive.finalize();
  await written;
}
