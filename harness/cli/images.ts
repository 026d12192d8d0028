import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { type Command, Option } from 'commander';
import { loadCatalogue } from '../catalogue/catalogue.ts';
import { describeError, HarnessError, UsageError } from '../core/errors.ts';
import { redact } from '../core/redact.ts';
import {
  LIVE_IMAGE_NAMES,
  type LiveImageName,
  liveImage,
  liveImageVariable,
  mirroredName,
  REGISTRY_VARIABLE,
} from '../environment/images/live-images.ts';
import type { IdentityProviderKind } from '../rpc/protocol.ts';
import { select } from '../run/plan.ts';
import { progressPrinter } from './progress.ts';

/** Runs a program, with its output on the terminal. @throws HarnessError with its exit code */
export type RunProgram = (file: string, args: string[]) => Promise<void>;

/** `--registry PREFIX`: where all images of the harness are pulled from that no variable names. */
export function registryOption(): Option {
  return new Option(
    '--registry <prefix>',
    'where a live cluster pulls the images of the harness (see `conformance images mirror`)',
  );
}

/** Takes {@link registryOption} for this process and those that it starts. */
export function setRegistry(prefix: string | undefined): void {
  if (prefix !== undefined) {
    process.env[REGISTRY_VARIABLE] = prefix;
  }
}

/** `--idp KIND`. */
export function identityProviderOption(
  description = 'keycloak: with the image of Keycloak, for runs that are given this option',
): Option {
  return new Option('--idp <kind>', description).choices(['keycloak', 'embedded']);
}

/** An image in a folder of `images save`. */
interface SavedImage {
  name: LiveImageName;
  reference: string;
  file: string;
}

const INDEX = 'images.json';

/** The tools that know how to give an archive to the nodes of the clusters that they make. */
const LOADERS = {
  kind: (archive: string, cluster: string) => ['kind', 'load', 'image-archive', archive, '--name', cluster],
  k3d: (archive: string, cluster: string) => ['k3d', 'image', 'import', archive, '--cluster', cluster],
  minikube: (archive: string, cluster: string) => ['minikube', 'image', 'load', archive, '--profile', cluster],
} as const;
type Loader = keyof typeof LOADERS;
const LOADER_NAMES = Object.keys(LOADERS) as Loader[];

/** The commands that load saved images: into nodes by the tool that made them, else into the container engine. */
export function loadCommands(
  saved: readonly SavedImage[],
  folder: string,
  into: Partial<Record<Loader, string>>,
): string[][] {
  const chosen = LOADER_NAMES.flatMap((tool) => (into[tool] === undefined ? [] : [[tool, into[tool]] as const]));
  if (chosen.length > 1) {
    throw new UsageError(`give one of ${LOADER_NAMES.map((tool) => `--${tool}`).join(', ')}`);
  }
  return saved.map(({ file }) => {
    const archive = join(folder, file);
    const [choice] = chosen;
    return choice === undefined ? ['docker', 'load', '--input', archive] : LOADERS[choice[0]](archive, choice[1]);
  });
}

/**
 * The commands that bring an image to a registry. One that comes from a registry is copied there with all of its
 * architectures; one that was built here has that of this host.
 */
export function mirrorCommands(image: { reference: string; isBuilt: boolean }, destination: string): string[][] {
  return image.isBuilt
    ? [
        ['docker', 'tag', image.reference, destination],
        ['docker', 'push', destination],
      ]
    : [['docker', 'buildx', 'imagetools', 'create', '--tag', destination, image.reference]];
}

