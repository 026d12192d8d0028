import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse, YAMLParseError } from 'yaml';
import { z } from 'zod';
import { SetUpError } from '../engine/errors.ts';

/** Folder of the image folders. */
const IMAGES_FOLDER = fileURLToPath(new URL('../../../fixtures/images', import.meta.url));

const name = z.string().regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, 'lower-case words joined by `-`');
const contextPath = z
  .string()
  .min(1)
  .refine(
    (path) => !path.startsWith('/') && !path.split('/').includes('..'),
    'a path inside the build context, without `..`',
  );
const environment = z.record(z.string(), z.string());

const goSchema = z.strictObject({
  /** Folder of the Go module, relative to the image's folder. */
  dir: z.string().default('.'),
  /** Package to build, as `go build` takes it. */
  package: z.string().default('.'),
  output: contextPath,
  ldflags: z.string().default('-s -w'),
  tags: z.array(z.string()).default([]),
  /** Added to the environment of `go build`; CGO_ENABLED is 0 unless said otherwise. */
  env: environment.default({}),
});

const mavenSchema = z.strictObject({
  artifact: z
    .string()
    .regex(/^[^:\s]+:[^:\s]+:[^:\s]+(:[^:\s]+){0,2}$/, '`group:artifact:version[:packaging[:classifier]]`'),
  output: contextPath,
});

const npmSchema = z.strictObject({
  package: z.string().min(1),
  /** File within the installed package. */
  path: contextPath,
  output: contextPath,
});

const workloadSchema = z.strictObject({
  /** Folder of fixtures/workloads: its `main.ts` and all that it imports become one module. */
  workload: z.string().min(1),
  output: contextPath,
});

const podImageSchema = z.strictObject({
  /** Reference that pods use. */
  name: z.string().regex(/^[^\s:]+(:\d+)?\/?[^\s:]*:[^\s:]+$/, '`repository:tag`'),
  entrypoint: z.array(z.string()).default([]),
  command: z.array(z.string()).default([]),
  env: environment.default({ PATH: '/bin' }),
  user: z.string().optional(),
  workingDir: z.string().optional(),
  /**
   * What the image holds, by absolute path: a file of the build context, `link:TARGET` for a symbolic link, or
   * `dir:MODE` (octal) for an empty folder.
   */
  files: z.record(z.string().startsWith('/'), z.string().min(1)),
  output: contextPath,
});

/** `fixtures/images/NAME/image.yaml`: what goes into an image and where it comes from. */
const imageSpecSchema = z.strictObject({
  name,
  /** File with the Debian packages of the root file system, one a line, `#` comments. */
  packages: contextPath.optional(),
  /** `debian` (a minimal root file system of the host's release), `scratch`, or another image of ours. */
  base: name.default('debian'),
  go: z.array(goSchema).default([]),
  maven: z.array(mavenSchema).default([]),
  npm: z.array(npmSchema).default([]),
  workloads: z.array(workloadSchema).default([]),
  podImages: z.array(podImageSchema).default([]),
  /** Build arguments of the Dockerfile. */
  args: environment.default({}),
  /**
   * Further images from the same folder, each with its own build arguments over `args`, and on its own base where it
   * names one.
   */
  variants: z.record(name, z.strictObject({ base: name.optional(), args: environment })).default({}),
  /**
   * The image that is pulled instead where a registry answers. Absent: always built, on whatever the base came to be.
   */
  pull: z.string().min(1).optional(),
});

const effortSchema = z.strictObject({
  /** Of its Go programs, processor seconds. */
  compile: z.number().nonnegative().default(0),
  /** Of all else, processor seconds: its root file system included, its base image not. */
  build: z.number().nonnegative().default(0),
});

export type Effort = z.infer<typeof effortSchema>;
export type ImageSpec = z.infer<typeof imageSpecSchema>;
export type GoSpec = z.infer<typeof goSchema>;
export type MavenSpec = z.infer<typeof mavenSchema>;
export type NpmSpec = z.infer<typeof npmSchema>;
export type WorkloadSpec = z.infer<typeof workloadSchema>;
export type PodImageSpec = z.infer<typeof podImageSchema>;

