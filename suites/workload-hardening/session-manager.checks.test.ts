import { expect, test } from 'vitest';
import { NotTestable } from '../../harness/core/errors.ts';
import { hidesSecrets } from './session-manager.checks.ts';

const pod = { at: 0, type: 'ADDED', kind: 'Pod', object: { metadata: { name: 'agent' }, spec: { containers: [] } } };
const record = { asked: { agent: {} }, objects: [pod], output: ['ready'], outputLost: 0, secret: 'the-value' };
const hides = (more: object): unknown => hidesSecrets({ ...record, ...more } as never);

test('a secret is looked for in all that was written, and nothing is said where some of it is gone (WH-04m)', () => {
  expect(hides({})).toEqual([]);
  expect(hides({ output: ['ready', 'AGENT_KEY=the-value'] })).toEqual([expect.stringContaining('1 lines')]);
  expect(() => hides({ outputLost: 3 })).toThrow(NotTestable);
  expect(hides({ outputLost: 3, output: ['the-value'] })).toEqual([expect.stringContaining('1 lines')]);
});
