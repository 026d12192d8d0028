import { expect, test } from 'vitest';
import { attributesOf } from './request-attributes.ts';

test.each([
  ['GET', '/api/v1/namespaces/a/pods', { verb: 'list', group: '', resource: 'pods', namespace: 'a' }],
  ['GET', '/api/v1/pods?watch=true', { verb: 'watch', group: '', resource: 'pods' }],
  ['GET', '/api/v1/pods?watch=false', { verb: 'list', group: '', resource: 'pods' }],
  [
    'DELETE',
    '/apis/batch/v1/namespaces/a/jobs/j',
    { verb: 'delete', group: 'batch', resource: 'jobs', namespace: 'a', name: 'j' },
  ],
  [
    'DELETE',
    '/apis/batch/v1/namespaces/a/jobs',
    { verb: 'deletecollection', group: 'batch', resource: 'jobs', namespace: 'a' },
  ],
  [
    'POST',
    '/api/v1/namespaces/a/serviceaccounts/s/token',
    { verb: 'create', group: '', resource: 'serviceaccounts', subresource: 'token', namespace: 'a', name: 's' },
  ],
  [
    'GET',
    '/api/v1/namespaces/a/pods/p:80/proxy/healthz?x=1',
    { verb: 'get', group: '', resource: 'pods', subresource: 'proxy', namespace: 'a', name: 'p:80' },
  ],
  ['GET', '/api/v1/namespaces/a', { verb: 'get', group: '', resource: 'namespaces', namespace: 'a', name: 'a' }],
  ['GET', '/api/v1/namespaces', { verb: 'list', group: '', resource: 'namespaces' }],
  [
    'PATCH',
    '/api/v1/nodes/n/status',
    { verb: 'patch', group: '', resource: 'nodes', subresource: 'status', name: 'n' },
  ],
  ['GET', '/version', undefined],
  ['GET', '/apis', undefined],
  ['GET', '/apis/batch/v1', undefined],
  ['GET', '/openid/v1/jwks', undefined],
])('%s %s', (method, path, attributes) => {
  expect(attributesOf(method, path)).toEqual(attributes);
});
