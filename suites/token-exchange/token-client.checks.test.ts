import { describe, expect, test } from 'vitest';
import type { ExchangeRecord } from '../../fixtures/workloads/observer/records.ts';
import { BAD_CERTIFICATES } from '../../fixtures/workloads/observer/simulated.ts';
import { HarnessError } from '../../harness/core/errors.ts';
import { expectNone } from '../../harness/core/findings.ts';
import { simulatedProviders } from '../../harness/fakes/simulated-providers.ts';
import type { ClientSession } from '../../harness/roles/token-client/record.ts';
import { iso } from '../../harness/roles/token-client/record-builders.ts';
import {
  call,
  exchange,
  failed,
  HOSTS,
  plain,
  request,
  session,
  simulated,
  told,
} from '../../harness/roles/token-client/simulated-builders.ts';
import {
  authenticatesByAssertionAlone,
  exchangesBySubjectToken,
  findsAnIssuerWithAPath,
  refusesMetadataOfAnotherIssuer,
  sendsNoTokenToStrangers,
} from './token-client.checks.ts';

test('every provider is simulated at the issuer that the client is configured for', () => {
  const providers = simulatedProviders({ hosts: HOSTS, port: 8443 });
  expect(providers.map(({ name, issuer }) => [name, issuer])).toEqual(
    simulated.map(({ name, issuer }) => [name, issuer]),
  );
  expect(new Set(providers.map(({ issuer }) => issuer)).size).toBe(providers.length);
});

const handshakes = BAD_CERTIFICATES.map((certificate) => ({
  kind: 'handshake' as const,
  at: iso(3),
  host: HOSTS.untrusted,
  certificate,
}));

describe('a refusal needs a control and evidence', () => {
  test('a client that works with no simulated provider passes none of these rows', () => {
    const calls = simulated.map(({ name }) => call(name, 1, 1.1, failed));
    for (const check of [refusesMetadataOfAnotherIssuer, sendsNoTokenToStrangers, findsAnIssuerWithAPath]) {
      expect(told(check(session({ calls })))).toContainEqual(expect.stringContaining('the control'));
    }
  });

  test('metadata that were never asked for prove nothing, and a stall is to blame where there was one', () => {
    const findings = refusesMetadataOfAnotherIssuer(
      session({ calls: [plain, call('other-issuer', 1, 5, failed), call('other-slash', 1, 5, failed)], exchanges: [] }),
    );
    expect(told(findings)).toEqual([
      expect.stringContaining('the metadata document of another issuer was never asked for'),
      expect.stringContaining('the metadata document of its issuer with a slash more was never asked for'),
    ]);
    const stall = { where: 'the pod', from: iso(2), to: iso(4) };
    expect(() => expectNone(findings, [stall])).toThrow(HarnessError);
  });

  test('a token that came to another origin is told, whatever carried it', () => {
    const findings = sendsNoTokenToStrangers(
      session({
        calls: [plain],
        exchanges: [exchange('redirecting-endpoint', 1, { status: 307 })],
        resources: [request('redirecting-server', 2, 307)],
        handshakes,
        elsewhere: [
          {
            kind: 'elsewhere',
            at: iso(2),
            host: 'elsewhere.test',
            method: 'GET',
            path: '/v1/models',
            tokens: [{ as: 'Bearer', sha256: 'x' }],
          },
        ],
      }),
    );
    expect(told(findings)).toEqual([expect.stringContaining('with a token (Bearer)')]);
  });

  test('a server with a certificate that nobody trusts was connected to, or nothing is known', () => {
    const found = (change: object) =>
      told(
        sendsNoTokenToStrangers(
          session({
            calls: [plain, call('untrusted', 3, 3.1, failed)],
            exchanges: [exchange('redirecting-endpoint', 1, { status: 307 })],
            resources: [request('redirecting-server', 2, 307)],
            ...change,
          }),
        ),
      );
    expect(found({ handshakes })).toEqual([]);
    expect(found({ handshakes: handshakes.slice(0, 1) })).toEqual([
      expect.stringContaining('a server with a certificate for another name was never connected to'),
    ]);
    expect(found({})).toHaveLength(2);
  });
});

