import { describe, expect, test } from 'vitest';
import { cutMiddle, inOneLine, lastErrorLines, quotedIn, quoting, splitFindings } from './quotation.ts';

describe('a fact and the product’s own words', () => {
  const text = quoting('the runner refused to start', 'not allowed: list events\n\nbind the Role');

  test('stand apart, and can be taken apart again', () => {
    expect(text).toBe('the runner refused to start. It printed:\n    not allowed: list events\n    bind the Role');
    expect(quotedIn(text)).toEqual({
      fact: 'the runner refused to start',
      how: 'It printed',
      lines: ['not allowed: list events', 'bind the Role'],
    });
    expect(quotedIn('no quotation: at all')).toEqual({ fact: 'no quotation: at all', how: '', lines: [] });
    expect(quoting('nothing was said', [' '])).toBe('nothing was said');
  });

  test('in one line the words are in quotation marks', () => {
    expect(inOneLine(text)).toBe('the runner refused to start. It printed: “not allowed: list events bind the Role”');
  });

  test('of several findings each keeps its quotation', () => {
    expect(splitFindings(`first\n${text}\nlast`)).toEqual(['first', text, 'last']);
  });
});

test('a text that is too long loses its middle', () => {
  expect(cutMiddle('short', 10)).toBe('short');
  const cut = cutMiddle(`the fact ${'x'.repeat(200)} the end`, 40);
  expect(cut).toMatch(/^the fact x+ … x* the end$/);
  expect(cut.length).toBeLessThanOrEqual(40);
});

describe('of a log, the last error lines', () => {
  test('what follows the last harmless line, where it holds an error', () => {
    expect(
      lastErrorLines(['[INFO] listening', 'warning', '[INFO] Created pod', 'error: WebSocket failed', '{ type }']),
    ).toEqual(['error: WebSocket failed', '{ type }']);
  });

  test('without an error, all but the harmless lines; of harmless ones alone, the last', () => {
    expect(lastErrorLines(['2026-01-01T00:00:00Z INFO up', 'odd'])).toEqual(['odd']);
    expect(lastErrorLines(['level=info msg=up'])).toEqual(['level=info msg=up']);
  });

  test('what is cut is counted', () => {
    expect(lastErrorLines(['error: one', 'two', 'three'], 2)).toEqual(['… 1 lines before', 'two', 'three']);
  });
});
