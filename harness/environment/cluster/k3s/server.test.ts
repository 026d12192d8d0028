import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { makePki } from '../../../core/pki.ts';
import { hostsOf } from './layout.ts';
import { issuerOf, type ServerSettings, serverCommand, serverFiles } from './server.ts';

const settings = (clock: Partial<ServerSettings['clock']>, more: Partial<ServerSettings> = {}): ServerSettings => ({
  hosts: hostsOf('reference'),
  clock: { kind: 'real', lifetimeSeconds: 600, syncFrequencySeconds: 60, ...clock } as ServerSettings['clock'],
  agentToken: 'agent-token',
  admissionPolicies: false,
  ...more,
});

test('the first cluster keeps the plain names, another one has its own', () => {
  expect(issuerOf(hostsOf('reference'))).toMatch(/^https:\/\/(?!second)/);
  expect(issuerOf(hostsOf('second'))).toMatch(/^https:\/\/second\./);
  expect(hostsOf('second').accelerator).toMatch(/^second\./);
});

test('only on the accelerated clock the kubelet goes through the accelerator', () => {
  const real = serverCommand(settings({}));
  const accelerated = serverCommand(settings({ kind: 'accelerated', syncFrequencySeconds: 1 }));
  expect(real.filter((argument) => /kubeconfig|token-auth-file/.test(argument))).toEqual([]);
  expect(accelerated).toContain('--kubelet-arg=kubeconfig=/etc/conformance/kubelet.kubeconfig');
  expect(accelerated).toContain('--kube-apiserver-arg=token-auth-file=/etc/conformance/tokens.csv');
  expect(accelerated).toContain('--kubelet-arg=sync-frequency=1s');
});

test('a server knows admission policies, and more arguments, only where it is configured so', () => {
  expect(serverCommand(settings({})).filter((argument) => argument.includes('MutatingAdmissionPolicy'))).toEqual([]);
  const command = serverCommand(settings({}, { admissionPolicies: true, serverArguments: ['--more'] }));
  expect(command).toContain('--kube-apiserver-arg=feature-gates=MutatingAdmissionPolicy=true');
  expect(command.at(-1)).toBe('--more');
});

test('the kubelet’s credential is in two files that only root reads, and the audit log has no bodies', async () => {
  const files = serverFiles(await makePki('test'), hostsOf('reference'), 'kubelet-token');
  const secret = files.filter(({ content }) => content.includes('kubelet-token'));
  expect(secret.map(({ target, mode }) => [target, mode])).toEqual([
    ['/etc/conformance/kubelet.kubeconfig', 0o600],
    ['/etc/conformance/tokens.csv', 0o600],
  ]);
  const policy = files.find(({ target }) => target.endsWith('audit-policy.yaml'));
  const { rules } = parse(policy?.content ?? '') as { rules: { level: string }[] };
  expect(new Set(rules.map(({ level }) => level))).toEqual(new Set(['None', 'Metadata']));
});