test('an endpoint at the bare origin is that of another issuer', () => {
  const calls = [plain, call('tenant', 1, 1.1)];
  expect(findsAnIssuerWithAPath(session({ calls, exchanges: [exchange('tenant', 1)] }))).toEqual([]);
  const withQuery = exchange('tenant', 1, { path: '/realms/tenant/token?client-request-id=1' });
  expect(findsAnIssuerWithAPath(session({ calls, exchanges: [withQuery] }))).toEqual([]);
  const astray = session({ calls, exchanges: [exchange('tenant', 1, { path: '/token' })] });
  expect(told(findsAnIssuerWithAPath(astray))).toEqual([expect.stringContaining('was asked for at /token')]);
});

test('the parameters of a token exchange are compared one by one', () => {
  const jwt = { header: {}, claims: {}, sha256: 'x' };
  const parameters = {
    grant_type: ['urn:ietf:params:oauth:grant-type:token-exchange'],
    subject_token: [jwt],
    subject_token_type: ['urn:ietf:params:oauth:token-type:jwt'],
    client_id: ['simulated-client'],
    scope: ['openid'],
  };
  const seen = (first: object, second: object) =>
    exchangesBySubjectToken(
      session({
        exchanges: [
          exchange('exchange', 1, { parameters: { ...parameters, ...first } }),
          exchange('exchange-audience', 2, { parameters: { ...parameters, ...second } }),
        ],
      }),
    );
  expect(seen({}, { audience: ['models'] })).toEqual([]);
  expect(seen({ audience: ['a'] }, {})).toEqual([
    'exchange: audience is "a", though none is configured',
    'exchange-audience: audience is "", not "models"',
  ]);
  expect(seen({ subject_token: ['opaque'] }, { audience: ['models', 'models'] })).toEqual([
    'exchange: subject_token is not a JWT',
    'exchange-audience: audience is given 2 times',
  ]);
});

test('that token requests are JSON is told once, and their members are compared all the same', () => {
  const contentType = 'application/json';
  const parameters = {
    grant_type: ['urn:ietf:params:oauth:grant-type:token-exchange'],
    subject_token: [{ header: {}, claims: {}, sha256: 'x' }],
    subject_token_type: ['urn:ietf:params:oauth:token-type:id_token'],
    scope: ['openid'],
  };
  const seen = (change: Partial<ClientSession>): string[] =>
    told(
      exchangesBySubjectToken(
        session({
          exchanges: [
            exchange('exchange', 1, { contentType, parameters }),
            exchange('exchange', 2, { contentType, parameters }),
            exchange('exchange-audience', 3, { contentType, parameters: { ...parameters, audience: ['models'] } }),
          ],
          ...change,
        }),
      ),
    );
  const dialect = { encoding: 'json', omits: ['client_id'] } as const;
  expect(seen({ tokenRequest: { ...dialect, subjectTokenType: 'urn:ietf:params:oauth:token-type:id_token' } })).toEqual(
    [
      expect.stringMatching(
        /are JSON, as the target declares \(tokenRequest\.encoding\), .*: exchange, exchange-audience\./,
      ),
    ],
  );
  expect(seen({ tokenRequest: dialect })).toHaveLength(3);
  expect(seen({}).slice(0, 3)).toEqual([
    expect.stringContaining('which a target declares by `tokenRequest: { encoding: json }`'),
    expect.stringContaining('exchange: subject_token_type'),
    'exchange: client_id is "", not "simulated-client"',
  ]);
});

