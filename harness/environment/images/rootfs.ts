import { createReadStream, existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type Docker from 'dockerode';
import { command, which } from '../engine/command.ts';
import { SetUpError } from '../engine/errors.ts';
import { readHost } from '../engine/host.ts';
import { aptUpdate } from '../engine/start.ts';
import { imageArchitecture } from './archive.ts';
import type { Workshop } from './artifacts.ts';
import { removeTree } from './cache.ts';
import { digestOf } from './digest.ts';
import { follow } from './follow.ts';
import { ensureProgram, takeAptLock } from './tools.ts';

/** A Debian root file system: the Essential packages of the host's release and the listed ones. */
export type RootFileSystem = { readonly packages: readonly string[]; readonly reference: string };

/** Raised when root file systems are made in another way, so that none of the old ones is taken for a new one. */
const RECIPE = 1;

/** The root file system for a package list on this host; nothing is made yet. */
export async function rootFileSystem(packages: readonly string[]): Promise<RootFileSystem> {
  const codename = await releaseCodename();
  const key = digestOf({ recipe: RECIPE, codename, packages, architecture: imageArchitecture() });
  return { packages, reference: `kube-agent-conformance/rootfs:${key}` };
}

async function releaseCodename(): Promise<string> {
  const osRelease = await readFile('/etc/os-release', 'utf8').catch(() => '');
  return /^VERSION_CODENAME=(\S+)$/m.exec(osRelease)?.[1] ?? 'unknown';
}

/**
 * Makes the root file system from the host's own package sources and imports it into the engine.
 * mmdebstrap is run from the cache; it is not installed on the host.
 */
export async function makeRootFileSystem(docker: Docker, root: RootFileSystem, workshop: Workshop): Promise<void> {
  const { cache, report, signal } = workshop;
  const host = await readHost();
  if (!host.distributions.includes('debian') || host.aptGet === undefined) {
    throw new SetUpError(
      'No registry provided the images, and building them needs the package sources of a Debian or Ubuntu host.',
      ['make a registry (or a mirror) reachable for the container engine, or', 'run setup on Debian or Ubuntu'],
    );
  }
  const perl = await ensureProgram('perl', 'perl', report, signal);
  const codename = await releaseCodename();
  const temporary = await cache.temporary();
  try {
    await report.step(
      `make a Debian ${codename} root file system with ${root.packages.join(' ') || 'nothing added'}`,
      async (advance) => {
        const sources = join(temporary, 'host.sources');
        await writeFile(sources, await distributionSources(codename));
        const settings = join(temporary, 'apt.conf');
        await writeFile(settings, `${await hostAptSettings()}APT::Sandbox::User "root";\n`);
        const archive = join(temporary, 'rootfs.tar');
        await command(
          perl,
          [
            await mmdebstrap(workshop),
            '--variant=essential',
            `--include=${root.packages.join(',')}`,
            `--aptopt=${settings}`,
            codename,
            archive,
            sources,
          ].filter((argument) => argument !== '--include='),
          {
            env: { ...process.env, TMPDIR: temporary, LC_ALL: 'C' },
            ...(signal === undefined ? {} : { signal }),
            onLine: (line) => {
              if (line.startsWith('I: ')) {
                advance(line.slice('I: '.length).replace(/\.+$/, ''));
              }
            },
          },
        );
        advance('import');
        const [repo = '', tag = ''] = root.reference.split(':');
        const answer = await docker.importImage(createReadStream(archive), { repo, tag });
        await follow(docker, answer);
      },
    );
  } finally {
    await removeTree(temporary);
  }
}

/** Path of the mmdebstrap program: the host's, or one unpacked from its Debian package into the cache. */
async function mmdebstrap({ cache, report, signal }: Workshop): Promise<string> {
  const installed = await which('mmdebstrap');
  if (installed !== undefined) {
    return installed;
  }
  await using _lock = await takeAptLock(signal);
  const folder = await cache.entry('tools', 'mmdebstrap', async (temporary) => {
    const options = { cwd: temporary, ...(signal === undefined ? {} : { signal }) };
    const download = () =>
      command('apt-get', ['download', '-q', '-o', 'APT::Sandbox::User=root', 'mmdebstrap'], options);
    // A host whose package lists were never fetched, or are out of date, knows the package only after an update.
    await download().catch(async () => {
      await aptUpdate(report, options);
      await download();
    });
    const [file] = (await readdir(temporary)).filter((name) => name.endsWith('.deb'));
    if (file === undefined) {
      throw new SetUpError('`apt-get download mmdebstrap` downloaded no package.');
    }
    await command('dpkg-deb', ['-x', file, 'root'], options);
  });
  return join(folder, 'root', 'usr', 'bin', 'mmdebstrap');
}

/** The host's package sources for its own release, third parties left out, as a deb822 file (sources.list(5)). */
async function distributionSources(codename: string): Promise<string> {
  const folder = '/etc/apt/sources.list.d';
  const names = existsSync(folder) ? (await readdir(folder)).sort() : [];
  const paths = ['/etc/apt/sources.list', ...names.map((name) => join(folder, name))].filter((path) =>
    existsSync(path),
  );
  const texts = await Promise.all(
    paths
      .filter((path) => /\.(list|sources)$/.test(path))
      .map(async (path) => ({ path, text: await readFile(path, 'utf8') })),
  );
  const stanzas = texts.flatMap(({ path, text }) => sourcesFor(codename, path, text));
  if (stanzas.length === 0) {
    throw new SetUpError(`No package source for ${codename} was found in /etc/apt.`);
  }
  return `${stanzas.join('\n\n')}\n`;
}

/**
 * The stanzas of one apt source file (both formats of sources.list(5)) whose suites belong to a release, in deb822
 * format.
 *
 * @param path its ending is the format: `.sources` or `.list`
 */
export function sourcesFor(codename: string, path: string, text: string): string[] {
  const belongs = (suite: string) => suite === codename || suite.startsWith(`${codename}-`);
  if (path.endsWith('.sources')) {
    return text
      .split(/\n\s*\n/)
      .map((stanza) =>
        stanza
          .split('\n')
          .filter((line) => !line.startsWith('#') && line.trim() !== '')
          .join('\n'),
      )
      .filter((stanza) => {
        const field = (name: string) => new RegExp(`^${name}:(.*)$`, 'im').exec(stanza)?.[1]?.trim().split(/\s+/) ?? [];
        const suites = field('Suites');
        return (
          field('Types').includes('deb') && suites.length > 0 && suites.every(belongs) && field('Enabled')[0] !== 'no'
        );
      });
  }
  return text.split('\n').flatMap((line) => {
    const match = /^deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+(.+?)\s*$/.exec(line.replace(/#.*/, ''));
    if (match === null) {
      return [];
    }
    const [, settings = '', uri, suite = '', components] = match;
    if (!belongs(suite)) {
      return [];
    }
    const signedBy = /signed-by=(\S+)/.exec(settings)?.[1];
    return [
      [
        'Types: deb',
        `URIs: ${uri}`,
        `Suites: ${suite}`,
        `Components: ${components}`,
        ...(signedBy === undefined ? [] : [`Signed-By: ${signedBy}`]),
      ].join('\n'),
    ];
  });
}

/** How the host's apt reaches its sources (proxy, validity): the root file system is fetched in the same way. */
async function hostAptSettings(): Promise<string> {
  const dump = await command('apt-config', ['dump']);
  const lines = dump
    .split('\n')
    .filter((line) => /^Acquire::.*"[^"]+";$/.test(line) && !line.startsWith('Acquire::Languages'));
  return `${lines.map((line) => `${line}\n`).join('')}Acquire::Languages "none";\n`;
}
