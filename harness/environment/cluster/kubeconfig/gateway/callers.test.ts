import type { IncomingMessage } from 'node:http';
import { expect, test } from 'vitest';
import type { Presented } from '../credentials.ts';
import { Ledger } from '../ledger.ts';
import { Callers } from './callers.ts';

const PRESENTED: Presented = { headers: { authorization: 'Bearer of the user', 'impersonate-user': 'jane' } };

function callers(): { callers: Callers; ledger: Ledger } {
  const ledger = new Ledger();
  const credentials = { form: 'token', present: async () => PRESENTED, refused: () => undefined };
  return { callers: new Callers(credentials, ledger), ledger };
}

function request(headers: Record<string, string>): IncomingMessage {
  const headersDistinct = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value]]));
  return { method: 'GET', url: '/version', headers, headersDistinct } as unknown as IncomingMessage;
}

test('the secret stands for the credentials of the kubeconfig, and the id behind it for a requirement', async () => {
  const { callers: one, ledger } = callers();
  const asks = request({ authorization: `Bearer ${one.secret}.WH-02m` });
  expect(one.harness(asks)).toEqual({ requirement: 'WH-02m' });
  expect(one.harness(request({ authorization: `Bearer ${one.secret}` }))).toEqual({});
  expect(await one.identify(asks)).toEqual({ presented: PRESENTED, headers: PRESENTED.headers });
  expect(ledger.entries()).toMatchObject([{ requirement: 'WH-02m', verb: 'get', path: '/version', count: 1 }]);
});

test('the harness that acts as somebody is not made to act as the user of the kubeconfig', async () => {
  const { callers: one } = callers();
  const asks = request({ authorization: `Bearer ${one.secret}`, 'impersonate-user': 'somebody' });
  expect((await one.identify(asks)).headers).toEqual({
    authorization: 'Bearer of the user',
    'impersonate-user': 'somebody',
  });
});

test.each([{ authorization: 'Bearer of its own' }, {}])('whoever shows %o keeps that', async (headers) => {
  const { callers: one, ledger } = callers();
  const asks = request({ ...headers, host: 'gateway' });
  expect(one.harness(asks)).toBeUndefined();
  const identified = await one.identify(asks);
  expect(identified).toEqual({ headers });
  expect(one.isOwn(asks, identified)).toBe(false);
  expect(ledger.entries()).toEqual([]);
});
