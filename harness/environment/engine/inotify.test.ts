import { watch } from 'node:fs';
import { platform, tmpdir } from 'node:os';
import { describe, expect, it } from 'vitest';
import { evaluateInotify, readInotify, roomForClusters } from './inotify.ts';

describe('evaluateInotify', () => {
  it('is content where the clusters of a run have room', () => {
    expect(evaluateInotify({ limit: 128, used: 30 })).toEqual({
      value: 'max_user_instances 128, 30 in use: room for 4 clusters',
    });
  });

  it('says how to raise the limit where they have not', () => {
    const evaluated = evaluateInotify({ limit: 128, used: 101 });
    expect(evaluated.value).toBe('max_user_instances 128, 101 in use: room for 1 cluster');
    expect(evaluated.fix).toMatch(/^sysctl -w fs\.inotify\.max_user_instances=512/);
  });

  it('never speaks of a negative room', () => {
    expect(roomForClusters({ limit: 128, used: 140 })).toBe(0);
  });
});

it.runIf(platform() === 'linux' && process.getuid?.() === 0)('counts the instances that are open', async () => {
  const before = await readInotify();
  const watcher = watch(tmpdir(), () => {});
  try {
    const during = await readInotify();
    expect(during?.limit).toBe(before?.limit);
    expect(during?.limit).toBeGreaterThan(0);
    expect(during?.used).toBeGreaterThan(0);
  } finally {
    watcher.close();
  }
});
