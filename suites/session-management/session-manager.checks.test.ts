import { fileURLToPath } from 'node:url';
import type { V1PodSpec } from '@kubernetes/client-node';
import { describe, expect, test } from 'vitest';
import { type Finding, textOf } from '../../harness/core/findings.ts';
import type { Call, Value } from '../../harness/roles/session-manager/driver.ts';
import type { ObjectEvent } from '../../harness/roles/session-manager/launch.ts';
import {
  ARGUMENTS,
  digestOf,
  LONG_LINE,
  LONG_LINES,
  type WorkRecord,
} from '../../harness/roles/session-manager/scenarios/work.ts';
import type { HttpTarget } from '../../harness/roles/session-manager/target.ts';
import { loadTarget } from '../../harness/targets/load.ts';
import { mountsNoApiToken, setsResources } from '../workload-hardening/session-manager.checks.ts';
import {
  answersFailedCommands,
  answersManyAtOnce,
  cleansUp,
  keepsItsLabel,
  knowsItsCallers,
  managesPods,
  managesServices,
  refusesWithReasons,
  runsCommands,
  servesLogs,
  survivesBadKubeconfigs,
} from './session-manager.checks.ts';

const target = loadTarget(
  fileURLToPath(new URL('../../fixtures/targets/session-managers/reference/target.yaml', import.meta.url)),
) as HttpTarget;

function call(operation: Call['operation'], status: number, value: Value = {}, text = ''): Call {
  return { operation, input: {} as never, at: 0, endedAt: 1, status, text, value };
}

const exec = (value: Value): Call<'exec'> => call('exec', 200, value) as Call<'exec'>;

function record(rest: Partial<WorkRecord> = {}): WorkRecord {
  return {
    ...{
      target,
      namespace: 'n',
      startedAt: 0,
      calls: [],
      objects: [],
      deaths: [],
      output: [],
      outputLost: 0,
      stalls: [],
    },
    ...{ image: 'i', secret: 's', asked: {}, steps: {}, execs: {}, requests: [], apiAudiences: [] },
    ...rest,
  };
}

const texts = (findings: Parameters<typeof textOf>[0][]): string => findings.map(textOf).join('; ');

const pod = (name: string, labels: Record<string, string>): ObjectEvent => ({
  at: 0,
  type: 'ADDED',
  kind: 'Pod',
  object: { metadata: { name, labels } },
});

/** It may be the machine's fault. */
const absent = (text: string): Finding => ({ text: expect.stringContaining(text) as string, missing: true });

const running = (name: string): ObjectEvent => ({
  ...pod(name, {}),
  object: { metadata: { name }, status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] } },
});

const ended = (name: string, at: number): ObjectEvent => ({
  ...{ at, type: 'MODIFIED', kind: 'Pod' },
  object: { metadata: { name }, status: { phase: 'Succeeded' } },
});

