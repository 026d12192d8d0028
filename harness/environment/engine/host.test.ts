import { describe, expect, it } from 'vitest';
import { distributionsOf, hasSysResource } from './host.ts';

describe('hasSysResource', () => {
  const status = (capBnd: string) =>
    `Name:\tnode\nCapPrm:\t000001ffffffffff\nCapBnd:\t${capBnd}\nCapAmb:\t0000000000000000\n`;

  it('sees bit 24 in a full bounding set', () => {
    expect(hasSysResource(status('000001ffffffffff'))).toBe(true);
  });

  it('sees that bit 24 alone is missing', () => {
    expect(hasSysResource(status('000001fffeffffff'))).toBe(false);
  });

  it('sees bit 24 alone', () => {
    expect(hasSysResource(status('0000000001000000'))).toBe(true);
  });

  it('does not guess when the line is not there', () => {
    expect(() => hasSysResource('Name:\tnode\n')).toThrow(/CapBnd/);
  });
});

describe('distributionsOf', () => {
  it('gives ID and then ID_LIKE, with or without quotes', () => {
    expect(distributionsOf('NAME="Ubuntu"\nID=ubuntu\nID_LIKE=debian\n')).toEqual(['ubuntu', 'debian']);
    expect(distributionsOf('ID="rhel"\nID_LIKE="fedora centos"\n')).toEqual(['rhel', 'fedora', 'centos']);
  });

  it('is empty where there is no os-release', () => {
    expect(distributionsOf('')).toEqual([]);
  });
});
