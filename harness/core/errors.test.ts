import { expect, test } from 'vitest';
import { describeError } from './errors.ts';

/** As clients of the API server throw an answer: whole. */
function thrown(code: number, body: unknown): Error {
  const headers = { 'audit-id': '7', 'x-kubernetes-pf-flowschema-uid': 'secret' };
  return Object.assign(
    new Error(`HTTP-Code: ${code}\nBody: ${JSON.stringify(body)}\nHeaders: ${JSON.stringify(headers)}`),
    {
      code,
      body,
      headers,
    },
  );
}

const denied = `namespaces "a" is forbidden: ValidatingAdmissionPolicy 'p' denied request: a Namespace needs the label team`;

test.each([
  [
    'a Status',
    { kind: 'Status', reason: 'Forbidden', message: denied },
    `the API server answered 403 Forbidden: ${denied}`,
  ],
  [
    'a Status as text',
    JSON.stringify({ reason: 'Invalid', message: denied }),
    `the API server answered 403 Invalid: ${denied}`,
  ],
  ['a page', '<html>\n no </html>', 'the API server answered 403: <html> no </html>'],
  ['nothing', undefined, 'the API server answered 403'],
])('an answer of the API server is reported in its words, without its headers: %s', (_, body, text) => {
  expect(describeError(new Error('outer', { cause: thrown(403, body) }))).toBe(`outer: ${text}`);
});

test('whatever else is thrown is reported with its causes', () => {
  expect(describeError(new Error('a', { cause: new AggregateError([new Error('b'), 'c'], 'd') }))).toBe('a: d: b; c');
});
