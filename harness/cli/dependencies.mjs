// Plain JavaScript, as conformance.mjs uses it before anything is installed. A file of its own, because whoever
// imported conformance.mjs from the program that it starts would wait for it for ever.

/**
 * Whether a Node runs TypeScript by itself: 22.18, 23.6 and everything newer (Node.js, "Running TypeScript Natively").
 *
 * @param {string} version as in process.versions.node
 */
export function stripsTypes(version) {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > 23 || (major === 23 && minor >= 6) || (major === 22 && minor >= 18);
}

/**
 * Why an installation does not match its lock file, or undefined when it does.
 * npm writes node_modules/.package-lock.json last, so a broken-off installation has none.
 *
 * @type {typeof import('./dependencies.mjs').mismatch}
 */
export function mismatch(lock, installed) {
  if (installed === undefined) {
    return 'the dependencies are not installed';
  }
  const there = installed.packages ?? {};
  for (const [path, wanted] of Object.entries(lock.packages ?? {})) {
    if (path === '') {
      continue;
    }
    const found = there[path];
    if (found === undefined) {
      // Of another platform, or left out on purpose (npm ci --omit=dev).
      if (wanted.optional || wanted.devOptional || wanted.dev || wanted.peer) {
        continue;
      }
      return `${path} is missing`;
    }
    if (found.version !== wanted.version) {
      return `${path} is ${found.version}, not ${wanted.version}`;
    }
  }
  return undefined;
}
