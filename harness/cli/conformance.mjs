#!/usr/bin/env node
// Starts the command line on a bare clone: plain JavaScript for Node 20 and newer, no dependency.
//   1. node_modules is what package-lock.json says, else `npm ci`
//   2. main.ts runs on a Node that strips types by itself: this one, or the one that npm installed

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import * as modules from 'node:module';
import { connect, createServer } from 'node:net';
import { constants, homedir, platform, tmpdir } from 'node:os';
import { delimiter, dirname, join, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { mismatch, stripsTypes } from './dependencies.mjs';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const MAIN = join(ROOT, 'harness', 'cli', 'main.ts');
/** Node strips the types of nothing that is installed as a package. */
const STRIP_TYPES = new URL('./strip-types.mjs', import.meta.url).href;
const IS_INSTALLED = ROOT.includes(`${sep}node_modules${sep}`);
/** Exit code of a harness error, as everywhere in this program. */
const HARNESS_ERROR = 2;

/** @param {string} path */
function readJson(path) {
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined;
}

function whyInstall() {
  const lock = readJson(join(ROOT, 'package-lock.json'));
  // Installed as somebody's dependency, the package has no lock file: npm has seen to the rest.
  if (lock === undefined) {
    return undefined;
  }
  return mismatch(lock, readJson(join(ROOT, 'node_modules', '.package-lock.json')));
}

async function ensureDependencies() {
  if (whyInstall() === undefined) {
    return;
  }
  const release = await takeLock();
  try {
    // Whoever held the lock may just have done it.
    const why = whyInstall();
    if (why === undefined) {
      return;
    }
    process.stderr.write(`conformance: ${why}: npm ci\n`);
    await npmCi();
    const still = whyInstall();
    if (still !== undefined) {
      fail(`npm ci succeeded, but ${still}.`, 'check package-lock.json: it does not match package.json');
    }
  } finally {
    release();
  }
}

function npmCi() {
  return new Promise((resolve) => {
    const npm = spawn('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
      cwd: ROOT,
      stdio: ['ignore', 2, 2],
    });
    npm.once('error', (error) => {
      fail(
        `npm could not be started: ${error.message}`,
        'install npm (it comes with Node.js) and run the same command again',
      );
    });
    npm.once('close', (code, signal) => {
      if (code === 0) {
        resolve(undefined);
      } else {
        fail(
          `\`npm ci\` in ${ROOT} ended with ${signal ?? `exit code ${code}`}; its own message is above.`,
          'fix that, or run `npm ci` yourself, and run the same command again',
        );
      }
    });
  });
}

/**
 * One installation at a time. The holder listens on a socket, so that the kernel frees the lock when it dies.
 *
 * @returns {Promise<() => void>} lets the lock go
 */
async function takeLock() {
  const id = `kube-agent-conformance-npm-${createHash('sha256').update(ROOT).digest('hex').slice(0, 16)}`;
  // Linux has socket names outside of the file system (unix(7), abstract): nothing is left behind.
  const address = platform() === 'linux' ? `\0${id}` : join(tmpdir(), `${id}.sock`);
  let told = false;
  for (;;) {
    const server = await new Promise((resolve, reject) => {
      const candidate = createServer(() => {});
      candidate.once('error', (/** @type {NodeJS.ErrnoException} */ error) =>
        error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error),
      );
      candidate.listen(address, () => resolve(candidate));
    });
    if (server !== undefined) {
      const connections = new Set();
      server.on('connection', (/** @type {import('node:net').Socket} */ connection) => connections.add(connection));
      return () => {
        server.close();
        for (const connection of connections) {
          connection.destroy();
        }
      };
    }
    const answered = await new Promise((resolve) => {
      const connection = connect(address, () => {
        if (!told) {
          process.stderr.write('conformance: waiting for another npm ci of this clone\n');
        }
        told = true;
      });
      connection.on('error', () => {});
      connection.once('close', (failed) => resolve(!failed));
      connection.resume();
    });
    if (!answered && !address.startsWith('\0')) {
      rmSync(address, { force: true });
    }
  }
}

function newerNode() {
  const require = modules.createRequire(join(ROOT, 'package.json'));
  const program = join(dirname(require.resolve('node/package.json')), 'bin', 'node');
  if (!existsSync(program)) {
    fail(
      `Node ${process.versions.node} is too old, and the npm package \`node\` has no program: it was installed with ` +
        '--ignore-scripts, or there is none for this platform.',
      'npm rebuild node, or install Node.js 22.18 or newer',
    );
  }
  return program;
}

/** Runs main.ts on another Node: its terminal, its signals and its exit code are ours. */
function runOn(/** @type {string} */ node) {
  const hook = IS_INSTALLED ? ['--import', STRIP_TYPES] : [];
  const flags = ['--disable-warning=ExperimentalWarning', ...hook];
  const child = spawn(node, [...flags, MAIN, ...process.argv.slice(2)], {
    // The channel carries nothing: its end tells the child that this process was killed without a word.
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH ?? ''}` },
  });
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGHUP'])) {
    process.on(signal, () => {
      // Of a key, the terminal has told the child itself: it is in the same process group.
      if ((signal === 'SIGINT' || signal === 'SIGQUIT') && inForeground()) {
        return;
      }
      child.kill(signal);
    });
  }
  // Whoever started this process with a channel is gone, and nobody waits any more.
  process.once('disconnect', () => child.kill('SIGTERM'));
  process.channel?.unref();
  child.once('error', (error) => fail(`${node} could not be started: ${error.message}`, 'npm ci'));
  child.once('close', (code, signal) => {
    if (signal === null) {
      process.exit(code ?? HARNESS_ERROR);
    }
    process.exit(128 + (constants.signals[signal] ?? 0));
  });
}

/**
 * Whether keys typed at the terminal signal this process (proc_pid_stat(5): pgrp is the terminal's foreground group).
 */
function inForeground() {
  try {
    const fields = readFileSync('/proc/self/stat', 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    return fields[2] === fields[5];
  } catch {
    return process.stdin.isTTY === true;
  }
}

/**
 * @param {string} problem
 * @param {string} fix
 * @returns {never}
 */
function fail(problem, fix) {
  process.stderr.write(`conformance: ${problem}\nTo fix it:\n  ${fix}\n`);
  process.exit(HARNESS_ERROR);
}

// Code that was compiled is kept for the next process: a run starts dozens that load the same modules.
const cache = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
process.env.NODE_COMPILE_CACHE ??= join(cache, 'kube-agent-conformance', 'compiled');
modules.enableCompileCache?.(process.env.NODE_COMPILE_CACHE);

await ensureDependencies();
const isNewEnough = stripsTypes(process.versions.node);
if (isNewEnough && !IS_INSTALLED) {
  await import(pathToFileURL(MAIN).href);
} else {
  runOn(isNewEnough ? process.execPath : newerNode());
}
