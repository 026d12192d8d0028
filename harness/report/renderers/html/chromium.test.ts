import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import axe from 'axe-core';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sampleReport } from '../../report-builders.ts';
import { findChromium } from './chromium.ts';
import { htmlRenderer } from './html.ts';

const PICTURES = fileURLToPath(new URL('./pictures/', import.meta.url));
const executablePath = findChromium();

// Without a Chromium on this machine html.test.ts has said what can be said without a layout.
describe.skipIf(executablePath === undefined)('in a Chromium', { timeout: 120_000 }, () => {
  let browser: Browser;
  let folder: string;
  const file = (name: string): string => join(folder, name);

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'conformance-report-'));
    writeFileSync(file('report.html'), htmlRenderer.render(sampleReport(158)));
    // Each kind of result some times: axe looks at every element, and more of the same would only take longer.
    const all = sampleReport(60);
    const results = all.results.filter(({ outcome }, index) => index < 24 || outcome === 'disabled');
    expect(new Set(results.map(({ outcome }) => outcome))).toEqual(new Set(all.results.map(({ outcome }) => outcome)));
    const planned = results.map(({ id }) => id);
    writeFileSync(file('everything.html'), htmlRenderer.render({ ...all, planned, results }));
    writeFileSync(file('no-verdict.html'), htmlRenderer.render(sampleReport(20, true)));
    browser = await chromium.launch({ executablePath: executablePath ?? '', args: ['--no-sandbox'] });
  }, 60_000);

  afterAll(async () => {
    await browser?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  async function open(
    name: string,
    { hash = '', ...options }: { hash?: string } & Parameters<Browser['newContext']>[0] = {},
  ) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, bypassCSP: false, ...options });
    const page = await context.newPage();
    const asked: string[] = [];
    const wrong: string[] = [];
    page.on('request', (request) => asked.push(request.url()));
    page.on('console', (message) => wrong.push(message.text()));
    page.on('pageerror', (error) => wrong.push(error.message));
    await page.goto(pathToFileURL(file(name)).href + hash);
    return { page, asked, wrong, [Symbol.asyncDispose]: () => context.close() };
  }

  const isVisible = (page: Page, selector: string): Promise<boolean> => page.locator(selector).first().isVisible();

  test.each([
    ['light', 1280],
    ['dark', 1280],
    ['light', 390],
    ['dark', 390],
  ] as const)('axe finds no violation: %s, %i pixels wide', async (colorScheme, width) => {
    for (const name of ['everything.html', 'no-verdict.html']) {
      await using opened = await open(name, { colorScheme, viewport: { width, height: 900 }, bypassCSP: true });
      const { page } = opened;
      // Everything open, so that everything is looked at.
      await page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true");
      await page.addScriptTag({ content: axe.source });
      // Of what passes nothing is asked: axe would make a selector for each element.
      const violations = await page.evaluate<[string, string][]>(
        `axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) =>
          violations.map(({ id, nodes }) => [id, nodes[0].html + nodes[0].failureSummary]))`,
      );
      expect(violations).toEqual([]);
      const overflow = await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth');
      expect(overflow, `${name} scrolls sideways`).toBeLessThanOrEqual(0);
    }
  });

  test('it asks for nothing but itself, and nothing goes wrong', async () => {
    await using opened = await open('report.html');
    expect(opened.asked.filter((url) => !url.startsWith('data:'))).toEqual([pathToFileURL(file('report.html')).href]);
    expect(opened.wrong).toEqual([]);
  });

  test('with scripts off the verdict and how to fix it can be read; what needs a script is not there', async () => {
    await using opened = await open('report.html', { javaScriptEnabled: false });
    const { page } = opened;
    expect(await page.locator('h1').innerText()).toBe('Not conformant');
    expect(await page.locator('#failures .result').first().innerText()).toContain('How to fix it');
    expect([await isVisible(page, '#search'), await isVisible(page, '.copy')]).toEqual([false, false]);
    // A closed one opens without a script.
    await page.locator('#results .result summary').first().click();
    expect(await isVisible(page, '#results .result .body')).toBe(true);
  });

  test('a link to a requirement opens it, a filter stays in the address', async () => {
    await using opened = await open('report.html', { hash: '#AI-20' });
    const { page } = opened;
    expect(await isVisible(page, '#AI-20 .body')).toBe(true);
    await page.keyboard.press('/');
    await page.keyboard.type('configmaps "runner"');
    expect(await page.locator('#found').innerText()).toBe('8 of 158');
    await page.reload();
    expect(await page.locator('.result:visible').count()).toBe(8);
  });

  test('dark by choice, and that stays', async () => {
    await using opened = await open('report.html');
    const { page } = opened;
    const background = (): Promise<string> => page.evaluate('getComputedStyle(document.body).backgroundColor');
    const light = await background();
    await page.keyboard.press('t');
    const dark = await background();
    expect(dark).not.toBe(light);
    await page.reload();
    expect(await background()).toBe(dark);
  });

  test('on paper: what must be fixed is open, what cannot be used is not there', async () => {
    await using opened = await open('report.html');
    const { page } = opened;
    await page.emulateMedia({ media: 'print' });
    await page.evaluate("dispatchEvent(new Event('beforeprint'))");
    expect([await isVisible(page, '.bar-top'), await page.locator('#failures .result:not([open])').count()]).toEqual([
      false,
      0,
    ]);
    expect((await page.pdf()).length).toBeGreaterThan(20_000);
  });

  // The pictures are evidence for people: UPDATE_PICTURES=1 takes them again.
  test.runIf(process.env.UPDATE_PICTURES !== undefined)('pictures', async () => {
    await using light = await open('report.html');
    await light.page.screenshot({ path: join(PICTURES, 'verdict.png') });
    await using dark = await open('report.html', { colorScheme: 'dark' });
    // What sticks to the window, and rows that are laid out only when they are seen, would move under the picture.
    await dark.page.addStyleTag({
      content: '.bar-top { display: none !important; } .quiet .result { content-visibility: visible !important; }',
    });
    for (const section of ['tokens', 'audiences', 'permissions']) {
      await dark.page.locator(`#${section}`).screenshot({ path: join(PICTURES, `${section}.png`) });
    }
    await using narrow = await open('no-verdict.html', { viewport: { width: 390, height: 780 } });
    await narrow.page.screenshot({ path: join(PICTURES, 'narrow.png') });
  });
});