describe('what a cluster makes of a pod is not the manager’s doing', () => {
  const container = { name: 'runner', image: 'i' };
  const limited = { ...container, resources: { requests: { cpu: '1', memory: '1Gi' }, limits: { memory: '1Gi' } } };
  const token = {
    name: 'mesh-token',
    projected: { sources: [{ serviceAccountToken: { path: 'token', audience: 'api' } }] },
  };
  const mesh = { name: 'mesh', image: 'm', volumeMounts: [{ name: 'mesh-token', mountPath: '/t' }] };
  const used = (asked: object, admitted: object): WorkRecord =>
    record({
      asked: { agent: { name: 'agent', namespace: 'n', image: 'i' } },
      apiAudiences: ['api'],
      steps: { get: call('getPod', 404) },
      requests: [
        {
          ...{ at: '', user: '', verb: 'create', group: '', resource: 'pods', path: '', code: 201, durationMs: 1 },
          pod: { name: 'agent', spec: asked as V1PodSpec },
        },
      ],
      objects: [
        {
          ...{ at: 0, type: 'ADDED', kind: 'Pod' },
          object: { metadata: { name: 'agent', labels: target.documented.pod?.labels ?? {} }, spec: admitted },
        },
      ],
    });
  const shape = (of: WorkRecord): string[] =>
    managesPods(of)
      .map(textOf)
      .filter((text) => text.startsWith('pod agent'));
  const { restartPolicy } = target.documented.pod ?? {};
  const name = target.documented.pod?.container ?? '';
  const own = (change: object = {}) => ({ restartPolicy, containers: [{ ...limited, name, ...change }] });

  test('an injected sidecar with a volume of the node’s, a token of its own, and another registry (SM-03, WH-03m, WH-05m)', () => {
    const admitted = {
      ...own(),
      containers: [mesh, { ...limited, name, image: 'mirror/i' }],
      volumes: [token, { name: 'node', hostPath: { path: '/run' } }],
    };
    const seen = used(own(), admitted);
    expect([shape(seen), mountsNoApiToken(seen), setsResources(seen)]).toEqual([[], [], []]);
  });

  test('defaults of a LimitRange, a token in its own container, and a second container of its own are no excuse', () => {
    const admitted = {
      restartPolicy,
      containers: [{ ...limited, name, volumeMounts: [{ name: 'mesh-token', mountPath: '/t' }] }],
      volumes: [token],
    };
    const seen = used(own({ resources: {} }), admitted);
    expect(texts(setsResources(seen))).toMatch(/sets no requests.cpu/);
    expect(texts(mountsNoApiToken(seen))).toMatch(/a ServiceAccount token is mounted/);
    const two = { ...own(), containers: [...own().containers, mesh] };
    expect(shape(used(two, two))).toEqual(['pod agent: containers: 2, expected 1']);
  });
});

describe('commands (SM-06)', () => {
  const output = `${ARGUMENTS.map((argument) => `[${argument}]`).join('\n')}\n`;
  const good: WorkRecord['execs'] = {
    arguments: { call: exec({ exitCode: 0, stdout: output, stderr: '' }), stdout: digestOf(output) },
    streams: { call: exec({ exitCode: 7, stdout: 'out\n', stderr: 'err\n' }), stdout: digestOf('out\n') },
    success: { call: exec({ exitCode: 0, stdout: '', stderr: '' }), stdout: digestOf('') },
    long: { call: exec({ exitCode: 0, stdout: '…', stderr: '' }), stdout: digestOf(LONG_LINE.repeat(LONG_LINES)) },
  };

  test('are right', () => expect(runsCommands(record({ execs: good }))).toEqual([]));

  test('that were not run are a finding', () => expect(texts(runsCommands(record()))).toMatch(/was not asked/));

  test.each([
    [
      'the exit code',
      { streams: { ...good.streams, call: exec({ exitCode: 0, stdout: 'out', stderr: 'err' }) } },
      /exit code 7 was reported as/,
    ],
    [
      'the streams',
      { streams: { ...good.streams, call: exec({ exitCode: 7, stdout: 'outerr', stderr: '' }) } },
      /stdout `out`/,
    ],
    [
      'the arguments',
      { arguments: { ...good.arguments, call: exec({ exitCode: 0, stdout: '' }) } },
      /arguments arrived changed/,
    ],
    [
      'the length',
      { long: { ...good.long, stdout: digestOf('short') } },
      /sent 11,000,000 bytes of output, received 5/,
    ],
  ])('show that %s is wrong', (_, wrong, message) => {
    expect(texts(runsCommands(record({ execs: { ...good, ...(wrong as WorkRecord['execs']) } })))).toMatch(message);
  });
});

