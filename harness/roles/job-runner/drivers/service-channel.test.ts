import { expect, test, vi } from 'vitest';
import { ServiceChannel, type ServiceChannelOptions } from './service-channel.ts';

type Call = ServiceChannelOptions['call'];

/** A Service that gives one answer after the other, and then never answers. */
function serviceOf(...answers: (Response | Error)[]): { call: Call; paths: string[] } {
  const paths: string[] = [];
  const call: Call = (path, { signal }) => {
    paths.push(path);
    const answer = answers.shift();
    if (answer instanceof Error) {
      return Promise.reject(answer);
    }
    return answer === undefined
      ? new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
      : Promise.resolve(answer as Awaited<ReturnType<Call>>);
  };
  return { call, paths };
}

test('what was missed is asked for again by its number', async () => {
  const lines: string[] = [];
  const { call, paths } = serviceOf(
    new Response('{"number":1,"type":"a"}\n{"number":2,"type":"b"}\n'),
    new Error('the connection broke'),
    new Response('no endpoints available', { status: 503 }),
    new Response('{"number":3,"type":"c"}\n'),
  );
  const channel = new ServiceChannel({ call, take: (line) => lines.push(line), patienceSeconds: 1 });
  channel.listen();
  channel.listen();
  await vi.waitFor(() => expect(paths).toHaveLength(5), { timeout: 5_000 });
  await channel.close();
  expect(lines.map((line) => JSON.parse(line).type)).toEqual(['a', 'b', 'c']);
  expect(paths).toEqual([0, 2, 2, 2, 3].map((after) => `/events?after=${after}`));
});

test('work is offered again while no pod is Ready, and not when it is refused or the runner is gone', async () => {
  const send = async (answers: Response[], { isGone = false, patienceSeconds = 60 } = {}): Promise<number> => {
    const { call, paths } = serviceOf(...answers);
    const channel = new ServiceChannel({ call, take: () => undefined, patienceSeconds });
    await channel.send({ type: 'submit' }, () => isGone);
    return paths.length;
  };
  const unavailable = () => new Response('no endpoints available', { status: 503 });
  expect(await send([unavailable(), new Response('{}', { status: 202 })])).toBe(2);
  expect(await send([unavailable()], { isGone: true })).toBe(1);
  await expect(send([unavailable()], { patienceSeconds: -1 })).rejects.toThrow('answered 503: no endpoints available');
  await expect(send([new Response('not its token', { status: 401 })])).rejects.toThrow('answered 401: not its token');
});
