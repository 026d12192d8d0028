import { describe, expect, it } from 'vitest';
import { type ApiRecord, askedFor, describeRecord } from '../../kubernetes/api-record.ts';
import { disagreements, readAuditLog } from './audit-log.ts';

const USER = 'system:serviceaccount:a:runner';

const event = (auditID: string, stage: string, more: Record<string, unknown>): string =>
  JSON.stringify({
    kind: 'Event',
    auditID,
    stage,
    user: { username: USER },
    requestReceivedTimestamp: '2026-11-21T10:00:00.000000Z',
    stageTimestamp: '2026-11-21T10:00:01.500000Z',
    ...more,
  });

const CREATED = event('1', 'ResponseComplete', {
  verb: 'create',
  requestURI: '/apis/batch/v1/namespaces/a/jobs?fieldManager=x',
  objectRef: { resource: 'jobs', namespace: 'a', name: 'from-the-body', apiGroup: 'batch', apiVersion: 'v1' },
  responseStatus: { code: 201 },
});
const WATCHED = ['ResponseStarted', 'ResponseComplete'].map((stage) =>
  event('2', stage, {
    verb: 'watch',
    requestURI: '/api/v1/namespaces/a/pods?watch=true&labelSelector=x%3Dy',
    objectRef: { resource: 'pods', namespace: 'a', apiVersion: 'v1' },
    responseStatus: { code: 200 },
  }),
);

it('reads one record a request, as the proxy would', () => {
  const foreign = event('3', 'ResponseComplete', { verb: 'get', requestURI: '/', user: { username: 'somebody' } });
  expect(readAuditLog([CREATED, ...WATCHED, foreign, ''].join('\n'), { user: USER })).toEqual([
    {
      at: '2026-11-21T10:00:00.000000Z',
      user: USER,
      ...askedFor('POST', '/apis/batch/v1/namespaces/a/jobs'),
      code: 201,
      durationMs: 1500,
    },
    {
      at: '2026-11-21T10:00:00.000000Z',
      user: USER,
      ...askedFor('GET', '/api/v1/namespaces/a/pods?watch=true&labelSelector=x%3Dy'),
      code: 200,
      durationMs: 1500,
    },
  ]);
});

it('finds requests by their address, authenticated or not', () => {
  const unknown = event('4', 'ResponseComplete', {
    user: {},
    sourceIPs: ['10.42.0.9'],
    verb: 'get',
    requestURI: '/version',
    responseStatus: { code: 401 },
  });
  expect(readAuditLog([CREATED, unknown].join('\n'), { address: '10.42.0.9' })).toMatchObject([
    { user: 'nobody', path: '/version', code: 401 },
  ]);
});

it('names a line that is no event', () => {
  expect(() => readAuditLog('grep: no such file', { user: USER })).toThrow('grep: no such file');
});

describe('two records', () => {
  const record = (url: string, code: number, more: Partial<ApiRecord> = {}): ApiRecord => ({
    at: '',
    user: USER,
    ...askedFor('GET', url),
    code,
    durationMs: 0,
    ...more,
  });
  const list = record('/api/v1/namespaces/a/pods', 200);

  it('agree whatever the order', () => {
    const other = record('/version', 200);
    expect(disagreements([list, list, other], [other, list, list])).toEqual([]);
  });

  it('disagree in number and in status', () => {
    expect(disagreements([list, list], [list])).toEqual(['list pods in a → 200: 1 more in the proxy’s record']);
    expect(disagreements([], [list])).toEqual(['list pods in a → 200: 1 more in the audit log']);
    expect(disagreements([list], [{ ...list, code: 403 }])).toHaveLength(2);
  });

  it('are not compared where a fault of the proxy was at work', () => {
    expect(disagreements([{ ...list, code: 429, fault: 'too-many-requests' }], [])).toEqual([]);
    expect(disagreements([{ ...list, code: 0 }], [list])).toEqual([]);
    expect(disagreements([{ ...list, code: 0 }], [list, list])).toHaveLength(1);
  });
});

it.each([
  ['GET', '/api/v1/namespaces/a/pods/p/log?follow=true', 'get pods/log p in a'],
  ['GET', '/api/v1/namespaces/a/pods?fieldSelector=metadata.name%3Dp', 'list pods p in a'],
  [
    'GET',
    '/api/v1/namespaces/a/pods?watch=1&fieldSelector=metadata.name%3Dp,status.phase%3DRunning',
    'watch pods p in a',
  ],
  ['DELETE', '/apis/batch/v1/namespaces/a/jobs?labelSelector=x', 'deletecollection jobs.batch in a'],
  ['GET', '/apis/batch/v1?timeout=32s', 'get /apis/batch/v1'],
  ['GET', '/api/v1/pods', 'list pods'],
  ['GET', '/api/v1/namespaces/a', 'get namespaces a in a'],
])('%s %s is %s', (method, url, description) => {
  expect(describeRecord(askedFor(method, url))).toBe(description);
});
