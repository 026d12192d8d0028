/**
 * The checks of the token client in this suite. Each returns what is wrong, one sentence a finding. None of them is
 * content with having seen nothing.
 */

import type { ExchangeRecord } from '../../fixtures/workloads/observer/records.ts';
import { BAD_CERTIFICATES, REDIRECTS } from '../../fixtures/workloads/observer/simulated.ts';
import { NotApplicable } from '../../harness/core/errors.ts';
import { type Finding, missing } from '../../harness/core/findings.ts';
import type { SimulatedName } from '../../harness/fakes/simulated-providers.ts';
import {
  type ClientSession,
  describeCall,
  type SessionProvider,
  tokensIn,
  unseen,
} from '../../harness/roles/token-client/record.ts';
import {
  callsOfSimulated,
  control,
  exchangesAtSimulated,
  resourcesAtSimulated,
  simulatedSetup,
  succeeded,
} from '../../harness/roles/token-client/simulated-record.ts';

/**
 * TX-01: every exchange is one form-encoded POST of the JWT bearer grant (RFC 7523 section 2.1) with what is
 * configured, and no more.
 */
export function exchangesByOneForm(session: ClientSession): Finding[] {
  const plain = simulatedSetup(session, 'plain');
  const asked = [
    ...session.providers.filter(({ grant = 'jwt-bearer' }) => grant === 'jwt-bearer'),
    ...(plain?.authFlow === 'jwt_bearer' ? [plain] : []),
  ];
  if (asked.length === 0 && session.providers.length > 0) {
    const grants = [...new Set(session.providers.map(({ grant }) => grant))].join(' and ');
    throw new NotApplicable(
      `the client has its access tokens by the grant ${grants}: it declares no jwt_bearer, or its provider does not take it`,
    );
  }
  return formsOf(session, asked, ({ clientId, scopes }) => ({
    grant_type: JWT_BEARER,
    assertion: JWT,
    client_id: clientIdAs(session, clientId),
    scope: scopeAs(session, scopes),
  }));
}

/**
 * TX-08: where the client's assertion is all that it presents, the request is the form of RFC 7523 section 2.2, with no
 * secret beside it.
 */
export function authenticatesByAssertionAlone(session: ClientSession): Finding[] {
  const simulated = simulatedSetup(session, 'client-assertion');
  const asked = [
    ...session.providers.filter(({ grant }) => grant === 'client-assertion'),
    ...(simulated === undefined ? [] : [simulated]),
  ];
  return formsOf(session, asked, ({ clientId, scopes }) => ({
    grant_type: 'client_credentials',
    client_assertion_type: CLIENT_ASSERTION,
    client_assertion: JWT,
    assertion: '',
    // RFC 7521 section 4.2: it is optional, since the assertion names the client.
    client_id: session.configurable.clientId ? [clientId, ''] : ANY,
    scope: scopeAs(session, scopes),
  }));
}

/**
 * What is wrong with the token requests to some providers; it is a finding that one of them was never asked for a
 * token.
 */
function formsOf<P extends Pick<SessionProvider, 'name' | 'clientId' | 'scopes'>>(
  session: ClientSession,
  asked: P[],
  expected: (provider: P) => Record<string, Expected>,
): Finding[] {
  const findings = new Set<string>();
  const lacking = new Set<string>();
  if (asked.length === 0) {
    lacking.add('no exchange was made');
  }
  for (const finding of dialectOf(session, asked)) {
    findings.add(finding);
  }
  for (const provider of asked) {
    const made = session.exchanges.filter((exchange) => exchange.provider === provider.name);
    // That a blank file was presented is told by TR-28; it says nothing of the form.
    const presenting = made.filter((exchange) => !presentsNothing(exchange));
    const exchanges = presenting.length === 0 ? made : presenting;
    if (exchanges.length === 0) {
      lacking.add(`${provider.name}: no exchange was made${errorAt(session, provider.name)}`);
    }
    for (const exchange of exchanges) {
      for (const finding of requestFindings(exchange, expected(provider))) {
        findings.add(`${provider.name}: ${finding}`);
      }
    }
  }
  return [...[...lacking].map(missing), ...findings];
}

