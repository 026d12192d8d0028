/** Signals that end a run early, with the exit code that a shell gives them (128 + number). */
const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
type EndingSignal = keyof typeof SIGNALS;

/**
 * Makes a signal stop what this run started before the process ends with 128 + its number; a second signal ends it at
 * once.
 *
 * Vitest has listeners of its own that end the process a millisecond later, with all containers left behind: they are
 * taken off. Call it after Vitest was created.
 *
 * @returns takes the listeners off again
 */
export function stopOnSignal(stop: () => Promise<void>): () => void {
  let stopping = false;
  const onSignal = (signal: EndingSignal): void => {
    const leave = (): never => process.exit(SIGNALS[signal]);
    if (stopping) {
      leave();
    }
    stopping = true;
    process.stderr.write(`\n${signal}: stopping everything that this run started (again to leave at once)\n`);
    stop().then(leave, (error: unknown) => {
      process.stderr.write(`${String(error)}\n`);
      leave();
    });
  };
  const signals = Object.keys(SIGNALS) as EndingSignal[];
  for (const signal of signals) {
    process.removeAllListeners(signal);
    process.on(signal, onSignal);
  }
  return () => {
    for (const signal of signals) {
      process.off(signal, onSignal);
    }
  };
}
