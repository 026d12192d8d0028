import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { STOCK_KEYCLOAK_IMAGE } from '../../images/live-images.ts';
import { CONFIG_FOLDER } from '../pod-objects.ts';
import { keycloakPod } from './pod.ts';
import { configurationFiles, startArguments } from './start-arguments.ts';

const OPTIONS = { image: 'keycloak', keysLifespanSeconds: 40 } as const;
const pod = keycloakPod({
  namespace: 'n',
  image: 'keycloak-image',
  nodeImage: 'node-image',
  startWith: startArguments(CONFIG_FOLDER, OPTIONS),
});

test('the pod of Keycloak keeps to Pod Security `restricted`, with no token of the API server in its container', () => {
  const { securityContext, automountServiceAccountToken, containers = [], volumes = [] } = pod.spec ?? {};
  expect(automountServiceAccountToken).toBe(false);
  expect(securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
  expect(containers.map(({ name, image }) => [name, image])).toEqual([
    ['provider-relay', 'node-image'],
    ['keycloak', 'keycloak-image'],
  ]);
  for (const container of containers) {
    expect(container.securityContext).toMatchObject({
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
    });
    expect(container.resources?.requests).toHaveProperty('memory');
  }
  const mounted = containers[1]?.volumeMounts?.map(({ name }) => name);
  expect(mounted).toEqual(['config', 'data', 'tmp']);
  expect(volumes.find(({ name }) => name === 'config')).toEqual({ name: 'config', secret: { secretName: 'keycloak' } });
});

test('its administrator has a password by a Secret alone, and every file that it is started with is one of that', () => {
  const [, keycloak] = pod.spec?.containers ?? [];
  expect(keycloak?.env).toContainEqual({
    name: 'KC_BOOTSTRAP_ADMIN_PASSWORD',
    valueFrom: { secretKeyRef: { name: 'keycloak', key: 'password' } },
  });
  const files = Object.keys(configurationFiles({ cert: 'c', key: 'k', ca: 'a' }, OPTIONS));
  const named = (keycloak?.args ?? []).flatMap((argument) => {
    const [, file] = new RegExp(`${CONFIG_FOLDER}/(.*)$`).exec(argument) ?? [];
    return file === undefined ? [] : [file];
  });
  expect(named.toSorted()).toEqual(files.toSorted());
});

test('the image of Keycloak’s project is that of the release that the harness builds its own on', () => {
  const file = new URL('../../../../fixtures/images/keycloak-base/image.yaml', import.meta.url);
  expect((parse(readFileSync(fileURLToPath(file), 'utf8')) as { pull: string }).pull).toBe(STOCK_KEYCLOAK_IMAGE);
});
