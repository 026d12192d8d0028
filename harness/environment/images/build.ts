import { Readable } from 'node:stream';
import type Docker from 'dockerode';
import { pack } from 'tar-stream';
import { SetUpError } from '../engine/errors.ts';
import { addFile } from './archive.ts';
import type { Artifact, Workshop } from './artifacts.ts';
import type { ContextFile } from './digest.ts';
import { follow } from './follow.ts';

/** Label of an image that this harness built; its value is the image's name. */
const IMAGE_LABEL = 'kube-agent-conformance.image';

export type BuildInput = {
  readonly name: string;
  readonly reference: string;
  readonly files: readonly ContextFile[];
  readonly artifacts: readonly Artifact[];
  readonly args: Readonly<Record<string, string>>;
};

/** Lines of a failing build that its error shows. */
const KEPT_LINES = 30;

/**
 * `docker build` of an image's folder and its artifacts. RUN steps have no network: whatever an image needs is named in
 * its image.yaml.
 *
 * @throws SetUpError with the end of the build's output
 */
export async function buildImage(docker: Docker, input: BuildInput, workshop: Workshop): Promise<void> {
  const { report, signal } = workshop;
  const located: { name: string; path: string; executable: boolean }[] = [];
  for (const artifact of input.artifacts) {
    located.push({ name: artifact.output, path: await artifact.locate(workshop), executable: artifact.executable });
  }
  await report.step(`build ${input.reference}`, async (advance) => {
    const archive = pack();
    const stream = await new Promise<NodeJS.ReadableStream>((resolve, reject) => {
      (async () => {
        for (const file of [...input.files, ...located]) {
          await addFile(archive, file);
        }
        archive.finalize();
      })().catch((error) => {
        archive.destroy(error instanceof Error ? error : new Error(String(error)));
        reject(error);
      });
      docker
        .buildImage(Readable.from(archive, { objectMode: false }), {
          t: input.reference,
          buildargs: { ...input.args },
          labels: { [IMAGE_LABEL]: input.name },
          networkmode: 'none',
          rm: true,
          forcerm: true,
          ...(signal === undefined ? {} : { abortSignal: signal }),
        })
        .then(resolve, reject);
    });
    const lines: string[] = [];
    try {
      await follow(docker, stream, (event) => {
        for (const line of (event.stream ?? '').split('\n')) {
          if (line.trim() === '') {
            continue;
          }
          lines.push(line.trimEnd());
          if (lines.length > KEPT_LINES) {
            lines.shift();
          }
          advance(line.trim().slice(0, 100));
        }
      });
    } catch (cause) {
      signal?.throwIfAborted();
      const output = lines.map((line) => `  | ${line}`).join('\n');
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new SetUpError(`The image ${input.name} could not be built: ${why}\n${output}`, [], { cause });
    }
    // The classic builder keeps the last layer of every stage; only the tagged image is wanted.
    await docker.pruneImages({ filters: { dangling: ['true'], label: [`${IMAGE_LABEL}=${input.name}`] } });
  });
}
