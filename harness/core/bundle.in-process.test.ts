import { expect, test } from 'vitest';
import { buildWorkloads, bundleWorkload, listWorkloads } from './bundle.ts';

/** Those hold a Kubernetes client that no ConfigMap has room for: they are processes, or are in an image. */
const isBundled = (name: string): boolean => !name.startsWith('session-manager');

const names = listWorkloads().filter(isBundled);
// One that does not fit is told by its name.
const bundled = await buildWorkloads(names);

test.each(names.map((name, index) => [name, bundled[index] ?? '']))('%s becomes one module', (_, source) => {
  expect(source.length).toBeGreaterThan(100);
  expect(source).not.toMatch(/from\s*"\.{1,2}\//);
  expect(source, 'Node built-ins only').not.toMatch(/\bfrom\s*"(?!node:)[^"]+"/);
});

test('one that is larger than its room is refused, by its name', async () => {
  await expect(buildWorkloads(['token-probe', 'observer'], 1_000)).rejects.toThrow(
    /^the bundle of workload "token-probe" has \d+ bytes, and there is room for 1 to 1000$/,
  );
});

test('of many workloads each is what it is alone', async () => {
  expect(await bundleWorkload('observer')).toBe(bundled[names.indexOf('observer')]);
});

test('a bundle is made once', () => {
  expect(bundleWorkload('token-accelerator')).toBe(bundleWorkload('token-accelerator'));
});

test('an unknown workload is refused with the names of those that are there', async () => {
  await expect(bundleWorkload('nonsense')).rejects.toThrow(/no workload "nonsense".*token-accelerator/);
});
