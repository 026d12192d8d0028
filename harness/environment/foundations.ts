import type { StartedNetwork } from 'testcontainers';
import { makePki, type RunPki } from '../core/pki.ts';
import { Resolver } from '../core/resolver.ts';
import { startNetwork } from './containers.ts';
import { ensureImages, type ImageName, type ResolvedImage } from './images/index.ts';
import type { EnvironmentOptions } from './options.ts';
import type { Parts } from './parts.ts';

/** What every other part of an environment stands on: the run's keys and names, its network, and images. */
export class Foundations {
  readonly #options: EnvironmentOptions;
  readonly #parts: Parts;
  /** The images that the run has used so far. */
  readonly usedImages = new Map<ImageName, ResolvedImage>();

  constructor(options: EnvironmentOptions, parts: Parts) {
    this.#options = options;
    this.#parts = parts;
  }

  pki(): Promise<RunPki> {
    return this.#parts.once('keys', () => makePki(this.#options.runId));
  }

  resolver(): Promise<Resolver> {
    return this.#parts.once('names', async () => new Resolver({ routes: {}, ca: (await this.pki()).ca }));
  }

  network(): Promise<StartedNetwork> {
    return this.#parts.once('network', () => startNetwork(this.#options.runId));
  }

  /** An image of fixtures/images in the engine of this host: pulled, or built where no registry answers. */
  image(name: ImageName): Promise<ResolvedImage> {
    return this.#parts.once(`image ${name}`, async () => {
      const images = await ensureImages([name], {
        onProgress: ({ part, step, detail }) =>
          this.#options.onProgress(part, detail === undefined ? step : `${step}: ${detail}`),
      });
      if (images[name].source === 'built') {
        // No registry answers, so the image of testcontainers' reaper cannot be had either. The sweep by label does its
        // work.
        process.env.TESTCONTAINERS_RYUK_DISABLED = 'true';
      }
      this.usedImages.set(name, images[name]);
      return images[name];
    });
  }
}
