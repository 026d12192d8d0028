import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { RequestRecorder } from './recorder.ts';

function get(url: string): IncomingMessage {
  return Object.assign(new IncomingMessage(new Socket()), { method: 'GET', url });
}

test('the first requests are kept, the others counted', () => {
  const recorder = new RequestRecorder(2);
  for (const url of ['/version', '/api', '/apis']) {
    recorder.begin(get(url)).finish();
  }
  const { records, dropped } = recorder.records();
  expect(records.map(({ path }) => path)).toEqual(['/version', '/api']);
  expect(dropped).toBe(1);
});

test('a request is under way until it is finished', () => {
  const recorder = new RequestRecorder(10);
  const [first, second] = [recorder.begin(get('/version')), recorder.begin(get('/api'))];
  first.finish();
  expect(recorder.underWay()).toEqual([second]);
});

test('a record has what was seen of its answer', () => {
  const recorder = new RequestRecorder(10);
  const exchange = recorder.begin(get('/api/v1/namespaces/a/secrets'));
  exchange.record.code = 403;
  exchange.count(2);
  exchange.count(3);
  exchange.blame({ kind: 'cut-log' });
  exchange.keepMessage([Buffer.from('{"kind":"Status","mess'), Buffer.from('age":"no"}')]);
  expect(recorder.records().records).toMatchObject([
    { user: 'nobody', verb: 'list', resource: 'secrets', code: 403, bytes: 5, fault: 'cut-log', message: 'no' },
  ]);
});
