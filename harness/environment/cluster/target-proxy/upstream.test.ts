import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { makePki } from '../../../core/pki.ts';
import { upstreamOf } from './upstream.ts';

test('a request carries what it was given, below the path of the cluster, and none of the kubeconfig’s credentials', async () => {
  const pki = await makePki('test');
  const server = createServer(await pki.issue('127.0.0.1'), (request, response) => {
    const { url, method, headers } = request;
    response.end(JSON.stringify({ url, method, authorization: headers.authorization }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const upstream = await upstreamOf(
    stringify({
      'current-context': 'x',
      clusters: [
        {
          name: 'x',
          cluster: {
            server: `https://127.0.0.1:${port}/clusters/a/`,
            'certificate-authority-data': Buffer.from(pki.ca).toString('base64'),
          },
        },
      ],
      users: [{ name: 'x', user: { token: 'the harness’s own' } }],
      contexts: [{ name: 'x', context: { cluster: 'x', user: 'x' } }],
    }),
  );
  const ask = async (headers: Record<string, string>): Promise<unknown> => {
    const request = upstream.open({ method: 'PUT', path: '/api?limit=1', headers });
    request.end();
    const [response] = await once(request, 'response');
    return json(response);
  };
  try {
    expect(await ask({ authorization: 'Bearer x' })).toEqual({
      url: '/clusters/a/api?limit=1',
      method: 'PUT',
      authorization: 'Bearer x',
    });
    expect(await ask({})).toEqual({ url: '/clusters/a/api?limit=1', method: 'PUT' });
  } finally {
    upstream.close();
    server.closeAllConnections();
    server.close();
  }
});

test('a kubeconfig without a current context is refused', async () => {
  await expect(upstreamOf(stringify({ clusters: [], users: [], contexts: [] }))).rejects.toThrow(
    'the kubeconfig has no current context',
  );
});
