import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../', import.meta.url));

/** As the formatter's `lineWidth`, which leaves comments alone. */
const WIDTH = 120;

test(`no comment is wider than ${WIDTH} columns`, () => {
  const files = globSync(['{ci,harness,suites}/**/*.{ts,mts,mjs}', 'fixtures/**/*.{ts,mts,mjs}'], {
    cwd: ROOT,
    exclude: (path) => path.includes('node_modules'),
  });
  const tooWide = files.flatMap((file) =>
    readFileSync(`${ROOT}${file}`, 'utf8')
      .split('\n')
      .flatMap((line, index) =>
        line.length > WIDTH && /^ *(\/?\*+ |\/\/)/.test(line) ? [`${file}:${index + 1}`] : [],
      ),
  );
  expect(files.length).toBeGreaterThan(500);
  expect(tooWide).toEqual([]);
});
