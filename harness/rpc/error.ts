import { describeError, HarnessError, NotApplicable, NotTestable } from '../core/errors.ts';
import { redact } from '../core/redact.ts';
import type { ControlError } from './protocol.ts';

/** An error as it is told to another process: its kind is kept, its text is redacted. */
export function toControlError(error: unknown): ControlError {
  const message = redact(describeError(error));
  if (error instanceof NotTestable) {
    return { kind: 'not testable', message };
  }
  if (error instanceof NotApplicable) {
    return { kind: 'not applicable', message };
  }
  return { kind: 'harness error', message };
}

/** What a {@link ControlError} stood for. */
export function fromControlError({ kind, message }: ControlError): Error {
  switch (kind) {
    case 'not testable':
      return new NotTestable(message);
    case 'not applicable':
      return new NotApplicable(message);
    default:
      return new HarnessError(message);
  }
}
