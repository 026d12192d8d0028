import { chmod, mkdir, readdir, readFile, realpath, rename, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { bundleWorkload } from '../../core/bundle.ts';
import { command } from '../engine/command.ts';
import { SetUpError } from '../engine/errors.ts';
import type { StepReporter } from '../engine/progress.ts';
import { imageArchitecture, writePodImage } from './archive.ts';
import type { Cache } from './cache.ts';
import { digestOf, filesUnder } from './digest.ts';
import { goArtifacts } from './go.ts';
import type { ImageDefinition, MavenSpec, NpmSpec, PodImageSpec, WorkloadSpec } from './spec.ts';
import { ensureProgram } from './tools.ts';

/** What the making of an artifact may use. */
export type Workshop = { readonly cache: Cache; readonly report: StepReporter; readonly signal?: AbortSignal };

/** A file of a build context that is not in the image's folder: compiled, downloaded or packed. */
export type Artifact = {
  /** Path in the build context. */
  readonly output: string;
  /** Content address of what it is made from. */
  readonly key: string;
  readonly executable: boolean;
  /** Gives its path on this host, making it when the cache does not have it. */
  readonly locate: (workshop: Workshop) => Promise<string>;
};

/** The artifacts of an image, in the order in which they are made. */
export async function artifactsOf(image: ImageDefinition): Promise<Artifact[]> {
  const { spec, folder } = image;
  const programs = await goArtifacts(folder, spec.go);
  const others = await Promise.all([
    ...spec.maven.map((maven) => mavenArtifact(maven)),
    ...spec.npm.map((npm) => npmArtifact(npm)),
    ...spec.workloads.map((workload) => workloadArtifact(workload)),
  ]);
  const made = [...programs, ...others];
  const files = await filesUnder(folder, () => spec.podImages.length > 0);
  const copied: Artifact[] = files.map((file) => ({
    output: file.name,
    key: file.sha256,
    executable: file.executable,
    locate: async () => file.path,
  }));
  const parts = new Map([...copied, ...made].map((artifact) => [artifact.output, artifact]));
  return [...made, ...spec.podImages.map((podImage) => podImageArtifact(image, podImage, parts))];
}

/** A file of Maven Central, by its coordinates. */
async function mavenArtifact({ artifact, output }: MavenSpec): Promise<Artifact> {
  const key = digestOf({ maven: artifact });
  return {
    output,
    key,
    executable: false,
    locate: ({ cache, report, signal }) =>
      one(cache, 'maven', key, output, async (target) => {
        const mvn = await ensureProgram('mvn', 'maven', report, signal);
        await report.step(`download ${artifact}`, async () => {
          const folder = join(dirname(target), 'download');
          await mkdir(folder);
          const dependency = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy';
          await command(
            mvn,
            ['-B', '-ntp', '-q', dependency, `-Dartifact=${artifact}`, `-DoutputDirectory=${folder}`],
            {
              cwd: folder,
              ...(signal === undefined ? {} : { signal }),
            },
          );
          const [file, ...others] = await readdir(folder);
          if (file === undefined || others.length > 0) {
            throw new SetUpError(
              `Maven should have copied one file for ${artifact}, but copied ${[file, ...others].join(', ') || 'none'}.`,
            );
          }
          await rename(join(folder, file), target);
        });
      }),
  };
}

/** A workload of the harness's own as one module. Its key is that module. */
async function workloadArtifact({ workload, output }: WorkloadSpec): Promise<Artifact> {
  const source = await bundleWorkload(workload, Number.POSITIVE_INFINITY);
  const key = digestOf({ workload, source });
  return {
    output,
    key,
    executable: false,
    locate: ({ cache }) => one(cache, 'workload', key, output, (target) => writeFile(target, source)),
  };
}

/** A file of an npm package that is installed with this project. */
async function npmArtifact({ package: name, path, output }: NpmSpec): Promise<Artifact> {
  const require = createRequire(import.meta.url);
  const manifest = require.resolve(`${name}/package.json`);
  const { version } = JSON.parse(await readFile(manifest, 'utf8')) as { version: string };
  const file = join(dirname(manifest), path);
  return {
    output,
    // The version stands for the content: npm's lock file holds its digest.
    key: digestOf({ npm: name, version, path, architecture: imageArchitecture() }),
    executable: true,
    locate: async () => {
      try {
        return await realpath(file);
      } catch (cause) {
        throw new SetUpError(`${name} ${version} is installed without ${path}.`, ['npm ci', 'then run setup again'], {
          cause,
        });
      }
    },
  };
}

/** A small image for pods, packed from files of the image's folder and from other artifacts. */
function podImageArtifact(image: ImageDefinition, spec: PodImageSpec, parts: ReadonlyMap<string, Artifact>): Artifact {
  const sources = Object.values(spec.files).filter(
    (source) => !source.startsWith('link:') && !source.startsWith('dir:'),
  );
  const used = sources.map((source) => {
    const part = parts.get(source);
    if (part === undefined) {
      throw new SetUpError(
        `${join(image.folder, 'image.yaml')}: the pod image ${spec.name} wants \`${source}\`, which is neither a file there nor an output.`,
      );
    }
    return part;
  });
  const key = digestOf({
    podImage: spec,
    parts: used.map((part) => [part.output, part.key]),
    architecture: imageArchitecture(),
  });
  return {
    output: spec.output,
    key,
    executable: false,
    locate: (workshop) =>
      one(workshop.cache, 'pod-images', key, spec.output, async (target) => {
        const paths = new Map<string, string>();
        for (const part of used) {
          paths.set(part.output, await part.locate(workshop));
        }
        await writePodImage(spec, (name) => paths.get(name) ?? join(image.folder, name), target);
      }),
  };
}

/** A cache entry that is one file. */
async function one(
  cache: Cache,
  kind: string,
  key: string,
  output: string,
  make: (target: string) => Promise<void>,
): Promise<string> {
  const file = basename(output);
  const folder = await cache.entry(kind, key, async (temporary) => {
    await make(join(temporary, file));
    await chmod(join(temporary, file), 0o755);
  });
  return join(folder, file);
}
