import { expect, test } from 'vitest';
import { describeChange } from './prompts.ts';

test('a change is described by where it is, what was expected there and what was found', () => {
  expect(describeChange('as it is', Buffer.from('as it is'))).toBeUndefined();
  expect(describeChange('costs $$ 5', Buffer.from('costs $ 5'))).toBe(
    'at byte 7 (9 bytes in all): expected "costs $$ 5", found "costs $ 5"',
  );
  expect(describeChange('the end', Buffer.from('the end\n'))).toBe(
    'at byte 7 (8 bytes in all): expected "the end", found "the end\\n"',
  );
  expect(describeChange('', Buffer.from('x'))).toContain('at byte 0');
});