describe('errors (SM-04)', () => {
  const steps: WorkRecord['steps'] = {
    'create without image': call('createPod', 400, {}, 'image: required'),
    'create malformed': call('createPod', 422, {}, 'metadata.name: invalid'),
    'get unknown': call('getPod', 404),
    'delete unknown': call('deletePod', 404),
    'create again': call('createPod', 409, {}, 'pods "agent" already exists'),
    'create over quota': call('createPod', 403, {}, 'exceeded quota: conformance-no-room'),
    'get deleted': call('getPod', 404),
  };

  test('have a status and a reason', () => expect(refusesWithReasons(record({ steps }))).toEqual([]));

  test.each([
    ['without the field', { 'create without image': call('createPod', 400, {}, 'invalid') }, /does not say why/],
    ['with another status', { 'get unknown': call('getPod', 500) }, /was answered 500 \(expected: 404\)/],
    ['that is a success', { 'delete unknown': call('deletePod', 200) }, /was not refused/],
    ['without the reason', { 'create over quota': call('createPod', 403, {}, 'forbidden') }, /does not say why/],
  ])('%s is a finding', (_, wrong, message) => {
    expect(texts(refusesWithReasons(record({ steps: { ...steps, ...wrong } })))).toMatch(message);
  });
});

test('logs may have a time before each line, and no more lines than were asked for (SM-05)', () => {
  const lines = (from: number, to: number): string =>
    Array.from({ length: to - from + 1 }, (_, index) => `2026-01-01T00:00:00Z line ${from + index}\n`).join('');
  const steps = (tail: string): WorkRecord['steps'] => ({
    logs: call('readLogs', 200, { text: lines(1, 30) }),
    'logs tail': call('readLogs', 200, { text: tail }),
    'logs unknown': call('readLogs', 404),
  });
  expect(servesLogs(record({ steps: steps(lines(26, 30)) }))).toEqual([]);
  expect(texts(servesLogs(record({ steps: steps(lines(1, 30)) })))).toMatch(/last 5 lines, 30 came/);
});

test('a caller’s label that replaces the owner’s is a finding, and a refusal of it is not (SM-10)', () => {
  const asked = (status: number): Call => ({ ...call('createPod', status), input: { name: 'labelled' } }) as Call;
  const labelled = (owner: string) =>
    record({ calls: [asked(200)], objects: [pod('labelled', { 'managed-by': owner })] });
  expect(keepsItsLabel(labelled('session-manager'))).toEqual([]);
  expect(texts(keepsItsLabel(labelled('somebody-else')))).toMatch(/expected `session-manager`/);
  const notMade = (status: number) => record({ calls: [asked(status)] });
  expect(keepsItsLabel(notMade(400))).toEqual([]);
  expect(texts(keepsItsLabel(notMade(500)))).toMatch(/was answered 500/);
  const takesNone = (owner: string) => record({ objects: [pod('agent', { 'managed-by': owner })] });
  expect(keepsItsLabel(takesNone('session-manager'))).toEqual([]);
  expect(texts(keepsItsLabel(takesNone('nobody')))).toMatch(/seen `nobody`/);
});

test('who is nobody is refused (SM-13)', () => {
  const steps = (status: number): WorkRecord['steps'] => ({ 'exec anonymous': call('exec', status) });
  expect(knowsItsCallers(record({ steps: steps(401) }))).toEqual([]);
  expect(texts(knowsItsCallers(record({ steps: steps(200) })))).toMatch(/was not refused/);
  expect(texts(knowsItsCallers(record()))).toMatch(/was not asked/);
});

