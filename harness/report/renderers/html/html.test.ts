import axe from 'axe-core';
import fc from 'fast-check';
import { JSDOM } from 'jsdom';
import { describe, expect, test, vi } from 'vitest';
import { OUTCOMES } from '../../../core/outcome.ts';
import { wholeTokensIn } from '../../../core/redact.ts';
import { failuresOf } from '../../failures.ts';
import { reportOf, resultOf, sampleReport } from '../../report-builders.ts';
import { htmlRenderer } from './html.ts';

const TWO_MEGABYTES = 2_000_000;

// A document object model of two megabytes on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

const failing = sampleReport(158);
/** Fewer results, where a document object model is to be at work. */
const few = sampleReport(60);
const small = htmlRenderer.render(few);
const parser = new new JSDOM('').window.DOMParser();
/** The page as a tree alone: nothing is styled, loaded or run, and no window is made for it. */
const parse = (text: string): Document => parser.parseFromString(text, 'text/html');
const page = parse(htmlRenderer.render(failing));
/** The page with its script at work, as at `address`. */
const alive = (text: string, address = ''): JSDOM =>
  new JSDOM(text, {
    runScripts: 'dangerously',
    url: `https://report.test/report.html${address}`,
    pretendToBeVisual: true,
  });

const shownIds = (document: Document): string[] =>
  [...document.querySelectorAll<HTMLElement>('.result')].filter((row) => !row.hidden).map(({ id }) => id);

describe('what the page says without its script', () => {
  const document = page;

  test('the verdict comes first, with what it rests on', () => {
    expect(document.querySelector('h1')?.textContent).toBe('Not conformant');
    expect(document.querySelector('.sum')?.textContent).toMatch(/MUST requirements failed/);
    expect(document.body.firstElementChild?.nextElementSibling?.querySelector('h1')).not.toBeNull();
    expect(document.title).toBe('Not conformant: example-agent');
  });

  test('each result is there once, what must be fixed in the order of weight', () => {
    expect(shownIds(document).toSorted()).toEqual(failing.results.map(({ id }) => id).toSorted());
    const order = failuresOf(failing).flatMap(({ results }) => results.map(({ id }) => id));
    expect([...document.querySelectorAll('#failures .result')].map(({ id }) => id)).toEqual(order);
    expect(order.length).toBeGreaterThan(20);
  });

  test('a failure has its statement, what was seen, why it matters, how to fix it, its source and the command', () => {
    const row = document.getElementById('TR-22');
    const [result] = failing.results.filter(({ id }) => id === 'TR-22');
    expect(row?.hasAttribute('open')).toBe(true);
    const text = row?.textContent ?? '';
    const expected = [result?.statement, result?.rationale, result?.remedy, ...(result?.source ?? [])];
    for (const part of [
      ...expected,
      '7 times',
      'npm run conformance -- run --target example-agent.yaml --requirement TR-22',
    ]) {
      expect(text).toContain((part ?? 'missing').replaceAll('`', ''));
    }
    for (const { texts } of result?.findings ?? []) {
      for (const one of texts) {
        expect(text).toContain(one);
      }
    }
    expect(row?.querySelector('.evidence pre')?.textContent).toContain('exchange failed: 400 invalid_grant');
  });

  test('requirements that fail for one reason stand under it', () => {
    const shared = [...document.querySelectorAll('.group.shared')].find((group) =>
      group.textContent?.includes('preflight failed'),
    );
    expect(shared?.querySelector('.cause')?.textContent).toMatch(
      /^8 requirements for one reason: the job runner does not accept work/,
    );
    expect(shared?.querySelectorAll('.result')).toHaveLength(8);
  });

  test('the audience matrix marks the one field that must not be', () => {
    const wrong = [...document.querySelectorAll('.matrix .cell.fail')];
    expect(wrong.map(({ textContent }) => textContent)).toEqual(['✕ accepted, must be refusedHTTP 200']);
  });

  test('a token is a bar with its events, and they are in a table too', () => {
    const lane = document.querySelector('.lane .track[role="img"]');
    expect(lane?.getAttribute('aria-label')).toMatch(/^subject token [0-9a-f]{12}: minted .* expired /);
    expect(document.querySelectorAll('#tokens table tbody tr')).toHaveLength(failing.timeline.length);
  });

  test('the permission diff: missing first, and the smallest Role to copy', () => {
    const rows = [...document.querySelectorAll('#permissions tbody tr')].map(({ textContent }) => textContent);
    expect(rows[0]).toContain('get configmaps/runner');
    expect(rows[0]).toContain('missing');
    expect(rows.filter((row) => row?.includes('surplus'))).toHaveLength(2);
    expect(document.querySelector('#permissions [data-copy]')?.getAttribute('data-copy')).toBe(
      failing.permissions?.[0]?.smallest,
    );
  });
});

