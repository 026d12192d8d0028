import { describe, expect, it } from 'vitest';
import { sourcesFor } from './rootfs.ts';

describe('sourcesFor', () => {
  it('takes the release’s stanzas of a deb822 file, without comments', () => {
    const own = 'Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm bookworm-updates\nComponents: main';
    const text = `${own.replace('URIs', '# a comment\nURIs')}\n\nTypes: deb\nURIs: https://other.example\nSuites: nodistro\nComponents: main\n`;
    expect(sourcesFor('bookworm', 'debian.sources', text)).toEqual([own]);
  });

  it('leaves disabled and source stanzas out', () => {
    const stanza = (more: string) => `${more}URIs: http://mirror.example\nSuites: bookworm\nComponents: main`;
    const text = `${stanza('Types: deb-src\n')}\n\n${stanza('Types: deb\nEnabled: no\n')}`;
    expect(sourcesFor('bookworm', 'debian.sources', text)).toEqual([]);
  });

  it('reads the one-line format with its settings', () => {
    const text = [
      '# deb http://mirror.example/debian bookworm main',
      'deb [arch=amd64 signed-by=/usr/share/keyrings/k.gpg] http://mirror.example/debian bookworm main contrib',
      'deb http://mirror.example/debian trixie main',
      'deb http://mirror.example/security bookworm-security main # why',
    ].join('\n');
    expect(sourcesFor('bookworm', '/etc/apt/sources.list', text)).toEqual([
      'Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm\nComponents: main contrib\nSigned-By: /usr/share/keyrings/k.gpg',
      'Types: deb\nURIs: http://mirror.example/security\nSuites: bookworm-security\nComponents: main',
    ]);
  });
});
