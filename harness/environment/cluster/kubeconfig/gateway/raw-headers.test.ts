import { expect, test } from 'vitest';
import { rawEndToEnd } from './raw-headers.ts';

test('headers keep their order, spelling and repetition; those about one connection stay behind', () => {
  const rawHeaders = ['Warning', 'one', 'Connection', 'close', 'warning', 'two', 'HOST', 'a', 'X-Empty', ''];
  expect(rawEndToEnd({ rawHeaders })).toEqual(['Warning', 'one', 'warning', 'two', 'X-Empty', '']);
});
