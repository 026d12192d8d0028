import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import Docker from 'dockerode';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { SetUpProgress } from '../engine/progress.ts';
import { Cache } from './cache.ts';
import { allowedSources, candidatesOf, provideImages } from './index.ts';
import { loadImages } from './spec.ts';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'provide-'));
  await image('base', 'name: base\nbase: scratch\npull: registry.example/base:1');
  await image('derived', 'name: derived\nbase: base\nargs: {FEATURES: ""}\nvariants: {preview: {args: {FEATURES: x}}}');
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(root, { recursive: true });
});

async function image(folder: string, yaml: string): Promise<void> {
  await mkdir(join(root, 'images', folder), { recursive: true });
  await writeFile(join(root, 'images', folder, 'image.yaml'), yaml);
  await writeFile(join(root, 'images', folder, 'Dockerfile'), 'ARG BASE\nFROM $BASE\n');
}

const load = () => loadImages(join(root, 'images'));

/** An engine that holds references and remembers what it was asked to do. */
class FakeEngine {
  readonly held = new Map<string, string>();
  readonly asked: string[] = [];
  registry = false;
  buildError: string | undefined;
  /** The build of this image ends only when it opens. */
  gate: { readonly name: string; readonly opens: () => boolean } | undefined;

  get docker(): Docker {
    const docker = new Docker({ socketPath: '/nowhere' });
    const events = (...lines: object[]) => Readable.from(lines.map((line) => `${JSON.stringify(line)}\n`));
    const own = {
      listImages: async () =>
        [...this.held].map(([tag, digest]) => ({ RepoTags: [tag], RepoDigests: digest === '' ? [] : [`r@${digest}`] })),
      pruneImages: async () => ({}),
      getImage: (reference: string) => ({ inspect: async () => ({ RepoDigests: [`r@${this.held.get(reference)}`] }) }),
      pull: async (reference: string) => {
        this.asked.push(`pull ${reference}`);
        if (!this.registry) {
          throw new Error('dial tcp: no such host');
        }
        this.held.set(reference, 'sha256:abc');
        return events({ status: 'Pulling fs layer', id: '1' }, { status: 'Pull complete', id: '1' });
      },
      buildImage: async (context: NodeJS.ReadableStream, options: { t: string; buildargs: Record<string, string> }) => {
        for await (const _ of context) {
        }
        const { gate } = this;
        if (gate !== undefined && options.t.startsWith(`kube-agent-conformance/${gate.name}:`)) {
          await vi.waitUntil(gate.opens, { timeout: 5_000, interval: 5 });
        }
        this.asked.push(`build ${options.t.split(':')[0]} on ${options.buildargs.BASE ?? 'scratch'}`);
        if (this.buildError !== undefined) {
          return events({ stream: 'Step 2/3 : RUN x\n' }, { error: this.buildError });
        }
        this.held.set(options.t, '');
        return events({ stream: 'Successfully built\n' });
      },
    };
    return Object.assign(docker, own) as unknown as Docker;
  }
}

async function provide(engine: FakeEngine, names: string[], onProgress: (progress: SetUpProgress) => void = () => {}) {
  const surroundings = {
    docker: engine.docker,
    dataRoot: root,
    images: await load(),
    cache: new Cache(join(root, 'cache')),
  };
  return provideImages(surroundings, names, { onProgress });
}

describe('candidatesOf', () => {
  it('prefers the registry, and has a derived image follow its base', async () => {
    const images = await load();
    expect((await candidatesOf(images, 'base')).map(({ source }) => source)).toEqual(['registry', 'built']);
    const [onPulled, onBuilt] = await candidatesOf(images, 'derived');
    expect([onPulled?.source, onBuilt?.source]).toEqual(['registry', 'built']);
    expect(onPulled?.reference).not.toBe(onBuilt?.reference);
  });

  it('gives a new reference for a changed file, argument or base, and the old one for what was touched only', async () => {
    const reference = async (name: string) => (await candidatesOf(await load(), name)).at(-1)?.reference;
    const before = await reference('derived');
    expect(await reference('preview')).not.toBe(before);
    await writeFile(join(root, 'images', 'derived', 'Dockerfile'), 'ARG BASE\nFROM $BASE\n');
    expect(await reference('derived')).toBe(before);
    await writeFile(join(root, 'images', 'base', 'Dockerfile'), 'FROM scratch\nLABEL a=b\n');
    const onNewBase = await reference('derived');
    expect(onNewBase).not.toBe(before);
    await writeFile(join(root, 'images', 'derived', 'script'), 'echo');
    expect(await reference('derived')).not.toBe(onNewBase);
  });
});

