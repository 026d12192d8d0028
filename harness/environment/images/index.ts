import { createWriteStream, existsSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type Docker from 'dockerode';
import { NODE_IMAGES } from '../../role-data/index.ts';
import { SetUpError } from '../engine/errors.ts';
import { ensureEngine } from '../engine/index.ts';
import { type OnProgress, StepReporter } from '../engine/progress.ts';
import { imageArchitecture } from './archive.ts';
import { type Artifact, artifactsOf, type Workshop } from './artifacts.ts';
import { buildImage } from './build.ts';
import { Cache, explainDiskFull, freeBytes, megabytes } from './cache.ts';
import { type ContextFile, digestOf, filesUnder, fingerprint } from './digest.ts';
import { Overview, type Piece } from './forecast.ts';
import { takeLock } from './lock.ts';
import { digestFrom, pull } from './registry.ts';
import { makeRootFileSystem, type RootFileSystem, rootFileSystem } from './rootfs.ts';
import { type ImageDefinition, loadImages } from './spec.ts';

/** The images of a run. `keycloak-preview` has the legacy token exchange switched on; only twins use it. */
export const IMAGE_NAMES = ['kubernetes-node', 'node', ...NODE_IMAGES, 'keycloak', 'keycloak-preview'] as const;

/** Images of identity providers that only a target file starts: made when one does, and not by the set-up. */
export const TARGET_IMAGE_NAMES = ['hydra', 'keycloak-26-4'] as const;
export type ImageName = (typeof IMAGE_NAMES)[number] | (typeof TARGET_IMAGE_NAMES)[number];

/** An image that is in the engine. */
export type ResolvedImage = {
  /** What a container is started from. */
  readonly reference: string;
  readonly source: 'registry' | 'built';
  /** `sha256:…` of the manifest in the registry. */
  readonly digest?: string;
};

export type EnsureImagesOptions = { readonly onProgress?: OnProgress; readonly signal?: AbortSignal };

/** Where an image may come from; `registry` is looked for first. */
export type Candidate = {
  readonly image: ImageDefinition;
  readonly source: 'registry' | 'built';
  readonly reference: string;
  readonly base:
    | { readonly kind: 'none' }
    | { readonly kind: 'rootfs'; readonly root: RootFileSystem }
    | { readonly kind: 'image'; readonly candidate: Candidate };
  readonly files: readonly ContextFile[];
  readonly artifacts: readonly Artifact[];
};

/** Room that a build from nothing takes at most, bytes: compiler cache, root file systems and layers. */
const BUILD_ROOM = 4e9;

/** Which sources are looked at: KUBE_AGENT_CONFORMANCE_IMAGES is `registry`, `built`, or unset for both. */
export function allowedSources(env: NodeJS.ProcessEnv = process.env): readonly ResolvedImage['source'][] {
  const value = env.KUBE_AGENT_CONFORMANCE_IMAGES;
  if (value === undefined || value === '') {
    return ['registry', 'built'];
  }
  if (value === 'registry' || value === 'built') {
    return [value];
  }
  throw new SetUpError(
    `KUBE_AGENT_CONFORMANCE_IMAGES is ${JSON.stringify(value)}: it must be \`registry\` or \`built\`.`,
  );
}

/**
 * The candidates of an image in the order in which they are preferred.
 * An image with `pull` is pulled or built; one without is built on whatever its base came to be.
 */
export async function candidatesOf(images: ReadonlyMap<string, ImageDefinition>, name: string): Promise<Candidate[]> {
  const image = images.get(name);
  if (image === undefined) {
    throw new SetUpError(`There is no image ${name}; known images: ${[...images.keys()].join(', ')}.`);
  }
  const { spec } = image;
  const pulled: Candidate[] =
    spec.pull === undefined
      ? []
      : [{ image, source: 'registry', reference: spec.pull, base: { kind: 'none' }, files: [], artifacts: [] }];
  const [files, artifacts, bases] = await Promise.all([
    filesUnder(image.folder, (file) => !/(\.go|^go\.(mod|sum)|(^|\/)[^/]*\.test\.ts|^image\.yaml)$/.test(file)),
    artifactsOf(image),
    basesOf(images, image),
  ]);
  const built = bases.map((base): Candidate => {
    const key = digestOf({
      files: fingerprint(files),
      artifacts: artifacts.map(({ output, key: artifactKey }) => [output, artifactKey]),
      base: baseReference(base),
      args: image.args,
      architecture: imageArchitecture(),
    });
    return {
      image,
      source: base.kind === 'image' ? base.candidate.source : 'built',
      reference: `kube-agent-conformance/${name}:${key}`,
      base,
      files,
      artifacts,
    };
  });
  return [...pulled, ...built];
}

async function basesOf(
  images: ReadonlyMap<string, ImageDefinition>,
  image: ImageDefinition,
): Promise<Candidate['base'][]> {
  const { base } = image.spec;
  if (base === 'scratch') {
    return [{ kind: 'none' }];
  }
  if (base === 'debian') {
    return [{ kind: 'rootfs', root: await rootFileSystem(image.packages ?? []) }];
  }
  return (await candidatesOf(images, base)).map((candidate) => ({ kind: 'image', candidate }));
}

function baseReference(base: Candidate['base']): string {
  if (base.kind === 'none') {
    return 'scratch';
  }
  return base.kind === 'rootfs' ? base.root.reference : base.candidate.reference;
}

/** What the engine holds: digests by reference. */
type Inventory = Map<string, string | undefined>;

async function inventory(docker: Docker): Promise<Inventory> {
  const images = await docker.listImages();
  return new Map(
    images.flatMap(({ RepoTags, RepoDigests }) =>
      (RepoTags ?? []).map((tag) => [tag, digestFrom(RepoDigests ?? [])] as const),
    ),
  );
}

/**
 * Gives each image, pulling or building what the engine does not have. At once when all are there.
 *
 * @throws SetUpError when an image can be neither pulled nor built, or the disk is full
 */
export async function ensureImages<Name extends string = ImageName>(
  names: readonly Name[],
  options: EnsureImagesOptions = {},
): Promise<Record<Name, ResolvedImage>> {
  const [{ docker, dataRoot }, images] = await Promise.all([ensureEngine(options), loadImages()]);
  return provideImages({ docker, dataRoot, images, cache: new Cache() }, names, options);
}

/** What images are made with. */
export type Surroundings = {
  readonly docker: Docker;
  /** Folder of the engine's data on this host. */
  readonly dataRoot: string;
  readonly images: ReadonlyMap<string, ImageDefinition>;
  readonly cache: Cache;
};

/** {@link ensureImages} in given surroundings. */
export async function provideImages<Name extends string>(
  { docker, dataRoot, images, cache }: Surroundings,
  names: readonly Name[],
  options: EnsureImagesOptions = {},
): Promise<Record<Name, ResolvedImage>> {
  const allowed = allowedSources();
  const [present, ...candidates] = await Promise.all([
    inventory(docker),
    ...names.map((name) => candidatesOf(images, name)),
  ]);
  const usableOf = (index: number): Candidate[] =>
    (candidates[index] ?? []).filter(({ source }) => allowed.includes(source));
  const isThere = (index: number): Candidate | undefined =>
    usableOf(index).find(({ reference }) => present.has(reference));
  const missing = names.flatMap((_, index) => (isThere(index) === undefined ? [index] : []));
  if (missing.length > 0) {
    await cache.sweep();
    await checkRoom(cache, dataRoot);
  }
  const resolved = new Map<Name, ResolvedImage>();
  const giveUp = new AbortController();
  const signal = AbortSignal.any([giveUp.signal, ...(options.signal === undefined ? [] : [options.signal])]);
  const make = async (index: number): Promise<void> => {
    const name = names[index] as Name;
    const report = new StepReporter(`image ${name}`, options.onProgress ?? (() => {}));
    try {
      const chosen = await provide(docker, usableOf(index), { cache, report, signal });
      resolved.set(name, resolvedFrom(chosen, await inventory(docker)));
    } catch (error) {
      throw await explainDiskFull(error, `the image ${name}`, { images: dataRoot, cache: cache.folder });
    }
  };
  for (const [index, name] of names.entries()) {
    const there = isThere(index);
    if (there !== undefined) {
      resolved.set(name, resolvedFrom(there, present));
    }
  }
  // All side by side: one compiles while another downloads. What several lie on is made by the first that takes its
  // lock.
  const overview = new Overview(
    new Map(missing.map((index) => [names[index] as string, piecesOf(usableOf(index), present, cache)])),
    new StepReporter('images', options.onProgress ?? (() => {})),
  );
  overview.begin();
  const outcomes = await Promise.allSettled(
    missing.map(async (index) => {
      try {
        await make(index);
        overview.ready(names[index] as string);
      } catch (error) {
        giveUp.abort(error);
        throw error;
      }
    }),
  );
  const failed = outcomes.filter((outcome) => outcome.status === 'rejected').map(({ reason }) => reason as unknown);
  if (failed.length > 0) {
    throw giveUp.signal.aborted && failed.includes(giveUp.signal.reason) ? giveUp.signal.reason : failed[0];
  }
  return Object.fromEntries(names.map((name) => [name, resolved.get(name)])) as Record<Name, ResolvedImage>;
}

/** The work that an image takes which no registry has: its own and that of the bases that are not there. */
function piecesOf(candidates: readonly Candidate[], present: Inventory, cache: Cache): Piece[] {
  const candidate = candidates.at(-1);
  if (candidate === undefined || present.has(candidate.reference)) {
    return [];
  }
  const { image, base, artifacts } = candidate;
  const { compile, build } = image.effort ?? { compile: Number.NaN, build: Number.NaN };
  const programs = new Set(image.spec.go.map(({ output }) => output));
  const isCompiled = artifacts.every(({ key, output }) => !programs.has(output) || cache.has('go', key));
  const below = base.kind === 'image' ? piecesOf([base.candidate], present, cache) : [];
  return [...below, { name: image.name, compile: isCompiled ? 0 : compile, build }];
}

function resolvedFrom({ reference, source }: Candidate, present: Inventory): ResolvedImage {
  const digest = present.get(reference);
  return { reference, source, ...(digest === undefined ? {} : { digest }) };
}

async function checkRoom(cache: Cache, dataRoot: string): Promise<void> {
  for (const path of [cache.folder, dataRoot]) {
    // A remote engine's folder is not on this host: its own error says why.
    if (!path.startsWith('/')) {
      continue;
    }
    const free = await freeBytes(path);
    if (free >= BUILD_ROOM) {
      continue;
    }
    throw new SetUpError(
      `Building the images needs up to ${megabytes(BUILD_ROOM)}, but ${path} has only ${megabytes(free)} free.`,
      ['free some space there, or set XDG_CACHE_HOME to a folder on another disk', 'then run the same command again'],
    );
  }
}

/** Says which other process is waited for; what this one itself is making shows its own progress. */
function tellOfOthers(report: StepReporter, what: string): (holder: string) => void {
  return (holder) => {
    if (holder !== String(process.pid)) {
      report.note(`waiting for process ${holder}, which is making the same ${what}`);
    }
  };
}

/** Makes one of an image's candidates be in the engine: the first that can be had. */
async function provide(docker: Docker, candidates: readonly Candidate[], workshop: Workshop): Promise<Candidate> {
  const { report, signal } = workshop;
  const first = candidates[0];
  if (first === undefined) {
    throw new SetUpError('KUBE_AGENT_CONFORMANCE_IMAGES allows no source of this image.');
  }
  const { name } = first.image;
  await using _lock = await takeLock(
    `${workshop.cache.folder}/image/${first.image.spec.name}`,
    tellOfOthers(report, 'image'),
    signal,
  );
  const present = await inventory(docker);
  const there = candidates.find(({ reference }) => present.has(reference));
  if (there !== undefined) {
    return there;
  }
  const pullable = candidates.find(({ base, source }) => source === 'registry' && base.kind === 'none');
  if (pullable !== undefined) {
    const result = await pull(docker, pullable.reference, report, signal);
    if (result.pulled) {
      return pullable;
    }
    report.note(`${pullable.reference} is not to be had (${result.reason})`);
  }
  const buildable = candidates.filter((candidate) => candidate !== pullable);
  const [candidate] = await Promise.all([
    withBase(docker, buildable, workshop),
    buildable[0] === undefined ? undefined : locateAll(buildable[0].artifacts, workshop),
  ]);
  if (candidate === undefined) {
    throw new SetUpError(`The image ${name} could not be pulled, and building it is not allowed here.`);
  }
  await buildImage(
    docker,
    {
      name,
      reference: candidate.reference,
      files: candidate.files,
      artifacts: candidate.artifacts,
      args: {
        ...candidate.image.args,
        ...(candidate.base.kind === 'none' ? {} : { BASE: baseReference(candidate.base) }),
      },
    },
    workshop,
  );
  return candidate;
}

/** Makes what the cache does not have: beside the base, which waits for downloads while this computes. */
async function locateAll(artifacts: readonly Artifact[], workshop: Workshop): Promise<void> {
  for (const artifact of artifacts) {
    await artifact.locate(workshop);
  }
}

/** The candidate whose base is in the engine, after that base was provided. */
async function withBase(
  docker: Docker,
  candidates: readonly Candidate[],
  workshop: Workshop,
): Promise<Candidate | undefined> {
  const first = candidates[0];
  if (first === undefined || first.base.kind === 'none') {
    return first;
  }
  if (first.base.kind === 'rootfs') {
    const { root } = first.base;
    await using _lock = await takeLock(
      `${workshop.cache.folder}/${root.reference}`,
      tellOfOthers(workshop.report, 'root file system'),
      workshop.signal,
    );
    if (!(await inventory(docker)).has(root.reference)) {
      await makeRootFileSystem(docker, root, workshop);
    }
    return first;
  }
  const bases = candidates.flatMap(({ base }) => (base.kind === 'image' ? [base.candidate] : []));
  const base = await provide(docker, bases, workshop);
  return candidates.find((candidate) => candidate.base.kind === 'image' && candidate.base.candidate === base);
}

/** An image as `conformance doctor` shows it. */
type ImageState = { readonly name: ImageName; readonly present: ResolvedImage | undefined };

/** Which images are in the engine. Makes nothing. */
export async function imageStates(docker: Docker): Promise<ImageState[]> {
  const images = await loadImages();
  const present = await inventory(docker);
  const allowed = allowedSources();
  return Promise.all(
    IMAGE_NAMES.map(async (name) => {
      if (!images.has(name)) {
        return { name, present: undefined };
      }
      const usable = (await candidatesOf(images, name)).filter(({ source }) => allowed.includes(source));
      const there = usable.find(({ reference }) => present.has(reference));
      return { name, present: there === undefined ? undefined : resolvedFrom(there, present) };
    }),
  );
}

/** Whether the engine has an image by this reference. */
export async function engineHasImage(reference: string): Promise<boolean> {
  const { docker } = await ensureEngine({});
  try {
    await docker.getImage(reference).inspect();
    return true;
  } catch (error) {
    if ((error as { statusCode?: number }).statusCode === 404) {
      return false;
    }
    throw error;
  }
}

/**
 * Saves an image as a docker-archive, for a container runtime that is not the engine (a node's air-gap folder).
 *
 * @returns path of an uncompressed tar file in the cache; at once when the same image was saved before
 */
export async function saveImage(reference: string, options: EnsureImagesOptions = {}): Promise<string> {
  const { docker } = await ensureEngine(options);
  const cache = new Cache();
  const { Id } = await docker.getImage(reference).inspect();
  const key = digestOf({ id: Id, reference });
  const path = join(cache.path('saved', key), 'image.tar');
  if (existsSync(path)) {
    return path;
  }
  const report = new StepReporter('engine', options.onProgress ?? (() => {}));
  try {
    await report.step(`save ${reference}`, () =>
      cache.entry('saved', key, async (folder) => {
        const archive = await docker.getImage(reference).get();
        await pipeline(archive, createWriteStream(join(folder, 'image.tar')), { signal: options.signal });
      }),
    );
  } catch (error) {
    throw await explainDiskFull(error, `the archive of ${reference}`, { cache: cache.folder });
  }
  return path;
}
