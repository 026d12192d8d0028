import { expect, test } from 'vitest';
import { UsageError } from './errors.ts';
import { fill } from './placeholders.ts';

const values = { 'cluster.issuer': 'https://cluster', seconds: 60, keys: { keys: [] } };

test('a whole placeholder takes the value as it is, one inside a text is written out', () => {
  const tree = {
    issuer: '${cluster.issuer}',
    life: '${seconds}',
    says: 'lives ${seconds} s: ${keys}',
    keys: '${keys}',
    list: ['${seconds}'],
  };
  expect(fill(tree, values, 'target')).toEqual({
    issuer: 'https://cluster',
    life: 60,
    says: 'lives 60 s: {"keys":[]}',
    keys: { keys: [] },
    list: [60],
  });
});

test('keys are filled too, other values are left alone, and an escape is written without its second dollar', () => {
  expect(fill({ '${cluster.issuer}': true, text: '$${HOME} ${seconds}' }, values, 'target')).toEqual({
    'https://cluster': true,
    text: '${HOME} 60',
  });
});

test('a name without a value is named, with where it stands and the nearest that has one', () => {
  const act = () => fill({ a: [{ b: '${cluster.isuer}' }] }, values, 'target');
  expect(act).toThrow(UsageError);
  expect(act).toThrow('target.a[0].b: ${cluster.isuer} has no value. Did you mean ${cluster.issuer}?');
  expect(() => fill('${nothing.alike}', values, 'target')).toThrow('Known here: cluster.issuer, keys, seconds.');
});

test('a missing value says how to give it, and no variable of the host is listed', () => {
  const host = { 'env.HOME': '/root', 'set.other': 'x' };
  const act = () => fill({ a: '${set.skew}', b: '${env.TOKEN_FILE}' }, host, 'target');
  expect(act).toThrow('target.a: ${set.skew} has no value. Give it by --set skew=VALUE.');
  expect(act).toThrow('target.b: ${env.TOKEN_FILE} has no value. Set the environment variable TOKEN_FILE.');
  expect(act).not.toThrow('HOME');
});

test('what is filled later is left as it is', () => {
  const tree = { now: '${env.NAME}', later: '${cluster.issuer}', both: '${env.NAME} ${later} $${x}' };
  const once = fill(tree, { 'env.NAME': 'n' }, 'target', /^env\./);
  expect(once).toEqual({ now: 'n', later: '${cluster.issuer}', both: 'n ${later} $${x}' });
});
