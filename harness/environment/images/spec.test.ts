import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadImages, parseImageSpec, parsePackages } from './spec.ts';

describe('parseImageSpec', () => {
  it('fills in what is not said', () => {
    const spec = parseImageSpec('name: node\ngo: [{output: bin/a}]', 'image.yaml');
    expect(spec).toMatchObject({
      base: 'debian',
      maven: [],
      variants: {},
      go: [{ dir: '.', package: '.', ldflags: '-s -w' }],
    });
    expect(spec.pull).toBeUndefined();
  });

  it.each([
    ['a name with capitals', 'name: Node', /name: lower-case words/],
    ['an unknown key', 'name: node\npackage: [a]', /package/],
    [
      'an output outside of the context',
      'name: n\nnpm: [{package: node, path: bin/node, output: ../node}]',
      /npm\.0\.output/,
    ],
    ['coordinates without a version', 'name: n\nmaven: [{artifact: "a:b", output: x}]', /maven\.0\.artifact/],
    [
      'a pod image without a tag',
      'name: n\npodImages: [{name: pause, files: {/a: b}, output: x}]',
      /podImages\.0\.name/,
    ],
    ['text that is not YAML', 'name: [', /not YAML/],
  ])('refuses %s, with the file and the place', (_, text, message) => {
    expect(() => parseImageSpec(text, 'fixtures/images/x/image.yaml')).toThrow(message);
    expect(() => parseImageSpec(text, 'fixtures/images/x/image.yaml')).toThrow('fixtures/images/x/image.yaml');
  });
});

describe('parsePackages', () => {
  it('drops comments, empty lines and doubles, and sorts', () => {
    expect(parsePackages('# a comment\nrunc\n\nbash # why\nrunc\n')).toEqual(['bash', 'runc']);
  });
});

describe('loadImages', () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'images-'));
  });
  afterEach(() => rm(root, { recursive: true }));
  const image = async (folder: string, text: string) => {
    await mkdir(join(root, folder));
    await writeFile(join(root, folder, 'image.yaml'), text);
  };

  it('knows what an image takes where effort.yaml says it, and refuses what that may not say', async () => {
    await image('a', 'name: a\nvariants: {b: {args: {}}}');
    await writeFile(join(root, 'effort.yaml'), 'a: { compile: 20 }');
    const images = await loadImages(root);
    expect(images.get('a')?.effort).toEqual({ compile: 20, build: 0 });
    expect(images.get('b')?.effort).toBeUndefined();
    await writeFile(join(root, 'effort.yaml'), 'a: { seconds: 20 }');
    await expect(loadImages(root)).rejects.toThrow(/effort\.yaml is not a valid list of efforts:[\s\S]*seconds/);
  });

  it('knows every image of the set-up', async () => {
    for (const { name, effort } of (await loadImages()).values()) {
      if (name !== 'hydra') {
        expect(effort, name).toBeDefined();
      }
    }
  });

  it('gives variants their own arguments over the common ones', async () => {
    await image('a', 'name: a\nargs: {X: "1", Y: "1"}\nvariants: {a-two: {args: {Y: "2"}}}');
    const images = await loadImages(root);
    expect(images.get('a')?.args).toEqual({ X: '1', Y: '1' });
    expect(images.get('a-two')?.args).toEqual({ X: '1', Y: '2' });
  });

  it('passes over folders that hold parts of other images', async () => {
    await mkdir(join(root, 'parts'));
    expect((await loadImages(root)).size).toBe(0);
  });

  it('refuses a base that is not there and a name used twice', async () => {
    await image('a', 'name: a\nbase: b');
    await expect(loadImages(root)).rejects.toThrow(/base image `b` does not exist/);
    await image('b', 'name: b\nvariants: {a: {args: {}}}');
    await expect(loadImages(root)).rejects.toThrow(/name a is used by/);
  });

  it('reads the images of this repository', async () => {
    expect([...(await loadImages()).keys()]).toEqual(expect.arrayContaining(['keycloak', 'keycloak-preview', 'node']));
  });
});
