import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { HarnessError, NotApplicable } from '../../../core/errors.ts';
import { makeSigningKey } from '../../../fakes/additional-issuer.ts';
import { loadTarget } from '../../../targets/load.ts';
import { makeTestIssuer } from '../test-issuer.ts';
import { startTargetIdentityProvider } from './index.ts';
import type { IdentityProviderTarget } from './servers.ts';

const folder = mkdtempSync(join(tmpdir(), 'kube-agent-conformance-'));
afterAll(() => rmSync(folder, { recursive: true }));

function target(more: string): IdentityProviderTarget {
  const file = join(folder, 'target.yaml');
  writeFileSync(
    file,
    `apiVersion: conformance/v1
role: identity-provider
name: mine
server: { kind: running }
providers:
  - &provider
    name: production
    issuer: https://idp.example.com/production
    tokenEndpoint: https://idp.example.com/production/token
    audience: mine
    grants: [{ grant: jwt-bearer, clientAuthentication: none }]
    accessTokenAudience: inference
    accessTokenLifetimeSeconds: 60
${more}`,
  );
  return loadTarget(file) as IdentityProviderTarget;
}

const workload = { namespace: 'ns', serviceAccount: 'agent' };
const NOTE = `['node', '-e', "require('fs').appendFileSync('seen', JSON.stringify(process.env) + '\\\\n')"]`;

/** What the command was given, once for each time that it ran. */
function seen(): Record<string, string>[] {
  const lines = readFileSync(join(folder, 'seen'), 'utf8').trim().split('\n');
  rmSync(join(folder, 'seen'));
  return lines.map((line) => JSON.parse(line) as Record<string, string>);
}

test('an additional issuer is registered by the same steps as the cluster, in its place', async () => {
  const { context } = await makeTestIssuer();
  const provider = await startTargetIdentityProvider(
    context,
    target(`register: { command: ${NOTE} }
furtherIssuer:
  keys: key-url
  provider:
    issuer: https://idp.example.com/\${provider.name}
    tokenEndpoint: https://idp.example.com/\${provider.name}/token
    audience: further
    grants: [{ grant: jwt-bearer, clientAuthentication: none }]
    accessTokenAudience: inference
    accessTokenLifetimeSeconds: 60
  command: ${NOTE}
`),
  );
  expect(provider.description.keySources).toEqual(['key-url']);
  await provider.register('production', workload);
  expect(seen()).toMatchObject([{ CLUSTER_ISSUER: context.trust.issuer, PROVIDER_NAME: 'production' }]);

  const published = JSON.stringify({ keys: [makeSigningKey().jwk] });
  const issuer = 'https://further.example.com';
  const further = await provider.trusting?.({
    issuer,
    algorithms: ['ES256'],
    published,
    keys: { url: 'https://mirror' },
  });
  expect(further).toMatchObject({ audience: 'further', issuer: `https://idp.example.com/${further?.name}` });
  await provider.register(further?.name ?? '', workload);
  expect(seen()).toMatchObject(
    [{}, { WORKLOAD_SUBJECT: 'system:serviceaccount:ns:agent' }].map((own) => ({
      ...own,
      PROVIDER_NAME: further?.name,
      CLUSTER_ISSUER: issuer,
      CLUSTER_JWKS_URI: 'https://mirror',
      CLUSTER_JWKS: published,
    })),
  );
  await provider.stop();
});

test('where the file does not say how, there is no additional issuer, and the reason quotes the file', async () => {
  const { context } = await makeTestIssuer();
  const provider = await startTargetIdentityProvider(context, target(''));
  expect(provider.trusting).toBeUndefined();
  expect(provider.description.furtherIssuer?.quoted).toMatch(/target\.yaml has no "furtherIssuer"/);
  await provider.stop();
});

test('a person is asked for all that waits at once, and never believed by a file of an earlier time', async () => {
  const messages: string[] = [];
  const { context } = await makeTestIssuer();
  const done = join(folder, 'done');
  writeFileSync(done, '');
  const provider = await startTargetIdentityProvider(
    { ...context, onProgress: (message) => messages.push(message) },
    target(`register:
  manual: { steps: ['map \${workload.subject}'], doneFile: done, deadlineSeconds: 5 }
`),
  );
  const register = (serviceAccount: string): Promise<unknown> =>
    provider.register('production', { namespace: 'ns', serviceAccount });
  const first = register('a');
  await expect.poll(() => messages).toHaveLength(1);
  expect(existsSync(done)).toBe(false);
  const others = Promise.all([register('b'), register('c')]);
  writeFileSync(done, '');
  await first;
  await expect.poll(() => messages).toHaveLength(2);
  expect(messages[0]).toContain('1. map system:serviceaccount:ns:a');
  expect(messages[1]).toMatch(/1\. map system:serviceaccount:ns:b\n {2}2\. map system:serviceaccount:ns:c/);
  writeFileSync(done, '');
  await others;
  await provider.stop();
});

test('a command that fails, and one whose last line is no JSON, are reported with their place', async () => {
  const { context } = await makeTestIssuer();
  for (const [command, said] of [
    [`['node', '-e', 'console.error("no such tenant"); process.exit(3)']`, /register\.command failed.*no such tenant/],
    [`['node', '-e', 'console.log("{oops")']`, /register\.command: its last line is no JSON object: \{oops/],
  ] as const) {
    const provider = await startTargetIdentityProvider(context, target(`register: { command: ${command} }\n`));
    const act = provider.register('production', workload);
    await expect(act).rejects.toThrow(HarnessError);
    await expect(act).rejects.toThrow(said);
  }
});

test('ServiceAccounts that are registered already are known by the file alone, and no others can be', async () => {
  const { context } = await makeTestIssuer();
  const provider = await startTargetIdentityProvider(
    context,
    target(`register:
  clientId: '\${workload.serviceAccount}-at-\${provider.name}'
  workloads:
    namespace: agents
    serviceAccounts:
      - { name: agent-a }
      - { name: agent-b, clientId: b, clientSecret: not-told }
`),
  );
  expect(provider.description.registered).toMatchObject({
    namespace: 'agents',
    serviceAccounts: ['agent-a', 'agent-b'],
  });
  const register = (namespace: string, serviceAccount: string) =>
    provider.register('production', { namespace, serviceAccount });
  expect(await register('agents', 'agent-a')).toEqual({ clientId: 'agent-a-at-production' });
  expect(await register('agents', 'agent-b')).toEqual({ clientId: 'b', clientSecret: 'not-told' });
  for (const [namespace, name] of [
    ['agents', 'agent-c'],
    ['ns', 'agent-a'],
  ] as const) {
    await expect(register(namespace, name)).rejects.toThrow(
      new NotApplicable(
        `${relative(process.cwd(), join(folder, 'target.yaml'))} says "register.workloads": no ServiceAccount but those can be registered, and system:serviceaccount:${namespace}:${name} is none of them`,
      ),
    );
  }
  await provider.stop();
});

test('one registered ServiceAccount is too few', () => {
  expect(() => target('register: { workloads: { namespace: agents, serviceAccounts: [{ name: agent-a }] } }')).toThrow(
    /two at least.*register\.workloads\.serviceAccounts/s,
  );
});
