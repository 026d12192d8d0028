import { expect, test } from 'vitest';
import { onceRouted } from './deployed.ts';

const { signal } = new AbortController();
const NOT_ROUTED = JSON.stringify({
  ...{ kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'ServiceUnavailable', code: 503 },
  message: 'no endpoints available for service "session-manager:8080"',
});

/** Answers one after another; the last one stays. */
function service(...answers: [status: number, text: string][]) {
  const asked: number[] = [];
  const ask = async (): Promise<Response> => {
    const [status, text] = answers[Math.min(asked.length, answers.length - 1)] ?? [500, ''];
    asked.push(status);
    return new Response(text, { status });
  };
  return { asked, ask: ask as unknown as Parameters<typeof onceRouted>[0] };
}

test('a Service whose pod is Ready is asked again until the API server knows it', async () => {
  const { asked, ask } = service([503, NOT_ROUTED], [503, NOT_ROUTED], [200, '{}']);
  expect((await onceRouted(ask, Date.now() + 10_000, signal)).status).toBe(200);
  expect(asked).toEqual([503, 503, 200]);
});

test('the answer of the manager itself stands, and after a time that of the API server', async () => {
  const own = service([503, '{"error":"not enabled"}']);
  const answer = await onceRouted(own.ask, Date.now() + 10_000, signal);
  expect(await answer.text()).toContain('not enabled');
  expect(own.asked).toHaveLength(1);
  const never = service([503, NOT_ROUTED]);
  expect((await onceRouted(never.ask, Date.now() - 1, signal)).status).toBe(503);
  expect(never.asked).toHaveLength(1);
});
