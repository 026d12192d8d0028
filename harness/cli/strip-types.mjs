// Node strips the types of no file below node_modules (ERR_UNSUPPORTED_NODE_MODULES_TYPE_STRIPPING), and there is where
// this package is installed. It does for this package what Node does everywhere else. Plain JavaScript: it is what
// loads the rest.

import { readFileSync } from 'node:fs';
import { registerHooks, stripTypeScriptTypes } from 'node:module';
import { fileURLToPath } from 'node:url';

const PACKAGE = new URL('../../', import.meta.url).href;
/** @type {(specifier: string) => boolean} */
const isOurs = (url) => url.startsWith(PACKAGE) && !url.slice(PACKAGE.length).startsWith('node_modules/');

registerHooks({
  load(url, context, nextLoad) {
    const [file] = url.split(/[?#]/, 1);
    if (file === undefined || !file.endsWith('.ts') || !isOurs(file)) {
      return nextLoad(url, context);
    }
    const source = stripTypeScriptTypes(readFileSync(fileURLToPath(file), 'utf8'), { mode: 'strip' });
    return { format: 'module', source, shortCircuit: true };
  },
});
