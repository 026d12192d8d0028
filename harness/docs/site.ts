import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Marked, type Tokens } from 'marked';
import { anchorOf } from './pages.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Where `npm run site` writes to; nothing of it is committed. */
const SITE = join(ROOT, 'reports', 'site');

/** What the margin of each page leads to. */
const NAVIGATION: [string, [string, string][]][] = [
  [
    'Start',
    [
      ['README.md', 'Overview'],
      ['harness/docs/compared.md', 'Compared'],
      ['harness/docs/architecture.md', 'Architecture'],
    ],
  ],
  [
    'In ten minutes',
    [
      ['harness/docs/certify/token-client.md', 'Token client'],
      ['harness/docs/certify/identity-provider.md', 'Identity provider'],
      ['harness/docs/certify/cluster.md', 'Cluster'],
      ['harness/docs/certify/job-runner.md', 'Job runner'],
      ['harness/docs/certify/session-manager.md', 'Session manager'],
      ['harness/docs/certify/session-operator.md', 'Session operator'],
    ],
  ],
  [
    'Reference',
    [
      ['suites/README.md', 'Requirements'],
      ['harness/docs/levels.md', 'Levels'],
      ['harness/cli/README.md', 'Command line'],
      ['harness/report/README.md', 'Report'],
      ['harness/docs/live-clusters.md', 'Live clusters'],
      ['harness/docs/publish-results.md', 'Publish results'],
      ['harness/docs/versions.md', 'Versions'],
      ['harness/docs/sources.md', 'Sources'],
      ['harness/docs/decisions/README.md', 'Decisions'],
      ['CONTRIBUTING.md', 'Contributing'],
      ['CHANGELOG.md', 'Changelog'],
    ],
  ],
];

/** The page of a Markdown file: a README is the index of its folder. */
function pageOf(file: string): string {
  return basename(file) === 'README.md' ? posix.join(dirname(file), 'index.html') : file.replace(/\.md$/, '.html');
}

/** Files of the repository: what Git has, or would have. */
function files(): string[] {
  const words = ['ls-files', '--cached', '--others', '--exclude-standard'];
  const listed = execFileSync('git', words, { cwd: ROOT, encoding: 'utf8', maxBuffer: 16 * 1024 * 1024 });
  return listed.split('\n').filter((file) => file !== '' && existsSync(join(ROOT, file)));
}

/**
 * Writes the documents as a static site: each Markdown file a page, and beside them the files that they lead to. It
 * loads nothing from elsewhere.
 *
 * @returns the files that were written, from the folder
 */
export function buildSite(folder: string = SITE): string[] {
  rmSync(folder, { recursive: true, force: true });
  const known = new Set(files());
  const written = new Set<string>();
  const put = (path: string, content: string): void => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
    written.add(path);
  };
  for (const file of known) {
    if (!file.endsWith('.md')) {
      continue;
    }
    const { html, title, linked } = render(file, known);
    put(pageOf(file), layout(file, title, html));
    for (const other of linked) {
      mkdirSync(dirname(join(folder, other)), { recursive: true });
      cpSync(join(ROOT, other), join(folder, other));
      written.add(other);
    }
  }
  return [...written].sort();
}

interface Rendered {
  html: string;
  title: string;
  /** Files that are no pages and that it leads to. */
  linked: Set<string>;
}

function render(file: string, known: ReadonlySet<string>): Rendered {
  const linked = new Set<string>();
  const anchors = new Map<string, number>();
  let title = '';
  const target = (href: string): string | undefined => {
    if (/^[a-z]+:|^#/.test(href)) {
      return href;
    }
    const [path = '', anchor] = href.split('#');
    const to = posix.normalize(posix.join(dirname(file), path)).replace(/\/$/, '');
    const tail = anchor === undefined ? '' : `#${anchor}`;
    const page = to.endsWith('.md') ? to : posix.join(to, 'README.md');
    if (known.has(page)) {
      return `${posix.relative(dirname(pageOf(file)), pageOf(page))}${tail}`;
    }
    if (known.has(to)) {
      linked.add(to);
      return posix.relative(dirname(pageOf(file)), to);
    }
    // What leads nowhere stays as it is written: the test of the site finds it.
    return [...known].some((other) => other.startsWith(`${to}/`)) ? undefined : href;
  };
  const marked = new Marked({
    renderer: {
      heading(this: { parser: { parseInline(tokens: Tokens.Generic[]): string } }, { tokens, depth, text }) {
        title = title === '' && depth === 1 ? text.replaceAll('`', '') : title;
        const anchor = anchorOf(text);
        const count = anchors.get(anchor) ?? 0;
        anchors.set(anchor, count + 1);
        const id = count === 0 ? anchor : `${anchor}-${count}`;
        return `<h${depth} id="${id}">${this.parser.parseInline(tokens)}</h${depth}>\n`;
      },
      link(this: { parser: { parseInline(tokens: Tokens.Generic[]): string } }, { href, tokens }) {
        const to = target(href);
        const text = this.parser.parseInline(tokens);
        // A folder of the repository that has no page of its own.
        return to === undefined ? text : `<a href="${escaped(to)}">${text}</a>`;
      },
      image({ href, text }) {
        return `<img src="${escaped(target(href) ?? href)}" alt="${escaped(text)}">`;
      },
      html: ({ text }) => (text.trim().startsWith('<!--') ? '' : escaped(text)),
    },
  });
  const html = String(marked.parse(readFileSync(join(ROOT, file), 'utf8')));
  return { html, title: title === '' ? file : title, linked };
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}

function layout(file: string, title: string, html: string): string {
  const to = (other: string): string => posix.relative(dirname(pageOf(file)), pageOf(other));
  const navigation = NAVIGATION.map(([name, pages]) => {
    const items = pages.map(
      ([page, label]) => `<li><a href="${to(page)}"${page === file ? ' aria-current="page"' : ''}>${label}</a></li>`,
    );
    return `<h2>${name}</h2><ul>${items.join('')}</ul>`;
  });
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(title)} · kube-agent-conformance</title>
<style>${STYLE}</style>
</head>
<body>
<nav aria-label="Pages"><p><a href="${to('README.md')}">kube-agent-conformance</a></p>${navigation.join('')}</nav>
<main>
${html}</main>
</body>
</html>
`;
}

const STYLE = `
:root { color-scheme: light dark; --line: light-dark(#d5d9e2, #3a4150); --code: light-dark(#f4f6fa, #1d222c); }
body { margin: 0; display: flex; font: 16px/1.55 system-ui, sans-serif; }
nav { flex: 0 0 15rem; padding: 1rem; border-right: 1px solid var(--line); font-size: .9rem; }
nav h2 { font-size: .8rem; margin: 1.2rem 0 .3rem; } nav ul { list-style: none; margin: 0; padding: 0; }
nav a[aria-current] { font-weight: bold; }
main { flex: 1; min-width: 0; max-width: 60rem; padding: 1rem 2rem 4rem; }
pre { background: var(--code); border: 1px solid var(--line); padding: .7rem; overflow-x: auto; font-size: .85rem; }
code { background: var(--code); font-size: .9em; } img { max-width: 100%; border: 1px solid var(--line); }
table { border-collapse: collapse; display: block; overflow-x: auto; }
th, td { border: 1px solid var(--line); padding: .3rem .6rem; text-align: left; vertical-align: top; }
@media (max-width: 50rem) { body { display: block; } nav { border-right: 0; border-bottom: 1px solid var(--line); } }
`;

if (import.meta.main) {
  process.stdout.write(`${buildSite().length} files in ${SITE}\n`);
}