describe('provideImages', () => {
  it('pulls where a registry answers, records the digest, and derives from what was pulled', async () => {
    const engine = new FakeEngine();
    engine.registry = true;
    expect(await provide(engine, ['base', 'derived'])).toEqual({
      base: { reference: 'registry.example/base:1', source: 'registry', digest: 'sha256:abc' },
      derived: { reference: expect.stringMatching(/^kube-agent-conformance\/derived:/), source: 'registry' },
    });
    expect(engine.asked).toEqual([
      'pull registry.example/base:1',
      'build kube-agent-conformance/derived on registry.example/base:1',
    ]);
  });

  it('builds where none answers, asking once and saying why', async () => {
    const engine = new FakeEngine();
    const notes: string[] = [];
    const images = await provide(engine, ['derived'], ({ phase, step }) => phase === 'note' && notes.push(step));
    expect(images.derived).toMatchObject({ source: 'built' });
    expect(engine.asked).toEqual([
      'pull registry.example/base:1',
      'build kube-agent-conformance/base on scratch',
      expect.stringMatching(/^build kube-agent-conformance\/derived on kube-agent-conformance\/base:[0-9a-f]{20}$/),
    ]);
    expect(notes).toEqual([
      '1 to get: derived. A set-up that is broken off continues where it stopped.',
      expect.stringContaining('no such host'),
      'derived is there, 1 of 1; all are there',
    ]);
  });

  it('asks for nothing when all is there', async () => {
    const engine = new FakeEngine();
    const first = await provide(engine, ['derived', 'preview']);
    engine.asked.length = 0;
    expect(await provide(engine, ['derived', 'preview'])).toEqual(first);
    expect(engine.asked).toEqual([]);
  });

  it('makes images side by side, and the base of two of them once', async () => {
    await image('slow', 'name: slow\nbase: scratch');
    const engine = new FakeEngine();
    const notes: string[] = [];
    engine.gate = { name: 'slow', opens: () => engine.asked.some((asked) => asked.includes('/preview ')) };
    await provide(engine, ['slow', 'derived', 'preview'], ({ phase, step }) => phase === 'note' && notes.push(step));
    expect(engine.asked.at(-1)).toMatch(/^build kube-agent-conformance\/slow /);
    expect(engine.asked.filter((asked) => asked.startsWith('build kube-agent-conformance/base '))).toHaveLength(1);
    expect(notes).toContain('slow is there, 3 of 3; all are there');
    expect(notes.join()).not.toContain('waiting for process');
  });

  it('fails with the end of the build when a step of it fails, and goes on from there next time', async () => {
    const engine = new FakeEngine();
    await provide(engine, ['base']);
    engine.asked.length = 0;
    engine.buildError = 'The command returned a non-zero code: 1';
    await expect(provide(engine, ['derived'])).rejects.toThrow(
      /derived could not be built: .*non-zero code[\s\S]*\| Step 2\/3 : RUN x/,
    );
    engine.buildError = undefined;
    await provide(engine, ['derived']);
    expect(engine.asked.filter((asked) => asked.startsWith('build'))).toEqual([
      expect.stringContaining('/derived on'),
      expect.stringContaining('/derived on'),
    ]);
  });

  it('makes an image once when two ask at once', async () => {
    const engine = new FakeEngine();
    await Promise.all([provide(engine, ['base']), provide(engine, ['base'])]);
    expect(engine.asked.filter((asked) => asked.startsWith('build'))).toHaveLength(1);
  });

  it('distinguishes a full disk from a fault of the image', async () => {
    const engine = new FakeEngine();
    engine.buildError = 'write /layer.tar: no space left on device';
    await expect(provide(engine, ['base'])).rejects.toThrow(/The disk is full: the image base/);
  });

  it('does as KUBE_AGENT_CONFORMANCE_IMAGES says', async () => {
    vi.stubEnv('KUBE_AGENT_CONFORMANCE_IMAGES', 'built');
    const engine = new FakeEngine();
    engine.registry = true;
    expect((await provide(engine, ['base'])).base).toMatchObject({ source: 'built' });
    expect(engine.asked).toEqual(['build kube-agent-conformance/base on scratch']);
    vi.stubEnv('KUBE_AGENT_CONFORMANCE_IMAGES', 'registry');
    engine.registry = false;
    await expect(provide(engine, ['preview'])).rejects.toThrow(/could not be pulled/);
    expect(() => allowedSources({ KUBE_AGENT_CONFORMANCE_IMAGES: 'bulit' })).toThrow(/"bulit"/);
  });

  it('names an image that is not there', async () => {
    await expect(provide(new FakeEngine(), ['nod'])).rejects.toThrow(/no image nod; known images: base, derived/);
  });
});
