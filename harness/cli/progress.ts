import pc from 'picocolors';
import type { OnProgress, SetUpProgress } from '../environment/engine/progress.ts';

/** A step that stays silent on a plain stream for this long says how far it is, milliseconds. */
const PLAIN_INTERVAL = 10_000;
/** A step shorter than this ends without a line of its own on a plain stream, milliseconds. */
const SHORT = 250;

type Output = { write(text: string): unknown; readonly isTTY?: boolean; readonly columns?: number };

/**
 * Prints the progress of set-up: on a terminal one line that is written over while a step lasts, elsewhere plain lines,
 * at its begin, every ten seconds and at its end.
 *
 * @param now clock in milliseconds, for tests
 */
export function progressPrinter(output: Output, now: () => number = () => performance.now()): OnProgress {
  const terminal = output.isTTY === true;
  let lastPlain = 0;
  let open = false;
  const line = (text: string) => {
    output.write(`${open ? '\r\x1b[2K' : ''}${text}\n`);
    open = false;
  };
  const overwrite = (text: string) => {
    output.write(`\r\x1b[2K${text.slice(0, (output.columns ?? 80) - 1)}`);
    open = true;
  };
  return (progress) => {
    const text = describe(progress);
    switch (progress.phase) {
      case 'note':
        line(text);
        break;
      case 'begin':
        lastPlain = now();
        if (terminal) {
          overwrite(text);
        } else {
          line(text);
        }
        break;
      case 'advance':
        if (terminal) {
          overwrite(text);
        } else if (now() - lastPlain >= PLAIN_INTERVAL) {
          lastPlain = now();
          line(text);
        }
        break;
      case 'end':
        if (terminal) {
          line(`${pc.green('✓')} ${text}`);
        } else if ((progress.elapsedMs ?? 0) >= SHORT) {
          line(`${text}: done`);
        }
        break;
    }
  };
}

/** One line without colours: `image node: pull node:24-slim (2 of 5 layers), 3.1 s`. */
function describe({ part, step, detail, elapsedMs }: SetUpProgress): string {
  const how = detail === undefined ? '' : ` (${detail.replace(/\s+/g, ' ')})`;
  const time = elapsedMs === undefined ? '' : `, ${(elapsedMs / 1000).toFixed(1)} s`;
  return `${part}: ${step}${how}${time}`;
}
