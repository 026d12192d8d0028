import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { extract } from 'tar-stream';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { writePodImage } from './archive.ts';
import { parseImageSpec } from './spec.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'archive-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function entries(source: Readable) {
  const found = new Map<string, { content: Buffer; type: string; mode: number; link: string }>();
  const reader = extract();
  source.pipe(reader);
  for await (const entry of reader) {
    const chunks: Buffer[] = [];
    for await (const chunk of entry) {
      chunks.push(chunk as Buffer);
    }
    const { name, type, mode, linkname } = entry.header;
    found.set(name, { content: Buffer.concat(chunks), type: type ?? '', mode: mode ?? 0, link: linkname ?? '' });
  }
  return found;
}

const spec = () => {
  const text = `name: x\npodImages: [{name: "localhost/pause:1", entrypoint: [/bin/pause], user: "65535:65535",
    files: {/bin/pause: pause, /bin/other: "link:pause", /tmp: "dir:1777"}, output: pause.tar}]`;
  const [podImage] = parseImageSpec(text, 'image.yaml').podImages;
  if (podImage === undefined) {
    throw new Error('no pod image');
  }
  return podImage;
};

it('writes an archive whose manifest, configuration and layer belong together', async () => {
  await writeFile(join(folder, 'pause'), 'a program');
  const target = join(folder, 'pause.tar');
  await writePodImage(spec(), (name) => join(folder, name), target);

  const archive = await entries(createReadStream(target));
  const text = (name: string) => archive.get(name)?.content.toString('utf8') ?? '';
  const [manifest] = JSON.parse(text('manifest.json'));
  expect(manifest.RepoTags).toEqual(['localhost/pause:1']);
  const config = JSON.parse(text(manifest.Config));
  expect(config.config).toEqual({ Env: ['PATH=/bin'], Entrypoint: ['/bin/pause'], User: '65535:65535' });
  const layer = archive.get(manifest.Layers[0])?.content ?? Buffer.alloc(0);
  expect(config.rootfs.diff_ids).toEqual([`sha256:${createHash('sha256').update(layer).digest('hex')}`]);

  const files = await entries(Readable.from([layer]));
  expect(files.get('bin/')?.type).toBe('directory');
  expect(files.get('bin/pause')).toMatchObject({ mode: 0o755, content: Buffer.from('a program') });
  expect(files.get('bin/other')).toMatchObject({ type: 'symlink', link: 'pause' });
  expect(files.get('tmp/')).toMatchObject({ type: 'directory', mode: 0o1777 });
});

it('gives the same bytes for the same input', async () => {
  await writeFile(join(folder, 'pause'), 'a program');
  for (const name of ['one', 'two']) {
    await writePodImage(spec(), (file) => join(folder, file), join(folder, name));
  }
  expect(await readFile(join(folder, 'one'))).toEqual(await readFile(join(folder, 'two')));
});
