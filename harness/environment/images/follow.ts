import type Docker from 'dockerode';

/** A line of the engine's answer to a pull, an import or a build (Docker Engine API, JSON message stream). */
export type EngineEvent = {
  readonly id?: string;
  readonly status?: string;
  readonly stream?: string;
  readonly error?: string;
};

/**
 * Reads the engine's progress stream to its end.
 *
 * @throws Error with the engine's words when an event is an error: the HTTP status was 200 long before
 */
export async function follow(
  docker: Docker,
  stream: NodeJS.ReadableStream,
  onEvent: (event: EngineEvent) => void = () => {},
): Promise<void> {
  let failure: string | undefined;
  await new Promise<void>((resolve, reject) => {
    docker.modem.followProgress(
      stream,
      (error) => (error === null || error === undefined ? resolve() : reject(error)),
      (event: EngineEvent) => {
        failure ??= event.error;
        onEvent(event);
      },
    );
  });
  if (failure !== undefined) {
    throw new Error(failure);
  }
}
