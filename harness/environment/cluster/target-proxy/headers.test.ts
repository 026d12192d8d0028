import { expect, test } from 'vitest';
import { endToEnd, headerLines } from './headers.ts';

test('headers about one connection and its host stay behind; the others pass, whatever their number of values', () => {
  const headers = endToEnd({
    host: 'localhost',
    connection: 'Upgrade',
    upgrade: 'websocket',
    'transfer-encoding': 'chunked',
    authorization: 'Bearer x',
    'set-cookie': ['a', 'b'],
  });
  expect(headers).toEqual({ authorization: 'Bearer x', 'set-cookie': ['a', 'b'] });
});

test('a value that a request sent in several lines stays one in several lines', () => {
  expect(endToEnd({ accept: ['*/*'], 'impersonate-group': ['a', 'b, c'] })).toEqual({
    accept: '*/*',
    'impersonate-group': ['a', 'b, c'],
  });
});

test('a header is written as one line', () => {
  expect(headerLines({ 'retry-after': '7', 'content-length': 2 })).toEqual(['retry-after: 7', 'content-length: 2']);
});
