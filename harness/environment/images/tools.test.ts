import { describe, expect, it } from 'vitest';
import { checkGo } from './tools.ts';

describe('checkGo', () => {
  it.each([
    ['go version go1.25.0 linux/amd64', 'local', true],
    ['go version go1.26.8 linux/amd64', 'local', true],
    ['go version go1.24.4 linux/amd64', 'auto', true],
    ['go version go1.21rc2 linux/amd64', 'auto', true],
    ['go version go1.24.4 linux/amd64', 'local', false],
    ['go version go1.19.8 linux/amd64', '', false],
    ['no version at all', 'auto', false],
  ])('%s with GOTOOLCHAIN=%s: %s', (version, toolchain, ok) => {
    expect(checkGo(version, toolchain).ok).toBe(ok);
  });

  it('says what is there and what is needed', () => {
    expect(checkGo('go version go1.19.8 linux/amd64', '')).toEqual({
      ok: false,
      problem: 'Go 1.19.8 is too old: 1.25 is needed, or 1.21 with GOTOOLCHAIN=auto (it is unset)',
    });
  });
});
