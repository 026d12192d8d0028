import { tmpdir } from 'node:os';
import { afterEach, expect, test } from 'vitest';
import { type ProcessGroup, startProcessGroup } from '../../../../core/process-group.ts';
import { GroupListeners, groupIn, listeningSockets } from './listeners.ts';

const groups: ProcessGroup[] = [];
const watches: GroupListeners[] = [];

afterEach(async () => {
  for (const watch of watches.splice(0)) {
    await watch.stop();
  }
  for (const group of groups.splice(0)) {
    await group.stop();
  }
});

/** A process that lets a child listen, and writes the port. */
async function listening(): Promise<{ pid: number; port: number }> {
  const child =
    "const s = require('node:net').createServer().listen(0, '127.0.0.1', () => console.log(s.address().port))";
  const script = `require('node:child_process').spawn(process.execPath, ['-e', ${JSON.stringify(child)}], { stdio: 'inherit' })`;
  const group = startProcessGroup([process.execPath, '-e', script], { env: process.env, cwd: tmpdir() });
  groups.push(group);
  const port = await new Promise<number>((resolve) =>
    group.child.stdout?.once('data', (text) => resolve(Number(text))),
  );
  return { pid: group.pid ?? 0, port };
}

test.runIf(process.platform === 'linux')(
  'the ports of a process group are seen, a child of it included, and no others',
  async () => {
    const [own, other] = await Promise.all([listening(), listening()]);
    const watch = new GroupListeners();
    watches.push(watch);
    watch.add(own.pid);
    const ports = (await watch.listeners()).map(({ port }) => port);
    expect(ports).toEqual([own.port]);
    expect(ports).not.toContain(other.port);
    expect(await GroupListeners.canLook()).toBe(true);
  },
);

test('tables of the kernel are read by their columns', () => {
  const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 0 100 0 0 10 0
   1: 0100007F:1F91 0100007F:0016 01 00000000:00000000 00:00000000 00000000     0        0 4243 1 0 100 0 0 10 0`;
  expect(listeningSockets(table)).toEqual(new Map([['4242', 8080]]));
  expect(groupIn('7 (a (strange) name) S 1 5 5 0 -1')).toBe(5);
});