test('what a target says it leaves out may be sent as it is configured, and not otherwise', () => {
  const seen = (clientId: string, scope: string): string[] => {
    const parameters = {
      grant_type: ['client_credentials'],
      client_assertion_type: ['urn:ietf:params:oauth:client-assertion-type:jwt-bearer'],
      client_assertion: [{ header: {}, claims: {}, sha256: 'x' }],
      client_id: [clientId],
      scope: [scope],
    };
    const omits = ['client_id', 'scope'] as const;
    const exchanges = [exchange('client-assertion', 1, { parameters })];
    return told(authenticatesByAssertionAlone(session({ exchanges, tokenRequest: { encoding: 'form', omits } })));
  };
  expect(seen('simulated-client', 'openid')).toEqual([]);
  expect(seen('another', 'everything')).toEqual([
    'client-assertion: client_id is "another", not "simulated-client"',
    'client-assertion: scope is "everything", not "openid"',
  ]);
});

test('a blank file that was presented is told by TR-28, and says nothing of the form', () => {
  const form = (assertion?: string | object): ExchangeRecord =>
    exchange('client-assertion', 1, {
      parameters: {
        grant_type: ['client_credentials'],
        client_assertion_type: ['urn:ietf:params:oauth:client-assertion-type:jwt-bearer'],
        ...(assertion === undefined ? {} : { client_assertion: [assertion as string] }),
        client_id: ['simulated-client'],
        scope: ['openid'],
      },
    });
  const good = form({ header: {}, claims: {}, sha256: 'x' });
  const seen = (...exchanges: ExchangeRecord[]): string[] =>
    told(authenticatesByAssertionAlone(session({ exchanges })));
  expect(seen(form(''), form(' \n'), form(), good)).toEqual([]);
  expect(seen(form('opaque'), good)).toEqual(['client-assertion: client_assertion is not a JWT']);
  expect(seen(form())).toEqual(['client-assertion: client_assertion is not a JWT']);
});

test('what stands in the URL beside the parameters of a token request is no parameter', () => {
  const parameters = {
    grant_type: ['client_credentials'],
    client_assertion_type: ['urn:ietf:params:oauth:client-assertion-type:jwt-bearer'],
    client_assertion: [{ header: {}, claims: {}, sha256: 'x' }],
    scope: ['openid'],
  };
  const seen = (query: string): string[] =>
    told(
      authenticatesByAssertionAlone(
        session({ exchanges: [exchange('client-assertion', 1, { path: `/token?${query}`, parameters })] }),
      ),
    );
  expect(seen('client-request-id=1')).toEqual([]);
  expect(seen('client-request-id=1&client_id=one')).toEqual(['client-assertion: client_id appears in the URL']);
});

test('what a client cannot be given is not asked of its token exchange', () => {
  const parameters = {
    grant_type: ['urn:ietf:params:oauth:grant-type:token-exchange'],
    subject_token: [{ header: {}, claims: {}, sha256: 'x' }],
    subject_token_type: ['urn:ietf:params:oauth:token-type:jwt'],
  };
  const nothing = { clientId: false, scopes: false, audience: false, tokenExchangeAudience: false, tokenPath: false };
  const seen = (more: object, configurable: Partial<typeof nothing>): string[] =>
    told(
      exchangesBySubjectToken(
        session({
          configurable: { ...nothing, ...configurable },
          simulated: simulated.filter(({ name }) => name !== 'exchange-audience'),
          exchanges: [exchange('exchange', 1, { parameters: { ...parameters, ...more } })],
        }),
      ),
    );
  expect(seen({}, {})).toEqual([]);
  expect(seen({ client_id: ['its own'], scope: ['its own'] }, {})).toEqual([]);
  expect(seen({}, { clientId: true })).toEqual(['exchange: client_id is "", not "simulated-client"']);
  expect(seen({ audience: ['its own'] }, {})).toEqual(['exchange: audience is "its own", though none is configured']);
  const issuer = simulated.find(({ name }) => name === 'exchange')?.issuer;
  expect(seen({ audience: [issuer] }, { audience: true })).toEqual([]);
});
