import { expect, test } from 'vitest';
import type { Exchange } from './exchange.ts';
import { JOB_FAULTS } from './jobs.ts';

const LOG = '/api/v1/namespaces/a/pods/b/log';
const JOB = '/apis/batch/v1/namespaces/a/jobs/b';

/** Path of the request that a fault sends on; undefined where it is not concerned. */
async function sentBy(fault: string, method: string, path: string): Promise<string | undefined> {
  const exchange: Exchange = { method, path, headers: {}, body: Buffer.alloc(0) };
  const own = JOB_FAULTS[fault]?.();
  if (own?.concerns(exchange) !== true) {
    return undefined;
  }
  const sent: string[] = [];
  await own.answer(exchange, async (changed) => {
    sent.push(changed.path);
    return { status: 200, body: Buffer.alloc(0) };
  });
  return sent[0];
}

test.each([
  ['orphans-pods', 'DELETE', `${JOB}?propagationPolicy=Background`, `${JOB}?propagationPolicy=Orphan`],
  ['orphans-pods', 'DELETE', `${JOB}?propagationPolicy=Foreground`, undefined],
  ['log-limit-ignored', 'GET', `${LOG}?limitBytes=1&follow=true`, `${LOG}?follow=true`],
  ['log-limit-ignored', 'GET', LOG, undefined],
  ['log-not-followed', 'GET', `${LOG}?follow=true&timestamps=true`, `${LOG}?timestamps=true`],
  ['log-not-followed', 'GET', '/api/v1/namespaces/a/pods/b?follow=true', undefined],
])('%s: %s %s is sent as %s', async (fault, method, path, expected) => {
  await expect(sentBy(fault, method, path)).resolves.toBe(expected);
});