test('a command that cannot be run has an answer, and the manager lives (SM-07)', () => {
  const next = exec({ stdout: 'still here\n' });
  const seen = (answer: Partial<Call>, rest = {}) => ({
    ...record(),
    commands: [{ what: 'in a pod', call: { ...exec({}), ...answer } as Call<'exec'>, next, ...rest }],
  });
  expect(answersFailedCommands(seen({ status: 404 }))).toEqual([]);
  expect(answersFailedCommands(seen({ value: { exitCode: 137 } }))).toEqual([]);
  expect(texts(answersFailedCommands(seen({ value: { exitCode: 0 } })))).toMatch(/answered as a success/);
  const { status: _, ...silent } = { ...exec({}), silence: 'no whole answer within 30 s' };
  expect(texts(answersFailedCommands({ ...record(), commands: [{ what: 'in a pod', call: silent, next }] }))).toMatch(
    /was not answered/,
  );
  const late = { ...silent, late: true as const };
  expect(answersFailedCommands({ ...record(), commands: [{ what: 'in a pod', call: late, next }] })).toEqual([
    { text: expect.stringContaining('no whole answer'), missing: true },
  ]);
  const died = { ...exec({}), status: 404, died: 'its process ended (code 1)' };
  expect(texts(answersFailedCommands({ ...seen({ status: 404 }), calls: [died] }))).toMatch(
    /its process ended \(code 1\), during 1 of 1 calls: exec/,
  );
});

test('clean-up takes what is old and finished, and its own (SM-08)', () => {
  const seen = (gone: string[], goneEarly: string[] = []) => ({
    ...record(),
    ...{ early: call('cleanUp', 200), goneEarly, call: call('cleanUp', 200, { deleted: gone.length }), gone },
  });
  const old = ['old-succeeded', 'old-failed'];
  expect(cleansUp(seen(old))).toEqual([]);
  expect(texts(cleansUp(seen(['old-succeeded'])))).toMatch(/should have deleted pod `old-failed` .* it did not/);
  expect(texts(cleansUp(seen([...old, 'foreign'])))).toMatch(/the clean-up deleted pod `foreign`/);
  expect(texts(cleansUp(seen(old, ['old-failed'])))).toMatch(/deleted younger ones/);
});

test('a kubeconfig that cannot work ends nothing, now or at the next start (SM-11)', () => {
  const seen = (rest: object) => ({
    ...record(),
    ...{
      kubeconfig: 'k',
      startsAgain: true,
      initial: call('getConfiguration', 200),
      configured: call('configure', 200),
    },
    ...{ changed: call('getConfiguration', 200), disabled: call('getConfiguration', 200) },
    bad: [{ what: 'an empty file', answersAfter: true, startsAgain: true, ...rest }],
  });
  expect(survivesBadKubeconfigs(seen({}))).toEqual([]);
  expect(texts(survivesBadKubeconfigs(seen({ startsAgain: false })))).toMatch(/the manager does not start again/);
  const test = call('testConnection', 200, { connected: true });
  expect(texts(survivesBadKubeconfigs(seen({ test })))).toMatch(/the connection test reports connected/);
});

test('of many at once, an error that took long may be the machine’s fault, and one that came at once is not (SM-14)', () => {
  const execs = [{ ...exec({}), status: 503, text: 'the cluster cannot be reached' }];
  const many = (endedAt: number, objects: ObjectEvent[]) =>
    answersManyAtOnce({ ...record({ objects }), execs: execs.map((one) => ({ ...one, endedAt })), gets: [] });
  expect(many(20, [running('agent')])).toEqual([expect.stringContaining('command 0')]);
  expect(many(10_000, [running('agent')])).toEqual([absent('cannot be reached')]);
  expect(many(20, []), 'its pod did not run yet').toEqual([absent('command 0')]);
  expect(many(20, [running('agent'), ended('agent', 3_000)]), 'its pod had ended').toEqual([absent('command 0')]);
});

