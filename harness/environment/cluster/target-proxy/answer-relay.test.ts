import { once } from 'node:events';
import { createServer, request as httpRequest, IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { AnswerRelay } from './answer-relay.ts';
import { ArmedFaults } from './faults.ts';
import { Exchange } from './recorder.ts';
import { OpenWatches } from './watches.ts';

/** A relay to a real response, from a message that the test writes. */
async function relay(url: string, code = 200, onComplete?: (body: Buffer) => void) {
  const faults = new ArmedFaults();
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const request = httpRequest({ port: (server.address() as AddressInfo).port, agent: false });
  request.end();
  const [, to] = (await once(server, 'request')) as [unknown, ServerResponse];
  to.writeHead(code).flushHeaders();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const from = new IncomingMessage(new Socket());
  const exchange = new Exchange(Object.assign(new IncomingMessage(new Socket()), { method: 'GET', url }));
  exchange.record.code = code;
  const watches = new OpenWatches(faults);
  const answer = new AnswerRelay(exchange, from, to, onComplete);
  answer.start(faults, watches);
  return {
    from,
    answer,
    exchange,
    received: text(response).finally(() => server.close()),
  };
}

const WATCH = '/api/v1/namespaces/a/pods?watch=true';

test('a whole body passes, is counted and handed over', async () => {
  let whole = '';
  const { from, received, exchange } = await relay('/api/v1/namespaces/a/pods', 200, (body) => {
    whole = body.toString();
  });
  from.push('one ');
  from.push('two');
  from.push(null);
  expect(await received).toBe('one two');
  expect(whole).toBe('one two');
  expect(exchange.record).toMatchObject({ bytes: 7 });
  expect(exchange.record).not.toHaveProperty('message');
});

test('of a refusal its message is kept', async () => {
  const { from, received, exchange } = await relay('/api/v1/namespaces/a/secrets', 403);
  from.push('{"message":"no"}');
  from.push(null);
  await received;
  expect(exchange.record.message).toBe('no');
});

test('an expired watch ends with its event, but not within another one', async () => {
  const between = await relay(WATCH);
  between.from.push('{"type":"ADDED"}\n');
  await once(between.from, 'data');
  between.answer.end({ kind: 'expired' });
  expect(await between.received).toContain('"code":410');

  const within = await relay(WATCH);
  within.from.push('{"type":"AD');
  await once(within.from, 'data');
  within.answer.end({ kind: 'expired' });
  expect(await within.received).toBe('{"type":"AD');
});

test('a watch that is cut ends without its last chunk', async () => {
  const { answer, received, exchange } = await relay(WATCH);
  answer.end({ kind: 'cut-watch' });
  await expect(received).rejects.toThrow('aborted');
  expect(exchange.record.fault).toBe('cut-watch');
});

test('an answer that the API server aborts does not look complete', async () => {
  const { from, received } = await relay(WATCH);
  from.destroy(new Error('reset'));
  await expect(received).rejects.toThrow('aborted');
});
