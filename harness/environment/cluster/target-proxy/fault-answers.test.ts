import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { expect, test } from 'vitest';
import type { ApiFault } from '../../../rpc/target-access.ts';
import { faultAnswer } from './fault-answers.ts';
import { ArmedFaults } from './faults.ts';
import { Exchange } from './recorder.ts';

const JOBS = '/apis/batch/v1/namespaces/a/jobs';

function answerTo(url: string, fault: ApiFault) {
  const faults = new ArmedFaults();
  faults.set([fault], () => undefined);
  const exchange = new Exchange(Object.assign(new IncomingMessage(new Socket()), { method: 'GET', url }));
  const answer = faultAnswer(faults, exchange, url);
  return { code: answer?.code, headers: answer?.headers, body: answer?.body, fault: exchange.record.fault };
}

test('429 comes with Retry-After and a Status', () => {
  const { code, headers, body, fault } = answerTo(JOBS, { kind: 'too-many-requests', seconds: 7 });
  expect({ code, fault, wait: headers?.['retry-after'] }).toEqual({ code: 429, fault: 'too-many-requests', wait: '7' });
  expect(JSON.parse(String(body))).toMatchObject({ kind: 'Status', code: 429, reason: 'TooManyRequests' });
});

test.each([
  ['a watch from a version', `${JOBS}?watch=true&resourceVersion=5`, 200],
  ['a watch from any version', `${JOBS}?watch=true&resourceVersion=0`, undefined],
  ['a watch from now', `${JOBS}?watch=true`, undefined],
  ['a list that continues', `${JOBS}?limit=1&continue=abc`, 410],
  ['a list at exactly a version', `${JOBS}?resourceVersion=5&resourceVersionMatch=Exact`, 410],
  ['a list not older than a version', `${JOBS}?resourceVersion=5&resourceVersionMatch=NotOlderThan`, undefined],
])('under expired versions, %s is answered with %s → %s', (_, url, code) => {
  const answer = answerTo(url, { kind: 'expired' });
  expect(answer.code).toBe(code);
  expect(answer.fault).toBe(code === undefined ? undefined : 'expired');
});

test('a request that no fault concerns goes to the API server', () => {
  expect(answerTo('/version', { kind: 'server-error', resources: ['jobs'] })).toEqual({});
});
