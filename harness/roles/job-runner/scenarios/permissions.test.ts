import { expect, test } from 'vitest';
import type { Right } from '../../../kubernetes/rbac.ts';
import { sameRights, withoutLongPrompts } from './permissions.ts';
import { groupsOf, sideBySide } from './withheld-rights.ts';

const right = (verb: string, resource: string, group = ''): Right => ({ verb, group, resource });

test('a resource’s reading is taken away as one, writing verb by verb, and what is watched first', () => {
  const groups = groupsOf([
    right('list', 'pods'),
    right('watch', 'pods'),
    right('create', 'jobs', 'batch'),
    right('delete', 'jobs', 'batch'),
    right('get', 'pods/log'),
    right('list', 'events'),
    right('create', 'selfsubjectaccessreviews', 'authorization.k8s.io'),
  ]);
  expect(groups.map((group) => group.map(({ verb, resource }) => `${verb} ${resource}`))).toEqual([
    ['list pods', 'watch pods'],
    ['create jobs'],
    ['delete jobs'],
    ['get pods/log'],
  ]);
});

test('items are worked on side by side, so many at once, and what came of them keeps their order', async () => {
  let [working, most] = [0, 0];
  const done = await sideBySide([30, 5, 20, 1], 2, async (milliseconds, index) => {
    working += 1;
    most = Math.max(most, working);
    await new Promise((resolve) => setTimeout(resolve, milliseconds));
    working -= 1;
    return `${index}: ${milliseconds}`;
  });
  expect(done).toEqual(['0: 30', '1: 5', '2: 20', '3: 1']);
  expect(most).toBe(2);
  await expect(sideBySide([1], 3, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
});

test('rules are the same where they give the same rights, however they are written', () => {
  const rule = (resources: string[], verbs: string[]) => ({ apiGroups: [''], resources, verbs });
  expect(sameRights([rule(['pods'], ['get', 'list'])], [rule(['pods'], ['list']), rule(['pods'], ['get'])])).toBe(true);
  expect(sameRights([rule(['pods'], ['get'])], [rule(['pods'], ['get', 'list'])])).toBe(false);
});

test('a record holds no long prompt', () => {
  const task = { id: 't', agent: 'a', prompt: 'x'.repeat(300_000) };
  const [kept] = withoutLongPrompts({ tasks: [{ label: 'long', marker: 'm', at: 0, task }] }).tasks;
  expect(kept?.task.prompt).toBe('300000 characters');
});