/** Whether all tokens that a request is to carry are blank, or left out for that reason. */
function presentsNothing({ parameters }: ExchangeRecord): boolean {
  const carried = ['assertion', 'client_assertion', 'subject_token'].flatMap((name) => parameters[name] ?? []);
  return carried.every((value) => typeof value === 'string' && value.trim() === '');
}

/** Where a request goes, without a query that a client adds to it. */
function pathOf(path: string): string {
  return path.split('?')[0] ?? '';
}

function clientIdAs({ configurable, tokenRequest }: ClientSession, clientId: string): Expected {
  // One that is sent all the same, as it is configured, is what the RFCs have.
  if (tokenRequest?.omits.includes('client_id') === true) {
    return configurable.clientId ? [clientId, ''] : '';
  }
  return configurable.clientId ? clientId : ANY;
}

function scopeAs({ configurable, tokenRequest }: ClientSession, scopes: string[]): Expected {
  if (tokenRequest?.omits.includes('scope') === true) {
    return configurable.scopes ? [scopes.join(' '), ''] : '';
  }
  return configurable.scopes ? scopes.join(' ') : ANY;
}

const JSON_TYPE = /^application\/json\s*(;|$)/i;

/**
 * Where token requests to some providers are JSON, said once for all of them: it is one difference from RFC 6749,
 * however many requests.
 */
function dialectOf({ exchanges, tokenRequest }: ClientSession, asked: { name: string }[]): string[] {
  const names = asked
    .map(({ name }) => name)
    .filter((name) => exchanges.some(({ provider, contentType }) => provider === name && JSON_TYPE.test(contentType)));
  if (names.length === 0) {
    return [];
  }
  const declared =
    tokenRequest?.encoding === 'json'
      ? 'as the target declares (tokenRequest.encoding)'
      : 'which a target declares by `tokenRequest: { encoding: json }`';
  return [
    `token requests are JSON, ${declared}, and not application/x-www-form-urlencoded (RFC 6749 section 4): ${names.join(', ')}. The harness hands them on as a form, so that the other requirements are evaluated all the same.`,
  ];
}

function errorAt({ calls }: ClientSession, name: string): string {
  const failed = calls.find(({ provider, ok }) => provider === name && !ok);
  return failed === undefined ? '' : ` (${describeCall(failed)})`;
}

/** TX-03: no request to a token endpoint carries a client secret, and the pod is given no Secret. */
export function sendsNoClientSecret({ exchanges, secrets }: ClientSession): Finding[] {
  const findings = new Set(secrets.map((secret) => `the client's pod is given the Secret ${secret}`));
  for (const { provider, authorization, parameters, path } of exchanges) {
    if (authorization !== null) {
      findings.add(`${provider} was sent an Authorization header (${authorization})`);
    }
    if (parameters.client_secret !== undefined) {
      findings.add(`${provider} was sent a client_secret`);
    }
    if (/[?&]client_secret=/.test(path)) {
      findings.add(`${provider} was sent a client_secret in the URL`);
    }
  }
  return [...(exchanges.length === 0 ? [missing('no exchange was made')] : []), ...findings];
}

/**
 * TX-05: the resource servers get what an exchange gave, never a subject token: not one that was seen, nor another of
 * its issuer.
 */
export function neverForwardsTheSubjectToken(session: ClientSession): Finding[] {
  const issued = new Set<unknown>(session.exchanges.map(({ accessToken }) => accessToken));
  const observed = session.files.flatMap(({ observations }) => observations);
  const subjects = new Set(
    [...observed, ...tokensIn(session.exchanges).map(({ token }) => token)].map(({ sha256 }) => sha256),
  );
  const issuers = new Set<unknown>(
    observed.flatMap(({ claims }) => (typeof claims.iss === 'string' ? [claims.iss] : [])),
  );
  const findings = session.resources.flatMap(({ at, provider, token: bearer, further = [] }) => {
    const sent = `the resource server of ${provider} was sent`;
    const carried = [...(bearer === undefined ? [] : [{ as: 'Bearer token', token: bearer }]), ...further];
    return carried.flatMap(({ as, token }) => {
      if (issued.has(token.sha256)) {
        return [];
      }
      if (subjects.has(token.sha256)) {
        return [`${sent} a subject token (${as}) at ${at}`];
      }
      return issuers.has(token.claims.iss)
        ? [`${sent} a token of the cluster's issuer "${token.claims.iss}" (${as}) at ${at}`]
        : [];
    });
  });
  const accepted = session.resources.some(({ status, token }) => status === 200 && issued.has(token?.sha256));
  return accepted
    ? findings
    : [...findings, missing('no resource server accepted an access token, so nothing is known')];
}

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

