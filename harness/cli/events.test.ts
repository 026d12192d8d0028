import { expect, test } from 'vitest';
import { reportOf, resultOf } from '../report/report-builders.ts';
import { EventStream } from './events.ts';

test('each event is one line of JSON, and no token in it is whole', () => {
  let text = '';
  const events = new EventStream((part) => {
    text += part;
  });
  const heard: string[] = [];
  const progress = events.beside({
    onResult: ({ id }) => heard.push(id),
    onRerun: (rows) => heard.push(`${rows.length}`),
  });
  const signature = 's'.repeat(86);
  events.begin({ runId: 'r1', planned: [{ candidate: 'references', id: 'TR-01' }] });
  events.progress('cluster', `ready\neyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJodHRwczovL2EifQ.${signature}`);
  progress.onResult({
    id: 'TR-01',
    candidate: 'references',
    outcome: 'failed',
    reason: 'late',
    startedAt: '2026-03-02T09:00:00.000Z',
    durationMs: 10,
    evidence: [],
  });
  progress.onRerun([{ candidate: 'references', id: 'TR-01' }]);
  events.end(reportOf([resultOf('TR-01', 'failed')]), ['report.json']);
  const lines = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(lines.map(({ event }) => event)).toEqual(['begin', 'progress', 'result', 'again', 'end']);
  expect(lines[2]).toMatchObject({ id: 'TR-01', outcome: 'failed', reason: 'late' });
  expect(lines[4]).toMatchObject({ conformant: false, harnessError: false, files: ['report.json'] });
  expect(text).not.toContain(signature);
  expect(heard).toEqual(['TR-01', '1']);
});
