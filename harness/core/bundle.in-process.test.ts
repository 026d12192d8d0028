import { expect, test } from 'vitest';
import { bundleWorkload, listWorkloads } from './bundle.ts';

/** Those hold a Kubernetes client that no ConfigMap has room for: they are processes, or are in an image. */
const isBundled = (name: string): boolean => !name.startsWith('session-manager');

test.each(listWorkloads().filter(isBundled))('%s becomes one module that fits into a ConfigMap', async (name) => {
  const source = await bundleWorkload(name);
  expect(source).not.toMatch(/from\s*"\.{1,2}\//);
  expect(source, 'Node built-ins only').not.toMatch(/\bfrom\s*"(?!node:)[^"]+"/);
});

test('a bundle is made once', () => {
  expect(bundleWorkload('token-accelerator')).toBe(bundleWorkload('token-accelerator'));
});

test('an unknown workload is refused with the names of those that are there', async () => {
  await expect(bundleWorkload('nonsense')).rejects.toThrow(/no workload "nonsense".*token-accelerator/);
});
