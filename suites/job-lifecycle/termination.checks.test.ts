import { expect, test } from 'vitest';
import { NotTestable, Violation } from '../../harness/core/errors.ts';
import { expectExit } from './termination.ts';

const thrown = (exitCode: number | undefined, expected: number): unknown => {
  const termination = exitCode === undefined ? undefined : { exitCode, finishedAt: new Date(0) };
  try {
    return expectExit('exit code', { termination }, expected);
  } catch (error) {
    return error;
  }
};

test('JL-08: a container that was killed at the end of its grace may have had no processor; another code was seen', () => {
  expect(thrown(42, 42)).toBeUndefined();
  expect(thrown(137, 42)).toMatchObject({ message: 'exit code: 137, expected 42', mayBeTheMachine: true });
  expect(thrown(1, 42)).toBeInstanceOf(Violation);
  expect(thrown(1, 42)).toMatchObject({ mayBeTheMachine: false });
  expect(thrown(undefined, 0)).toBeInstanceOf(NotTestable);
});
