import { command, which } from '../engine/command.ts';
import { SetUpError } from '../engine/errors.ts';
import { readHost } from '../engine/host.ts';
import type { StepReporter } from '../engine/progress.ts';
import { installPackages } from '../engine/start.ts';
import { type Lock, takeLock } from './lock.ts';

/**
 * Oldest Go that the modules build with, and the oldest that can fetch that one by itself (Go 1.21 release notes,
 * toolchains).
 */
const GO_NEEDED = [1, 25] as const;
const GO_SELF_UPGRADING = [1, 21] as const;

export type GoVerdict =
  | { readonly ok: true; readonly version: string }
  | { readonly ok: false; readonly problem: string };

/**
 * Whether a Go can build the modules.
 *
 * @param version output of `go version`
 * @param toolchain output of `go env GOTOOLCHAIN`
 */
export function checkGo(version: string, toolchain: string): GoVerdict {
  const match = /\bgo(\d+)\.(\d+)(\S*)/.exec(version);
  if (match === null) {
    return { ok: false, problem: `\`go version\` printed ${JSON.stringify(version.trim())}` };
  }
  const found = [Number(match[1]), Number(match[2])] as const;
  const name = `${match[1]}.${match[2]}${match[3]}`;
  const atLeast = (wanted: readonly [number, number]) =>
    found[0] > wanted[0] || (found[0] === wanted[0] && found[1] >= wanted[1]);
  if (atLeast(GO_NEEDED)) {
    return { ok: true, version: name };
  }
  if (atLeast(GO_SELF_UPGRADING) && toolchain.trim() !== 'local') {
    return { ok: true, version: name };
  }
  return {
    ok: false,
    problem: `Go ${name} is too old: ${GO_NEEDED.join('.')} is needed, or ${GO_SELF_UPGRADING.join('.')} with GOTOOLCHAIN=auto (it is ${toolchain.trim() || 'unset'})`,
  };
}

/**
 * Finds a Go that can build the modules, installing Debian's where that one is new enough.
 *
 * @throws SetUpError naming what is there and what is needed
 */
export async function ensureGo(report: StepReporter, signal?: AbortSignal): Promise<string> {
  const fix = [
    `put Go ${GO_NEEDED.join('.')} or newer on PATH, and run setup again`,
    '(or make an image registry reachable: then nothing is compiled here)',
  ];
  const go = (await which('go')) ?? (await which('go', { PATH: '/usr/local/go/bin:/usr/lib/go/bin' }));
  if (go === undefined) {
    const debian = await debianCandidate('golang-go');
    if (debian === undefined || !checkGo(`go${debian}`, 'auto').ok) {
      throw new SetUpError(
        `Go is not on PATH, and this system's package golang-go is ${debian === undefined ? 'not available' : `too old (${debian})`}, so the node image cannot be built.`,
        fix,
      );
    }
    await installOnce('go', 'golang-go', report, signal);
    return ensureGo(report, signal);
  }
  const verdict = checkGo(await command(go, ['version']), await command(go, ['env', 'GOTOOLCHAIN']));
  if (!verdict.ok) {
    throw new SetUpError(`${verdict.problem} (${go}).`, fix);
  }
  return go;
}

/**
 * Finds a program, or installs the Debian package that has it.
 *
 * @throws SetUpError where it is missing and set-up cannot install it
 */
export async function ensureProgram(
  program: string,
  debianPackage: string,
  report: StepReporter,
  signal?: AbortSignal,
): Promise<string> {
  const path = await which(program);
  if (path !== undefined) {
    return path;
  }
  const host = await readHost();
  if (!host.root || host.aptGet === undefined) {
    throw new SetUpError(`\`${program}\` is not on PATH, and setup cannot install it here.`, [
      `install it (Debian and Ubuntu: sudo apt-get install -y ${debianPackage})`,
      'then run setup again',
    ]);
  }
  await installOnce(program, debianPackage, report, signal);
  const installed = await which(program);
  if (installed === undefined) {
    throw new SetUpError(`The package ${debianPackage} was installed, but \`${program}\` is not on PATH.`);
  }
  return installed;
}

/** Installs a program unless somebody just did: images are made side by side, and apt works for one at a time. */
async function installOnce(
  program: string,
  debianPackage: string,
  report: StepReporter,
  signal: AbortSignal | undefined,
): Promise<void> {
  await using _lock = await takeAptLock(signal);
  if ((await which(program)) === undefined) {
    await installPackages([debianPackage], report, signal);
  }
}

/** Held while apt changes this host: apt's own locks make the second one fail instead of wait. */
export function takeAptLock(signal: AbortSignal | undefined): Promise<Lock> {
  return takeLock('apt', () => {}, signal);
}

/** Upstream version of the package that apt would install, as root on Debian; undefined when there is none. */
async function debianCandidate(name: string): Promise<string | undefined> {
  const host = await readHost();
  if (!host.root || host.aptGet === undefined) {
    return undefined;
  }
  const policy = await command('apt-cache', ['policy', name]).catch(() => '');
  return /Candidate:\s*(?:\d+:)?(\d+\.\d+)/.exec(policy)?.[1];
}