const CLIENT_ASSERTION = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

/** Stands for any JWT as the value of a parameter. */
export const JWT = Symbol('a JWT');

/** Stands for any value of a parameter, or none: the client cannot be told which. */
const ANY = Symbol('anything');

/** The parameters of a token request, which its body carries. */
const PARAMETERS: ReadonlySet<string> = new Set([
  'grant_type',
  'assertion',
  'client_assertion',
  'client_assertion_type',
  'client_id',
  'client_secret',
  'subject_token',
  'subject_token_type',
  'audience',
  'resource',
  'scope',
]);

/** What a parameter must be; one of several texts; '' stands for none. */
type Expected = string | string[] | typeof JWT | typeof ANY;

/**
 * What is wrong with the form of a token request: each parameter must be given once, with its value; '' stands for
 * none.
 */
export function requestFindings(
  { method, contentType, authorization, parameters, path }: ExchangeRecord,
  expected: Record<string, Expected>,
): string[] {
  const findings: string[] = [];
  if (method !== 'POST') {
    findings.push(`the token endpoint was asked by ${method}`);
  }
  // An endpoint may have a query of its own (RFC 6749 section 3.2), and a client add an id to it.
  for (const name of new URLSearchParams(path.split('?')[1] ?? '').keys()) {
    if (PARAMETERS.has(name)) {
      findings.push(`${name} appears in the URL`);
    }
  }
  // Of JSON it is told once for all requests (dialectOf); its members are compared like parameters.
  if (!/^application\/x-www-form-urlencoded\s*(;|$)/i.test(contentType) && !JSON_TYPE.test(contentType)) {
    findings.push(`the content type is "${contentType}", not application/x-www-form-urlencoded`);
    return findings;
  }
  for (const [name, wanted] of Object.entries(expected)) {
    const [value, ...more] = parameters[name] ?? [];
    if (more.length > 0) {
      findings.push(`${name} is given ${more.length + 1} times`);
    }
    const told = typeof value === 'object' ? 'a JWT' : `"${value ?? ''}"`;
    if (wanted === JWT) {
      if (typeof value !== 'object') {
        findings.push(`${name} is not a JWT`);
      }
    } else if (wanted !== ANY && !(typeof value !== 'object' && [wanted].flat().includes(value ?? ''))) {
      const allowed = [wanted].flat().filter((one) => one !== '');
      findings.push(
        `${name} is ${told}, ${allowed.length === 0 ? 'though none is configured' : `not "${allowed.join('" or "')}"`}`,
      );
    }
  }
  if (authorization !== null) {
    findings.push(`an Authorization header (${authorization}) was sent, though no secret is configured`);
  }
  if (parameters.client_secret !== undefined) {
    findings.push('a client_secret was sent, though none is configured');
  }
  return findings;
}

/**
 * TX-02: a token exchange is the form of RFC 8693 section 2.1 with what is configured: an audience only where there is
 * one.
 */
export function exchangesBySubjectToken(session: ClientSession): Finding[] {
  const { configurable, tokenRequest } = session;
  const names = ['exchange', 'exchange-audience'] as const;
  const asked = names.map((name) => ({ name }));
  const findings = names.flatMap((name) => {
    const setup = simulatedSetup(session, name);
    if (name === 'exchange-audience' && !configurable.tokenExchangeAudience) {
      return [];
    }
    const exchanges = exchangesAtSimulated(session, name);
    const findings = exchanges.flatMap((exchange) =>
      requestFindings(exchange, {
        grant_type: TOKEN_EXCHANGE,
        subject_token: JWT,
        subject_token_type: tokenRequest?.subjectTokenType ?? JWT_TYPE,
        // What some clients are given as the audience of their subject token they send as the one that they ask for.
        audience: [
          setup?.tokenExchangeAudience ?? '',
          ...(configurable.tokenExchangeAudience ? [] : configurable.audience ? [setup?.issuer ?? ''] : []),
        ],
        client_id: clientIdAs(session, setup?.clientId ?? ''),
        scope: scopeAs(session, setup?.scopes ?? []),
      }),
    );
    return [
      ...(exchanges.length === 0
        ? [missing(`${name}: no exchange was made${firstSimulatedError(session, name)}`)]
        : []),
      ...[...new Set(findings)].map((finding) => `${name}: ${finding}`),
    ];
  });
  return [...dialectOf(session, asked), ...findings];
}

