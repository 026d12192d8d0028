import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { expect, test } from 'vitest';
import type { Answer } from './fault-answers.ts';
import { ArmedFaults } from './faults.ts';
import { Exchange } from './recorder.ts';
import { StaleAnswers } from './stale-answers.ts';

const JOBS = '/apis/batch/v1/namespaces/a/jobs';
const ANSWER: Answer = { code: 200, headers: {}, body: 'first' };

function setUp() {
  const faults = new ArmedFaults();
  faults.set([{ kind: 'stale' }], () => undefined);
  const staleAnswers = new StaleAnswers(faults);
  const read = (url: string, accept = '*/*') => {
    const request = Object.assign(new IncomingMessage(new Socket()), { method: 'GET', url, headers: { accept } });
    return staleAnswers.read(new Exchange(request), request);
  };
  const keep = (url: string, answer: Answer): void => {
    const stale = read(url);
    if (stale !== undefined && 'keep' in stale) {
      stale.keep(answer);
    }
  };
  return { faults, staleAnswers, read, keep };
}

test('the same read gets the first answer again; another address or form does not', () => {
  const { read, keep } = setUp();
  keep(JOBS, ANSWER);
  expect(read(JOBS)).toEqual({ answer: ANSWER });
  expect(read(`${JOBS}/one`)).toHaveProperty('keep');
  expect(read(JOBS, 'application/vnd.kubernetes.protobuf')).toHaveProperty('keep');
});

test('refusals are not kept, and neither are watches and logs', () => {
  const { read, keep } = setUp();
  keep(JOBS, { ...ANSWER, code: 403 });
  expect(read(JOBS)).toHaveProperty('keep');
  expect(read(`${JOBS}?watch=true`)).toBeUndefined();
  expect(read('/api/v1/namespaces/a/pods/p/log')).toBeUndefined();
});

test('an answer that arrives after the answers were forgotten is not kept', () => {
  const { staleAnswers, read } = setUp();
  const stale = read(JOBS);
  staleAnswers.clear();
  if (stale !== undefined && 'keep' in stale) {
    stale.keep(ANSWER);
  }
  expect(read(JOBS)).toHaveProperty('keep');
});

test('without the fault nothing is repeated', () => {
  const { faults, read, keep } = setUp();
  keep(JOBS, ANSWER);
  faults.clear();
  expect(read(JOBS)).toBeUndefined();
});