test('a failure that follows from another one says so, and leads there', () => {
  const document = parse(
    htmlRenderer.render(
      reportOf([
        resultOf('TX-10', 'failed'),
        resultOf('TX-12', 'not testable', { reason: 'a good token is refused, see TX-10' }),
      ]),
    ),
  );
  const [, second] = document.querySelectorAll('.glance li');
  expect(second?.textContent).toContain('follows from TX-10');
  expect(document.querySelector('#TX-12 .findings a')?.getAttribute('href')).toBe('#TX-10');
});

test('no verdict: what went wrong in the harness, and nothing about the implementation', () => {
  const document = parse(
    htmlRenderer.render(
      reportOf([resultOf('TR-01', 'passed'), resultOf('TR-02', 'harness error')], {
        planned: ['TR-01', 'TR-02', 'TR-03'],
        faults: ['a worker died'],
      }),
    ),
  );
  expect(document.querySelector('h1')?.textContent).toBe('No verdict');
  expect(document.querySelector('#harness')?.textContent).toMatch(
    /a worker died.*not executed: TR-03.*TR-02 is harness error/s,
  );
  expect(document.querySelector('#failures')).toBeNull();
  const both = parse(htmlRenderer.render(sampleReport(20, true)));
  expect([...both.querySelectorAll('main > section')].slice(0, 2).map(({ id }) => id)).toEqual(['harness', 'failures']);
});

test('a report of before statements, findings and commands were in it is shown as far as it goes', () => {
  const document = parse(
    htmlRenderer.render(reportOf(OUTCOMES.map((outcome, index) => resultOf(`TR-0${index}`, outcome)))),
  );
  expect(shownIds(document)).toHaveLength(6);
  expect(document.getElementById('TR-01')?.textContent).toContain('TR-01 is failed for a reason');
});

test('what evidence, reasons or names hold is text, whatever it is', () => {
  const evil = `</script><script>alert(1)</script><img src=x onerror="alert(2)">" onload='x' \u202e\u0007${'é'.repeat(3)}`;
  const document = parse(
    htmlRenderer.render(
      reportOf(
        [
          resultOf('TR-01', 'failed', {
            reason: evil,
            statement: evil,
            remedy: evil,
            source: [evil, 'script', 'quote'],
            evidence: [
              {
                label: evil,
                at: '2026-03-02T09:00:00.000Z',
                data: { [evil]: [{ a: evil, b: [evil] }, { a: `${evil}\n` }] },
              },
            ],
          }),
        ],
        {
          target: { name: evil },
          faults: [evil],
          environment: { [evil]: evil },
          sources: {
            [evil]: 'https://x.test',
            script: 'javascript:alert(1)',
            quote: `https://x.test/"onclick="${evil}`,
          },
          invocation: { program: evil, options: [evil] },
        },
      ),
    ),
  );
  expect(document.querySelectorAll('script')).toHaveLength(1);
  expect(document.querySelectorAll('a[href^="javascript"]')).toHaveLength(0);
  expect(document.querySelectorAll('img, [onload], [onerror], [onclick]')).toHaveLength(0);
  for (const control of ['\u202e', '\u0007']) {
    expect(document.body.textContent).not.toContain(control);
  }
  expect(document.getElementById('TR-01')?.textContent).toContain('<img src=x onerror="alert(2)">');
});

test('whatever evidence is, the page is one page: one script, no handler, no element of it', () => {
  // As `unit: 'binary'`, for which a table of all of them would be made.
  const unit = fc
    .nat(0x10ffff)
    .filter((point) => point < 0xd800 || point > 0xdfff)
    .map((point) => String.fromCodePoint(point));
  const nasty = fc.oneof(
    fc.string({ unit, maxLength: 40 }),
    fc.constantFrom('</pre><script>', '"><b onclick=x>', '<!--', ']]>', '${1}', '\u2028', '&#60;img&#62;'),
  );
  const data = fc.jsonValue({ stringUnit: unit, maxDepth: 5 });
  fc.assert(
    fc.property(nasty, nasty, data, (label, reason, seen) => {
      const evidence = [
        { label, at: '2026-03-02T09:00:00.000Z', data: { [label]: seen, [reason]: [{ [reason]: label }] } },
      ];
      const text = htmlRenderer.render(reportOf([resultOf('TR-01', 'failed', { reason, evidence })]));
      const document = parse(text);
      expect(document.querySelectorAll('script')).toHaveLength(1);
      expect(document.querySelectorAll('.result img, .result b, [onclick]')).toHaveLength(0);
      expect(document.querySelector('#TR-01 .evidence')).not.toBeNull();
      expect(document.querySelector('footer')?.closest('.result')).toBeNull();
    }),
    { numRuns: 60 },
  );
});

