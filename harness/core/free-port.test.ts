import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { freePort } from './free-port.ts';

test('ports are given once, and can be listened at', async () => {
  const ports = await Promise.all(Array.from({ length: 20 }, freePort));
  expect(new Set(ports).size).toBe(20);
  for (const port of ports) {
    // Kernels give ports from 32768 on to whoever asks for any.
    expect(port).toBeLessThan(32_768);
  }
  const server = createServer().listen(ports[0]);
  await once(server, 'listening');
  server.close();
});