/** TX-04: the metadata of an issuer with a path is found, not that of the issuer without one at the same origin. */
export function findsAnIssuerWithAPath(session: ClientSession): Finding[] {
  const issuer = simulatedSetup(session, 'tenant')?.issuer ?? '';
  const own = issuer === '' ? '' : `${new URL(issuer).pathname}/token`;
  const astray = exchangesAtSimulated(session, 'tenant').filter(({ path }) => pathOf(path) !== own);
  return [
    ...control(session),
    ...astray.map(({ at, path }) => `a token for the issuer ${issuer} was asked for at ${path} of its origin at ${at}`),
    ...succeeded(session, 'tenant', 'a call for an issuer with a path'),
  ];
}

/**
 * TX-06: metadata that names another issuer is not used, nor where the two differ by a slash at the end (RFC 8414
 * section 3.3).
 */
export function refusesMetadataOfAnotherIssuer(session: ClientSession): Finding[] {
  const names = ['other-issuer', 'other-slash'] as const;
  return [
    ...control(session),
    ...names.flatMap((name) => {
      const whose = name === 'other-slash' ? 'of its issuer with a slash more' : 'of another issuer';
      const asked = session.lookups.some(({ provider, status }) => provider === name && status === 200);
      return [
        ...exchangesAtSimulated(session, name).map(
          ({ at }) => `a token was presented at ${at} to the endpoint that the metadata ${whose} names`,
        ),
        ...callsOfSimulated(session, name)
          .filter(({ ok }) => ok)
          .map(() => `a call succeeded through the metadata ${whose}`),
        ...(asked ? [] : unseen(callsOfSimulated(session, name), `the metadata document ${whose} was never asked for`)),
      ];
    }),
  ];
}

/** TX-07: a server that TLS cannot verify is told nothing, and no token goes along a redirect to another origin. */
export function sendsNoTokenToStrangers(session: ClientSession): Finding[] {
  const strange = [...session.lookups, ...session.exchanges, ...session.resources];
  const sentOn = (name: SimulatedName, records: { status: number }[]): Finding[] =>
    records.some(({ status }) => REDIRECTS.some((redirect) => redirect === status))
      ? []
      : unseen(callsOfSimulated(session, name), `${name}: nothing was sent on`);
  return [
    ...control(session),
    ...strange
      .filter(({ provider, kind }) => provider === 'untrusted' && kind !== 'resource')
      .map(({ at, path }) => `a server with an untrusted certificate was asked for ${path} at ${at}`),
    ...session.elsewhere.flatMap(({ at, path, tokens }) =>
      tokens.map((token) => `a redirect was followed to another origin (${path}) at ${at} with a token (${token.as})`),
    ),
    ...callsOfSimulated(session, 'untrusted')
      .filter(({ ok }) => ok)
      .map(() => 'a call succeeded through a server with an untrusted certificate'),
    // A client that takes the first one keeps its connection.
    ...(strange.some(({ provider }) => provider === 'untrusted')
      ? []
      : BAD_CERTIFICATES.filter((bad) => !session.handshakes.some(({ certificate }) => certificate === bad)).flatMap(
          (bad) =>
            unseen(callsOfSimulated(session, 'untrusted'), `a server with a certificate ${bad} was never connected to`),
        )),
    ...sentOn('redirecting-endpoint', exchangesAtSimulated(session, 'redirecting-endpoint')),
    ...sentOn('redirecting-server', resourcesAtSimulated(session, 'redirecting-server')),
  ];
}

const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';

const JWT_TYPE = 'urn:ietf:params:oauth:token-type:jwt';

function firstSimulatedError(session: ClientSession, name: SimulatedName): string {
  const failed = callsOfSimulated(session, name).find(({ ok }) => !ok);
  return failed === undefined ? '' : ` (${describeCall(failed)})`;
}