test('it loads nothing: no address but those of links, and a policy that forbids the rest', () => {
  const document = page;
  expect(document.querySelectorAll('link[rel="stylesheet"], script[src], iframe, img, object, embed')).toHaveLength(0);
  expect(document.querySelector('style')?.textContent).not.toMatch(/url\(|@import/);
  expect(document.querySelector('meta[http-equiv]')?.getAttribute('content')).toMatch(/^default-src 'none'/);
});

test.each([158, 2000])('%i results stay below 2 MB; what is left out is said to be', (count) => {
  const report = sampleReport(count);
  const text = htmlRenderer.render(report);
  expect(Buffer.byteLength(text)).toBeLessThan(TWO_MEGABYTES);
  expect(wholeTokensIn(text)).toEqual([]);
  const document = parse(text);
  expect(document.querySelectorAll('.result')).toHaveLength(count);
  expect(text.includes('left out to keep this page small')).toBe(count === 2000);
  // What must be fixed is whole, whatever had to go.
  expect(
    [...document.querySelectorAll('#failures .result')].every((row) => row.textContent?.includes('How to fix it')),
  ).toBe(true);
});

test('the life of tokens is not lost among many uses, nor among providers that are shown one token', () => {
  const at = (seconds: number): string => new Date(Date.UTC(2026, 2, 2, 9, 0, seconds)).toISOString();
  const busy = { token: 'a'.repeat(12), kind: 'subject token', where: '/var/run/token' } as const;
  const uses = Array.from({ length: 90 }, (_, use) => ({ ...busy, at: at(2 + use), event: 'exchanged' as const }));
  const rotated = Array.from({ length: 20 }, (_, turn) => ({
    ...busy,
    token: `${turn}`.padStart(12, 'b'),
    at: at(turn),
    event: 'mounted' as const,
  }));
  const simulated = Array.from({ length: 40 }, (_, one) => ({
    token: `${one}`.padStart(12, 'c'),
    kind: 'access token' as const,
    where: `simulated-${one}`,
    at: at(one),
    event: 'issued' as const,
  }));
  const { timeline } = reportOf([], {
    timeline: [
      { ...busy, at: at(0), event: 'minted' },
      ...uses.slice(0, 45),
      { ...busy, at: at(48), event: 'expired' },
      ...uses.slice(45),
      ...rotated,
      ...simulated,
    ],
  });
  const drawn = parse(htmlRenderer.render(reportOf([resultOf('TR-23', 'passed')], { timeline })));
  const lanes = drawn.querySelectorAll('#tokens .lanes > .lane > .track[role="img"]');
  expect(lanes).toHaveLength(21);
  const [first] = lanes;
  expect(first?.querySelectorAll('.m.minted, .m.expired')).toHaveLength(2);
  expect(first?.querySelectorAll('.m.exchanged').length).toBeLessThan(30);
  expect(drawn.querySelectorAll('.further .track')).toHaveLength(40);
  expect(drawn.querySelector('.further summary')?.textContent).toContain('40 providers with few tokens');
});

test('a run of very many tokens and providers stays below 2 MB, too', () => {
  const report = sampleReport(400);
  const { timeline, matrix } = report;
  if (matrix === undefined) {
    throw new Error('no matrix');
  }
  const many = Array.from({ length: 60 }, (_, index) => index);
  const text = htmlRenderer.render({
    ...report,
    timeline: many.flatMap((round) =>
      timeline.flatMap((event) =>
        Array.from({ length: 8 }, (_, copy) => ({
          ...event,
          token: `${event.token}-${round}`,
          where: `${event.where}-${round}`,
          detail: `${copy}`,
        })),
      ),
    ),
    matrix: {
      providers: many.flatMap((round) =>
        matrix.providers.map((provider) => ({ ...provider, name: `${provider.name}-${round}` })),
      ),
      subjectTokens: many.flatMap((round) =>
        many.flatMap((other) =>
          matrix.subjectTokens.map((cell) => ({
            ...cell,
            provider: `${cell.provider}-${round}`,
            token: `${cell.token}-${other}`,
          })),
        ),
      ),
      accessTokens: [],
    },
  });
  expect(Buffer.byteLength(text)).toBeLessThan(TWO_MEGABYTES);
  expect(parse(text).querySelector('#audiences')?.textContent).toContain('production-0 at staging-0: accepted');
});

test('evidence of many megabytes is cut, and what is red keeps more of it', () => {
  const big = { label: 'log', at: '2026-03-02T09:00:00.000Z', data: 'line\n'.repeat(400_000) };
  const text = htmlRenderer.render(
    reportOf([resultOf('TR-01', 'failed', { evidence: [big] }), resultOf('TR-02', 'passed', { evidence: [big] })]),
  );
  expect(Buffer.byteLength(text)).toBeLessThan(200_000);
  const document = parse(text);
  const lengthOf = (id: string): number => document.getElementById(id)?.textContent?.length ?? 0;
  expect(lengthOf('TR-01')).toBeGreaterThan(10_000);
  expect(lengthOf('TR-01')).toBeGreaterThan(lengthOf('TR-02') * 4);
});

describe('filter, search, links and keys', () => {
  test('search keeps what holds every word, and the address says so', () => {
    const { window } = alive(small);
    const { document } = window;
    const search = document.querySelector<HTMLInputElement>('#search');
    if (search === null) {
      throw new Error('no search');
    }
    search.value = 'configmaps "runner"';
    search.dispatchEvent(new window.Event('input'));
    expect(shownIds(document)).toHaveLength(8);
    expect(document.querySelector('#found')?.textContent).toBe('8 of 60');
    expect(window.location.hash).toBe('#/q=configmaps+%22runner%22');
    // The overview says what the results below it say.
    const lines = [...document.querySelectorAll<HTMLElement>('.glance li')].filter((line) => !line.hidden);
    expect(lines.flatMap(({ dataset }) => dataset.ids?.split(' ') ?? [])).toEqual(shownIds(document));
    search.value = 'nothing has this';
    search.dispatchEvent(new window.Event('input'));
    expect(document.querySelector<HTMLElement>('#nothing')?.hidden).toBe(false);
    document.querySelector<HTMLButtonElement>('#clear')?.click();
    expect(shownIds(document)).toHaveLength(60);
  });

  test('an address that names a filter shows that', () => {
    const { document } = alive(small, '#/outcome=not+testable&role=job-runner').window;
    const shown = shownIds(document);
    const wanted = few.results.filter(({ outcome, role }) => outcome === 'not testable' && role === 'job-runner');
    expect(shown.toSorted()).toEqual(wanted.map(({ id }) => id).toSorted());
    expect(shown.length).toBeGreaterThan(0);
  });

  test('keys go from result to result, open one, and are off when they are switched off', () => {
    const { window } = alive(small);
    const { document } = window;
    const press = (key: string): boolean =>
      (document.activeElement ?? document.body).dispatchEvent(
        new window.KeyboardEvent('keydown', { key, bubbles: true }),
      );
    // jsdom has no layout to scroll.
    window.Element.prototype.scrollIntoView = () => undefined;
    press('j');
    press('j');
    const row = document.activeElement?.closest<HTMLDetailsElement>('.result');
    expect(row?.id).toBe(shownIds(document)[1]);
    const before = row?.open;
    press('o');
    expect(row?.open).toBe(!before);
    press('f');
    expect(
      new Set(
        [...document.querySelectorAll<HTMLElement>('.result:not([hidden])')].map(({ dataset }) => dataset.outcome),
      ),
    ).toEqual(new Set(['failed']));
    const keys = document.querySelector<HTMLInputElement>('#keys');
    if (keys === null) {
      throw new Error('no switch');
    }
    keys.click();
    press('f');
    expect(shownIds(document).length).toBeLessThan(60);
  });
});

test('axe finds no violation', async () => {
  // Every kind of result and of section once; more of the same would only take longer.
  const report = sampleReport(24, true);
  expect(new Set(report.results.map(({ outcome }) => outcome))).toEqual(
    new Set(['passed', 'failed', 'not testable', 'not applicable', 'harness error']),
  );
  const { window } = alive(htmlRenderer.render(report));
  window.eval(axe.source);
  // Colours need a layout: see chromium.test.ts.
  const { violations } = (await window.eval(
    "axe.run(document, { resultTypes: ['violations'], rules: { 'color-contrast': { enabled: false } } })",
  )) as { violations: { id: string; nodes: { html: string }[] }[] };
  expect(violations.map(({ id, nodes }) => [id, nodes[0]?.html])).toEqual([]);
});
