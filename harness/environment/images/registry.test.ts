import { expect, it } from 'vitest';
import { digestFrom, reasonOf } from './registry.ts';

it('takes the digest from the repository digests', () => {
  expect(digestFrom(['docker.io/library/node@sha256:abc', 'other@sha256:def'])).toBe('sha256:abc');
  expect(digestFrom([])).toBeUndefined();
});

it('gives the reason without the engine’s wrapping and without the address', () => {
  const error = new Error('(HTTP code 500) server error - Get "https://registry.example/v2/": dial tcp: no such host');
  expect(reasonOf(error)).toBe('Get the registry: dial tcp: no such host');
});
