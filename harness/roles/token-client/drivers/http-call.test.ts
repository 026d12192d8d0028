import { describe, expect, test } from 'vitest';
import { callByRequest, type SendRequest, type WrittenCall } from './http-call.ts';

interface Asked {
  path: string;
  method: string | undefined;
  body: unknown;
}

/** A client that answers its requests in their order. */
function answering(...answers: { status?: number; body: unknown }[]): { send: SendRequest; asked: Asked[] } {
  const asked: Asked[] = [];
  const send: SendRequest = async (path, { method, body }) => {
    const { status = 200, body: told } = answers[asked.length] ?? { status: 404, body: 'nothing' };
    asked.push({ path, method, body: body === undefined ? undefined : JSON.parse(body) });
    return {
      ok: status < 300,
      status,
      text: async () => (typeof told === 'string' ? told : JSON.stringify(told)),
    };
  };
  return { send, asked };
}

const options = { values: { 'call.provider': 'production' }, where: 'client.yaml: run.trigger', patienceMs: 5_000 };
const plain: WrittenCall = { method: 'POST', path: '/call', body: { provider: '${call.provider}' } };
const prompt: WrittenCall = {
  before: { method: 'POST', path: '/session', body: {}, keep: ['id'] },
  method: 'POST',
  path: '/session/${before.id}/message',
  body: { provider: '${call.provider}' },
  success: 'The token is good',
};

describe('a call by HTTP', () => {
  test.each([
    [{ body: { ok: true } }, { ok: true }],
    [{ body: { ok: false, error: 'no token', status: 401 } }, { ok: false, error: 'no token', status: 401 }],
    [
      { status: 500, body: { ok: false, error: 'no token' } },
      { ok: false, error: 'no token' },
    ],
    [
      { status: 204, body: '' },
      { ok: true, status: 204 },
    ],
    [
      { status: 502, body: 'down' },
      { ok: false, error: 'the call is answered 502: down', output: 'down' },
    ],
  ])('that is answered %j is %j', async (answer, wanted) => {
    const { send, asked } = answering(answer);
    expect(await callByRequest(send, plain, options)).toEqual(wanted);
    expect(asked).toEqual([{ path: '/call', method: 'POST', body: { provider: 'production' } }]);
  });

  test('asks first for what it needs', async () => {
    const { send, asked } = answering({ body: { id: 'ses_1' } }, { body: { text: 'The token is good.' } });
    expect(await callByRequest(send, prompt, options)).toEqual({ ok: true, status: 200 });
    expect(asked.map(({ path }) => path)).toEqual(['/session', '/session/ses_1/message']);
  });

  test('is no success by its status alone, where the target file says what the answer must say', async () => {
    const told = { info: { error: { message: 'no file at /late/token' } } };
    const { send } = answering({ body: { id: 'ses_1' } }, { body: told });
    expect(await callByRequest(send, prompt, options)).toEqual({
      ok: false,
      error: expect.stringMatching(/The token is good.*answered 200: .*no file at \/late\/token/),
      output: JSON.stringify(told),
    });
  });

  test.each([{ body: { name: 'without an id' } }, { body: 'no JSON' }, { status: 500, body: { id: 'ses_1' } }])(
    'fails where the request before it is answered %j',
    async (answer) => {
      const { send, asked } = answering(answer, { body: 'The token is good' });
      expect(await callByRequest(send, prompt, options)).toMatchObject({
        ok: false,
        error: expect.stringMatching(/the request before the call \(\/session\) is answered \d+: /),
      });
      expect(asked).toHaveLength(1);
    },
  );

  test('an error that tells of the answer holds no whole token', async () => {
    const token = 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJlLXNpZ25hdHVyZQ';
    const { send } = answering({ status: 500, body: `refused: ${token}` });
    const answer = await callByRequest(send, plain, options);
    expect(answer?.error).toContain('refused: eyJ');
    expect(answer?.error).not.toContain('c2lnbmF0dXJl');
  });

  test('has no more time than the patience', async () => {
    const send: SendRequest = (_path, { signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error));
      });
    expect(await callByRequest(send, plain, { ...options, patienceMs: 20 })).toBeUndefined();
  });

  test('is abandoned where the client did not answer in time', async () => {
    const asked: string[] = [];
    const send: SendRequest = async (path, { signal }) => {
      asked.push(path);
      if (path.endsWith('/message')) {
        await new Promise((_resolve, reject) => signal.addEventListener('abort', reject));
      }
      return { ok: true, status: 200, text: async () => '{"id":"ses_1"}' };
    };
    const abandon = { method: 'POST', path: '/session/${before.id}/abort' };
    expect(await callByRequest(send, { ...prompt, abandon }, { ...options, patienceMs: 20 })).toBeUndefined();
    expect(asked).toEqual(['/session', '/session/ses_1/message', '/session/ses_1/abort']);
  });

  test('that cannot be sent is no answer of the client', async () => {
    const send: SendRequest = () => Promise.reject(new Error('the cluster is gone'));
    await expect(callByRequest(send, plain, options)).rejects.toThrow('the cluster is gone');
  });
});