async function runProgram(file: string, args: string[]): Promise<void> {
  process.stderr.write(`${[file, ...args].join(' ')}\n`);
  const child = spawn(file, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  const [code] = (await once(child, 'exit').catch((cause: unknown) => {
    throw new HarnessError(`${file} cannot be started: install it, or load the images by hand`, { cause });
  })) as [number | null];
  if (code !== 0) {
    throw new HarnessError(`${[file, ...args].join(' ')} ended with exit code ${code}`);
  }
}

/** Which images a selection needs on a live cluster, by their names. */
async function namesFor(
  suites: string[],
  identityProvider: IdentityProviderKind = 'embedded',
): Promise<{ name: LiveImageName; why: string }[]> {
  const { needsOf } = await import('../run/live/needs.ts');
  return needsOf(select(loadCatalogue(), { suites, requirements: [] }), { identityProvider }).images;
}

/** Pulls or builds images into the engine of this host. */
async function ensured(
  names: readonly LiveImageName[],
): Promise<{ name: LiveImageName; reference: string; isBuilt: boolean }[]> {
  const { ensureImages } = await import('../environment/images/index.ts');
  const images = await ensureImages(names, { onProgress: progressPrinter(process.stderr) });
  return names.map((name) => ({
    name,
    reference: images[name].reference,
    // What was built here has a name of ours, on whatever base, and a digest once it has been pushed.
    isBuilt: images[name].reference.startsWith('kube-agent-conformance/'),
  }));
}

/** How the images are named to a run. */
function variables(images: readonly { name: LiveImageName; reference: string }[]): string {
  return images.map(({ name, reference }) => `export ${liveImageVariable(name)}=${reference}\n`).join('');
}

async function save(folder: string, suites: string[], idp?: IdentityProviderKind): Promise<void> {
  const { saveImage } = await import('../environment/images/index.ts');
  const images = await ensured((await namesFor(suites, idp)).map(({ name }) => name));
  await mkdir(folder, { recursive: true });
  const saved: SavedImage[] = [];
  for (const { name, reference } of images) {
    const file = `${name}.tar`;
    await pipeline(createReadStream(await saveImage(reference)), createWriteStream(join(folder, file)));
    saved.push({ name, reference, file });
  }
  await writeFile(join(folder, INDEX), `${JSON.stringify(saved, null, 2)}\n`);
  process.stdout.write(
    `${saved.length} images are in ${folder}. On the other side: conformance images load ${folder}\n`,
  );
}

/** @throws UsageError for a folder that `images save` did not write */
export async function readSaved(folder: string): Promise<SavedImage[]> {
  let saved: SavedImage[];
  try {
    saved = JSON.parse(await readFile(join(folder, INDEX), 'utf8')) as SavedImage[];
  } catch (error) {
    throw new UsageError(
      `${join(folder, INDEX)} cannot be read: ${(error as Error).message}; give the folder of \`images save\``,
    );
  }
  for (const { name, file } of saved) {
    if (!LIVE_IMAGE_NAMES.includes(name) || basename(file) !== file) {
      throw new UsageError(`${join(folder, INDEX)} names ${name} in ${file}, which \`images save\` did not write`);
    }
  }
  return saved;
}

async function load(folder: string, into: Partial<Record<Loader, string>>, run: RunProgram): Promise<void> {
  const saved = await readSaved(folder);
  for (const [file = '', ...args] of loadCommands(saved, folder, into)) {
    await run(file, args);
  }
  process.stdout.write(variables(saved));
}

/**
 * A reference by digest, as the container engine learns it from the registry; nothing is pulled.
 *
 * @returns the reference itself where it has a digest already, or none is to be had: `why` says why
 */
export async function pinned(reference: string): Promise<{ reference: string; why?: string }> {
  if (reference.includes('@sha256:')) {
    return { reference };
  }
  const { lookForEngine } = await import('../environment/engine/index.ts');
  const { engine } = await lookForEngine();
  if (engine === undefined) {
    return { reference, why: 'no container engine answers, which would ask the registry' };
  }
  try {
    const { Descriptor } = (await engine.docker.getImage(reference).distribution()) as {
      Descriptor: { digest: string };
    };
    return { reference: `${reference.replace(/:[^:/]+$/, '')}@${Descriptor.digest}` };
  } catch (error) {
    return { reference, why: describeError(error) };
  }
}

async function mirror(to: string, suites: string[], run: RunProgram, idp?: IdentityProviderKind): Promise<void> {
  const images = await ensured((await namesFor(suites, idp)).map(({ name }) => name));
  const mirrored: { name: LiveImageName; reference: string }[] = [];
  for (const image of images) {
    const destination = `${to.replace(/\/+$/, '')}/${mirroredName(image.name)}`;
    for (const [file = '', ...args] of mirrorCommands(image, destination)) {
      await run(file, args);
    }
    mirrored.push({ name: image.name, ...(await pinned(destination)) });
  }
  process.stdout.write(`# Give --registry ${to}, or these, by digest:\n${variables(mirrored)}`);
}

interface ListFlags {
  idp?: IdentityProviderKind;
  registry?: string;
  digests?: boolean;
  json?: boolean;
}

/** A reference by digest where that is asked for; what has none is told on standard error. */
export async function withDigest(reference: string | undefined, isAsked: boolean): Promise<string | undefined> {
  if (reference === undefined || !isAsked) {
    return reference;
  }
  const found = await pinned(reference);
  if (found.why !== undefined) {
    process.stderr.write(redact(`${reference}: no digest is to be had: ${found.why}\n`));
  }
  return found.reference;
}

/** `conformance images`: the images that a live cluster needs, for networks that reach no registry. */
export function registerImages(program: Command): void {
  const images = program
    .command('images')
    .description('List, save, load or mirror the images that a live cluster needs; nothing else is pulled there.')
    .exitOverride();
  images
    .command('list')
    .description('Print the images of a selection, one a line.')
    .argument('[suite...]', 'suite names (default: all)')
    .addOption(identityProviderOption())
    .addOption(registryOption())
    .option('--digests', 'ask the registries for digests, through the container engine')
    .option('--json', 'print them as JSON')
    .action(async (suites: string[], { idp, registry, digests = false, json = false }: ListFlags) => {
      setRegistry(registry);
      const list = await Promise.all(
        (await namesFor(suites, idp)).map(async ({ name, why }) => ({
          name,
          reference: await withDigest(liveImage(name), digests),
          variable: liveImageVariable(name),
          why,
        })),
      );
      const lines = list.map(({ reference, variable, why }) => `${reference ?? `(${variable})`}: ${why}\n`);
      process.stdout.write(json ? `${JSON.stringify(list, null, 2)}\n` : lines.join(''));
    });
  images
    .command('save')
    .description('Pull or build the images and save them to a folder, as archives of the Docker format.')
    .argument('<folder>', 'folder for the archives')
    .argument('[suite...]', 'suite names (default: all)')
    .addOption(identityProviderOption())
    .action((folder: string, suites: string[], { idp }: ListFlags) => save(folder, suites, idp));
  images
    .command('load')
    .description('Load saved images into the nodes of a cluster, or into the container engine of this host.')
    .argument('<folder>', 'folder that `images save` wrote')
    .option('--kind <cluster>', 'into the nodes of this kind cluster')
    .option('--k3d <cluster>', 'into the nodes of this k3d cluster')
    .option('--minikube <profile>', 'into the nodes of this minikube cluster')
    .action((folder: string, into: Partial<Record<Loader, string>>) => load(folder, into, runProgram));
  images
    .command('mirror')
    .description('Copy the images to a registry that the nodes reach.')
    .argument('[suite...]', 'suite names (default: all)')
    .requiredOption('--to <registry>', 'registry and path, for example registry.example/conformance')
    .addOption(identityProviderOption())
    .action((suites: string[], { to, idp }: { to: string; idp?: IdentityProviderKind }) =>
      mirror(to, suites, runProgram, idp),
    );
}