describe('what had not come yet may be the machine’s fault, and what was seen is not', () => {
  const asked = { agent: { name: 'agent', namespace: 'n', image: 'i' } };
  const get = call('getPod', 200, { name: 'agent', phase: 'Pending' });
  const found = (findings: Finding[], text: string): Finding | undefined =>
    findings.find((finding) => textOf(finding).includes(text));

  test('a pod that is given as Pending before it ran (SM-03)', () => {
    const seen = (objects: ObjectEvent[]) => managesPods(record({ asked, objects, steps: { get } }));
    expect(found(seen([running('agent')]), 'is Running, and was given as')).toBeTypeOf('string');
    expect(found(seen([]), 'is Running, and was given as')).toEqual(absent('Pending'));
    expect(found(seen([]), 'the pod agent was never there')).toEqual(absent('never there'));
    expect(found(seen([]), 'the pod done was not deleted')).toEqual(absent('done'));
  });

  test('a pod that had not gone yet (SM-04)', () => {
    const again = { 'get deleted': call('getPod', 200, { name: 'done' }) };
    const gone = { ...pod('done', {}), type: 'DELETED' as const };
    const text = 'getting a pod that was deleted was not refused';
    expect(found(refusesWithReasons(record({ steps: again, objects: [gone] })), text)).toBeTypeOf('string');
    expect(found(refusesWithReasons(record({ steps: again })), text)).toEqual(absent(text));
  });

  test('lines that were not printed yet (SM-05)', () => {
    const log = (lines: string[]) => {
      const text = call('readLogs', 200, { text: lines.join('\n') });
      return servesLogs(record({ objects: [running('agent')], steps: { logs: text, 'logs tail': text } }));
    };
    expect(log(['line 1', 'line 2']).slice(0, 2)).toEqual([absent('of 30 lines'), absent('last 5 lines, 2 came')]);
    expect(log(['line 1', 'line 3'])[0]).toBeTypeOf('string');
  });

  test('a command in a pod that did not run (SM-06)', () => {
    const success = { call: { ...exec({}), status: 502 }, stdout: digestOf('') };
    const text = 'a command that succeeds did not succeed';
    expect(found(runsCommands(record({ execs: { success }, objects: [running('agent')] })), text)).toBeTypeOf('string');
    expect(found(runsCommands(record({ execs: { success } })), text)).toEqual(absent(text));
  });

  test('a clean-up that came to look late, and a deletion that was not seen yet (SM-08)', () => {
    const seen = (gone: string[], answer: Partial<Call> = {}) =>
      cleansUp({
        ...record(),
        ...{ early: call('cleanUp', 200), goneEarly: [], gone },
        call: { ...call('cleanUp', 200), ...answer },
      });
    const old = ['old-succeeded', 'old-failed'];
    expect(seen([...old, 'young'])).toEqual([expect.stringContaining('`young`')]);
    expect(seen([...old, 'young'], { endedAt: 4_000 })).toEqual([absent('`young`')]);
    expect(seen([...old, 'foreign'], { endedAt: 4_000 })).toEqual([expect.stringContaining('`foreign`')]);
    expect(seen([], { value: { deleted: 2 } })).toEqual([absent('it did not'), absent('reports 2 deleted')]);
    expect(seen([], { value: { deleted: 0 } })).toEqual([expect.stringContaining('it did not')]);
  });

  test('a Service that was not there yet (SM-09)', () => {
    const list = call('listServices', 404);
    const steps = {
      ...{ 'get service': call('getService', 404), 'list services': list },
      'page by name': exec({ stdout: '' }),
    };
    const findings = managesServices(record({ steps }));
    for (const text of ['was never there', 'getting a service did not', 'does not reach another', 'was not deleted']) {
      expect(found(findings, text)).toEqual(absent(text));
    }
  });

  test('a manager that was not ready again in time, and one that ended (SM-11)', () => {
    const seen = (isLate?: true) =>
      survivesBadKubeconfigs({
        ...record(),
        ...{ kubeconfig: 'k', startsAgain: true, initial: get, configured: get, changed: get, disabled: get },
        bad: [{ what: 'an empty file', answersAfter: true, startsAgain: false, ...(isLate ? { isLate } : {}) }],
      });
    expect(seen()).toEqual([expect.stringContaining('does not start again')]);
    expect(seen(true)).toEqual([absent('does not start again')]);
  });
});