/** One image that can be asked for: a folder, or a variant of one. */
export type ImageDefinition = {
  readonly name: string;
  readonly folder: string;
  readonly spec: ImageSpec;
  /** Build arguments, those of the variant included. */
  readonly args: Readonly<Record<string, string>>;
  /** Debian packages, sorted; undefined when the image has no root file system of its own. */
  readonly packages: readonly string[] | undefined;
  /** What making it takes, by effort.yaml; undefined where nobody knows. */
  readonly effort: Effort | undefined;
};

/**
 * Reads one image.yaml.
 *
 * @throws SetUpError with the file, the place and what is wrong with it
 */
export function parseImageSpec(text: string, path: string): ImageSpec {
  return validated(imageSpecSchema, parseYaml(text, path), path, 'image description');
}

function parseYaml(text: string, path: string): unknown {
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof YAMLParseError)) {
      throw error;
    }
    throw new SetUpError(`${path} is not YAML: ${error.message}`);
  }
}

/**
 * Reads effort.yaml: what making each image takes, by the image's name.
 *
 * @throws SetUpError with the file, the place and what is wrong with it
 */
async function loadEfforts(path: string): Promise<Readonly<Record<string, Effort>>> {
  const text = await readFile(path, 'utf8').catch(() => '{}');
  return validated(z.record(name, effortSchema), parseYaml(text, path), path, 'list of efforts');
}

function validated<T>(schema: z.ZodType<T>, data: unknown, path: string, what: string): T {
  const result = schema.safeParse(data);
  if (result.success) {
    return result.data;
  }
  const problems = result.error.issues.map((issue) => `${issue.path.join('.') || '(top level)'}: ${issue.message}`);
  throw new SetUpError(`${path} is not a valid ${what}:\n${problems.map((line) => `  ${line}`).join('\n')}`);
}

/** The words of a packages file: one package a line, `#` starts a comment. */
export function parsePackages(text: string): string[] {
  const lines = text.split('\n').map((line) => line.replace(/#.*/, '').trim());
  return [...new Set(lines.filter((line) => line !== ''))].sort();
}

/**
 * Reads every image folder.
 *
 * @throws SetUpError for a faulty image.yaml, a name used twice, or a base that is not there
 */
export async function loadImages(root: string = IMAGES_FOLDER): Promise<Map<string, ImageDefinition>> {
  const images = new Map<string, ImageDefinition>();
  const efforts = await loadEfforts(join(root, 'effort.yaml'));
  const add = (image: Omit<ImageDefinition, 'effort'>) => {
    const other = images.get(image.name);
    if (other !== undefined) {
      throw new SetUpError(`The image name ${image.name} is used by ${other.folder} and by ${image.folder}.`);
    }
    images.set(image.name, { ...image, effort: efforts[image.name] });
  };
  for (const entry of (await readdir(root, { withFileTypes: true })).sort((a, b) => a.name.localeCompare(b.name))) {
    if (!entry.isDirectory()) {
      continue;
    }
    const folder = join(root, entry.name);
    const path = join(folder, 'image.yaml');
    // A folder without one holds parts of other images.
    const text = await readFile(path, 'utf8').catch(() => undefined);
    if (text === undefined) {
      continue;
    }
    const spec = parseImageSpec(text, path);
    const packages =
      spec.packages === undefined ? undefined : parsePackages(await readFile(join(folder, spec.packages), 'utf8'));
    if (packages !== undefined && spec.base !== 'debian') {
      throw new SetUpError(
        `${path}: \`packages\` create a root file system, so they cannot be combined with \`base: ${spec.base}\`.`,
      );
    }
    add({ name: spec.name, folder, spec, args: spec.args, packages });
    for (const [variant, { args, base = spec.base }] of Object.entries(spec.variants)) {
      add({ name: variant, folder, spec: { ...spec, base }, args: { ...spec.args, ...args }, packages });
    }
  }
  for (const image of images.values()) {
    const { base } = image.spec;
    if (base !== 'debian' && base !== 'scratch' && !images.has(base)) {
      throw new SetUpError(`${join(image.folder, 'image.yaml')}: the base image \`${base}\` does not exist.`);
    }
  }
  return images;
}
