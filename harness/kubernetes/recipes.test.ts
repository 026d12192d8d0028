import { expect, test } from 'vitest';
import { loadRecipe, RECIPE_ISSUERS, readRecipe } from './recipes.ts';

const RECIPES = [
  'configmap',
  'configmap-multiple-providers',
  'cronjob',
  'deployment',
  'job',
  'multiple-providers',
  'pvc-cache',
  'serviceaccount',
];
const issuers = Object.fromEntries(
  Object.values(RECIPE_ISSUERS).map((issuer, index) => [issuer, `https://issuer-${index}.test`]),
);

/** What differs between two values, by path. */
function differences(one: unknown, other: unknown, path = ''): string[] {
  if (typeof one === 'object' && one !== null && typeof other === 'object' && other !== null) {
    const keys = new Set([...Object.keys(one), ...Object.keys(other)]);
    return [...keys].flatMap((key) =>
      differences((one as Record<string, unknown>)[key], (other as Record<string, unknown>)[key], `${path}/${key}`),
    );
  }
  return one === other ? [] : [path];
}

test.each(RECIPES)('in the recipe %s nothing is replaced but what has to be', (name) => {
  const loaded = loadRecipe(name, { namespace: 'here', image: 'image:1', command: ['act'], issuers });
  const back = JSON.parse(
    Object.entries(issuers).reduce((text, [from, to]) => text.replaceAll(to, from), JSON.stringify(loaded)),
  ) as unknown;
  const changed = differences(readRecipe(name), back);
  expect(
    changed.filter((path) => !/\/metadata\/namespace$|\/containers\/0\/(image|command(\/\d+)?)$/.test(path)),
  ).toEqual([]);
  expect(changed.some((path) => path.endsWith('/namespace'))).toBe(true);
});

test('issuer and audience are replaced alike, in the configuration and in the projection', () => {
  const replaced = { namespace: 'here', image: 'image:1', command: ['act'], issuers };
  const text = JSON.stringify([...loadRecipe('configmap', replaced), ...loadRecipe('cronjob', replaced)]);
  expect(text.match(/https:\/\/issuer-0\.test/g)).toHaveLength(2);
  expect(text).not.toContain('auth.example.com');
});
