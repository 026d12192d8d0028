import { describe, expect, it } from 'vitest';
import { StepReporter } from '../engine/progress.ts';
import { forecast, Overview, roughly } from './forecast.ts';

const node = { name: 'node', compile: 400, build: 40 };
const base = { name: 'base', compile: 0, build: 30 };
const one = { name: 'one', compile: 0, build: 60 };
const two = { name: 'two', compile: 0, build: 60 };

describe('forecast', () => {
  it('shares the work among the processors, a common base counted once', () => {
    expect(forecast([[node], [base, one], [base, two]], 2)).toBe((440 + 30 + 60 + 60) / 2);
  });

  it('is never shorter than the longest chain', () => {
    expect(forecast([[node], [base, one], [base, two]], 16)).toBe(30 + 60);
  });

  it('is not known where nobody knows of one piece', () => {
    expect(forecast([[node], [{ ...base, build: Number.NaN }]], 2)).toBeNaN();
  });

  it('is nothing where nothing is to be done', () => {
    expect(forecast([], 2)).toBe(0);
  });
});

describe('roughly', () => {
  it.each([
    [3, 'about 10 s'],
    [41, 'about 50 s'],
    [89, 'about 90 s'],
    [91, 'about 2 min'],
    [455, 'about 8 min'],
  ])('%d s is %s', (seconds, text) => expect(roughly(seconds)).toBe(text));
});

describe('Overview', () => {
  const told = (missing: ReadonlyMap<string, readonly (typeof node)[]>) => {
    const notes: string[] = [];
    let now = 0;
    const overview = new Overview(missing, new StepReporter('images', ({ step }) => notes.push(step)), () => now);
    return { notes, overview, pass: (seconds: number) => (now += seconds * 1000) };
  };

  it('says first how long it takes, and then what is left', () => {
    const { notes, overview, pass } = told(
      new Map([
        ['one', [base, { ...one, build: 600 }]],
        ['two', [base, two]],
      ]),
    );
    overview.begin();
    pass(70);
    overview.ready('two');
    pass(600);
    overview.ready('one');
    expect(notes[0]).toMatch(/^2 to get: one, two; about 1[12] min on \d+ processors .* continues where it stopped\.$/);
    expect(notes.slice(1)).toEqual([
      'two is there, 1 of 2; 1 left: one; about 10 min',
      'one is there, 2 of 2; all are there',
    ]);
  });

  it('gives no time when it took longer than expected, rather than a negative one', () => {
    const { notes, overview, pass } = told(
      new Map([
        ['one', [one]],
        ['two', [two]],
      ]),
    );
    pass(1000);
    overview.ready('one');
    expect(notes).toEqual(['one is there, 1 of 2; 1 left: two']);
  });

  it('is silent where nothing is missing', () => {
    const { notes, overview } = told(new Map());
    overview.begin();
    expect(notes).toEqual([]);
  });
});
