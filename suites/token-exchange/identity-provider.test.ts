import { randomUUID } from 'node:crypto';
import { decodeJwt } from 'jose';
import type { TokenForge } from '../../harness/core/token.ts';
import { makeSigningKey } from '../../harness/fakes/additional-issuer.ts';
import { claimsOf, identityOf, tellingMembers } from '../../harness/oauth/identity.ts';
import { introspect } from '../../harness/oauth/introspection.ts';
import {
  addUnlessRefused,
  conclude,
  lateness,
  notTaken,
  type ProviderFinding,
  refusesGood,
} from '../../harness/oauth/refusal.ts';
import {
  describeResponse,
  formFindings,
  givesAccess,
  grantedScopes,
  isAccepted,
  isRefused,
  scopesIn,
  statedLifeSeconds,
  type TokenResponse,
} from '../../harness/oauth/token-response.ts';
import { presentUntilAccepted, withAdditionalIssuer } from '../../harness/probes/additional-issuer.ts';
import {
  type DeclaredExchange,
  declaredExchanges,
  LIFE_SECONDS,
  presentations,
} from '../../harness/probes/declared-exchanges.ts';
import { requirement } from '../../harness/run/worker/requirement.ts';
import { evaluateAnswers } from './answers.ts';
import { evaluateFaults, LIMITS } from './malformed-tokens.ts';

requirement('TX-10', async (t) => {
  const exchanges = await declaredExchanges(t, 'tx-10');
  const answers = await Promise.all(
    exchanges.map(async (exchange) => {
      const token = await exchange.genuine();
      return { label: exchange.label, token, response: await exchange.present(token) };
    }),
  );
  t.evidence(
    'answers to a genuine projected token',
    answers.map(({ label, response }) => ({
      exchange: label,
      answer: describeResponse(response),
      ...(isAccepted(response) ? { accessToken: claimsOf(response.accessToken) ?? 'opaque' } : {}),
    })),
  );
  const violations = answers.flatMap(({ label: where, token, response }): ProviderFinding[] => {
    if (!isAccepted(response)) {
      const finding = `a genuine projected token ${notTaken(response)} (${describeResponse(response)})`;
      return [{ finding, where, ...lateness(response) }];
    }
    return response.accessToken === token ? [{ finding: 'hands the projected token back as access token', where }] : [];
  });
  conclude(violations, []);
});

requirement('TX-11', async (t) => {
  const [exchanges, { forge }] = await Promise.all([declaredExchanges(t, 'tx-11'), t.cluster()]);
  const seen: { exchange: string; presented: string; answer: string }[] = [];
  const violations: ProviderFinding[] = [];
  const untestable: ProviderFinding[] = [];
  /** What was answered, where it is no access token. */
  const refusal = async (
    exchange: DeclaredExchange,
    token: string,
    presented: string,
  ): Promise<{ finding: string; late?: true } | undefined> => {
    const response = await exchange.present(token);
    const answer = describeResponse(response);
    seen.push({ exchange: exchange.label, presented, answer });
    const does = response.unanswered === undefined ? 'refuses' : 'does not answer to';
    return isAccepted(response)
      ? undefined
      : { finding: `${does} a token ${presented} (${answer})`, ...lateness(response) };
  };
  const requireAgain = async (exchange: DeclaredExchange, token: string, presented: string): Promise<void> => {
    const refused = await refusal(exchange, token, presented);
    if (refused === undefined) {
      return;
    }
    violations.push({ ...refused, where: exchange.label });
  };

  /** Good for the first time, or nothing can be said about the second. */
  const isGood = async (exchange: DeclaredExchange, token: string, presented: string): Promise<boolean> => {
    const refused = await refusal(exchange, token, presented);
    if (refused === undefined) {
      return true;
    }
    untestable.push({ finding: `${refused.finding}, though it is good, see TX-10`, where: exchange.label });
    return false;
  };

  const overItsOwnLife = async (exchange: DeclaredExchange): Promise<void> => {
    const token = await exchange.genuine({ expirationSeconds: 600 });
    const { iat = 0, exp = 0 } = decodeJwt(token);
    if (!(await isGood(exchange, token, 'at once'))) {
      return;
    }
    for (const share of [0.25, 0.55, 0.98]) {
      const instant = new Date((iat + share * (exp - iat)) * 1_000);
      await t.clock.until(instant, 'the same token is presented again');
      await requireAgain(exchange, token, `at ${Math.round(share * 100)} % of its life of ${exp - iat} s`);
    }
  };

  /**
   * Tokens of one hour that the pod has had for a while: all times moved into the past, signed with the cluster's own
   * key.
   */
  const atAnyAge = async (exchange: DeclaredExchange, { resign }: TokenForge): Promise<void> => {
    const aged = async (age: number): Promise<string> =>
      resign(await exchange.genuine(), (claims) => {
        const iat = Math.floor(Date.now() / 1_000) - age;
        Object.assign(claims, { iat, nbf: iat, exp: iat + LIFE_SECONDS });
      });
    if (!(await isGood(exchange, await aged(0), 'that was signed again'))) {
      return;
    }
    for (const age of [600, 1_800, LIFE_SECONDS - 30]) {
      await requireAgain(exchange, await aged(age), `issued ${age} s ago, ${LIFE_SECONDS - age} s before it expires`);
    }
  };

  await Promise.all(
    exchanges.map(async (exchange) => {
      const token = await exchange.genuine();
      if (!(await isGood(exchange, token, 'for the first time'))) {
        return;
      }
      await requireAgain(exchange, token, 'for the second time');
      await requireAgain(exchange, token, 'for the third time');
      await (forge === undefined ? overItsOwnLife(exchange) : atAnyAge(exchange, forge));
    }),
  );
  t.evidence('answers to the same token', seen);
  conclude(violations, untestable);
});

/** How long a provider may take to see what has changed at an issuer (catalogue TX-15). */
const A_MINUTE_SECONDS = 60;

requirement('TX-15', (t) =>
  withAdditionalIssuer(t, 'tx-15', async ({ issuer, key, exchanges, signedBy, untestable }) => {
    const next = makeSigningKey();
    const all = await exchanges();
    const ready: DeclaredExchange[] = [];
    for (const exchange of all) {
      const control = await exchange.present(await exchange.good());
      if (isAccepted(control)) {
        ready.push(exchange);
      } else {
        untestable.push(refusesGood(exchange, control));
      }
    }
    issuer.publish(key, next);
    const from = Date.now();
    const seen: Record<string, unknown> = {};
    const violations: ProviderFinding[] = [];
    await Promise.all(
      ready.map(async (exchange) => {
        const { accepted, answers, ...last } = await presentUntilAccepted(t, exchange, () => signedBy(exchange, next), {
          from,
          withinSeconds: A_MINUTE_SECONDS,
          why: 'the new signing key may not be known yet',
        });
        seen[exchange.label] = answers;
        if (accepted) {
          return;
        }
        const finding = `refuses tokens of a signing key that was published ${A_MINUTE_SECONDS} s ago (${answers.at(-1)?.answer})`;
        violations.push({ finding, where: exchange.label, ...lateness(last) });
      }),
    );
    t.evidence('answers to tokens of a new signing key, from its publication on', seen);
    t.evidence('what the issuer was asked', issuer.requests);
    conclude(violations, untestable);
  }),
);

requirement('TX-16', async (t) => {
  const { furtherIssuer } = await t.identityProvider();
  if (furtherIssuer?.keys === 'static-keys') {
    return t.notApplicable(`${furtherIssuer.quoted}: it is given the keys themselves, and so is never without one`);
  }
  return withAdditionalIssuer(t, 'tx-16', async ({ issuer, exchanges, signedBy, untestable }) => {
    const rogue = makeSigningKey();
    issuer.setReachable(false);
    const all = await exchanges();
    const seen: Record<string, unknown> = {};
    const violations: ProviderFinding[] = [];
    for (const exchange of all) {
      const { label: where } = exchange;
      const good = await exchange.present(await exchange.good());
      const bad = await exchange.present(await signedBy(exchange, rogue));
      const answers = [good, bad].map((response) => describeResponse(response));
      seen[where] = { whileUnreachable: { 'a good token': answers[0], 'one of another key': answers[1] } };
      if ([good, bad].some(givesAccess)) {
        const finding = `accepts tokens while the issuer cannot be reached and no key is known (${answers.join('; ')})`;
        violations.push({ finding, where });
      }
    }
    issuer.setReachable(true);
    const from = Date.now();
    await Promise.all(
      all.map(async (exchange) => {
        const { label: where } = exchange;
        const { accepted, answers, ...last } = await presentUntilAccepted(t, exchange, () => exchange.good(), {
          from,
          withinSeconds: A_MINUTE_SECONDS,
          why: 'the issuer has just come back',
        });
        const bad = await exchange.present(await signedBy(exchange, rogue));
        seen[where] = {
          ...(seen[where] as object),
          whenReachableAgain: { 'a good token': answers, 'one of another key': describeResponse(bad) },
        };
        if (!accepted) {
          const finding = `does not work again ${A_MINUTE_SECONDS} s after the issuer can be reached (${answers.at(-1)?.answer})`;
          // It recovers from nothing where it cannot reach the issuer at all.
          (issuer.isOutOfReach ? untestable : violations).push({ finding, where, ...lateness(last) });
          return;
        }
        if (isAccepted(bad)) {
          violations.push({ finding: 'accepts a token of another key once the issuer can be reached', where });
          return;
        }
        addUnlessRefused({ sent: 'a token of another key once the issuer can be reached', where }, bad, {
          violations,
          untestable,
        });
      }),
    );
    t.evidence('answers', seen);
    conclude(violations, untestable);
  });
});

requirement('TX-17', async (t) => {
  const { keySources = [], furtherIssuer, kind } = await t.identityProvider();
  if (keySources.length === 0) {
    return t.notApplicable(
      furtherIssuer === undefined
        ? `${kind} declares neither a key URL nor static keys: it knows the issuer's discovery alone`
        : furtherIssuer.quoted,
    );
  }
  const seen: Record<string, unknown> = {};
  const violations: ProviderFinding[] = [];
  const refused: ProviderFinding[] = [];
  for (const source of keySources) {
    await withAdditionalIssuer(t, `tx-17-${source}`, async ({ issuer, key, exchanges, signedBy, untestable }) => {
      refused.push(...untestable);
      const rogue = makeSigningKey();
      const mirror = await issuer.mirror();
      issuer.setReachable(false);
      const all = await exchanges(
        source === 'key-url' ? { url: mirror.keyUrl } : { jwks: JSON.stringify({ keys: [key.jwk] }) },
      );
      for (const exchange of all) {
        const where = `${exchange.label}, ${source}`;
        const good = await exchange.present(await exchange.good());
        const bad = await exchange.present(await signedBy(exchange, rogue));
        const [said, refusal] = [good, bad].map((response) => describeResponse(response));
        seen[where] = { 'a good token': said, 'one of another key': refusal };
        if (!isAccepted(good)) {
          // It cannot take the keys from where it does not get to.
          (source === 'key-url' && mirror.isOutOfReach ? refused : violations).push({
            finding: `refuses a good token while the issuer itself cannot be reached (${said})`,
            where,
          });
        }
        if (isAccepted(bad)) {
          violations.push({ finding: `accepts a token of another key (${refusal})`, where });
        } else {
          addUnlessRefused({ sent: 'a token of another key', where }, bad, { violations, untestable: refused });
        }
      }
      seen[`asked of the mirror, ${source}`] = mirror.requests;
    });
  }
  t.evidence('answers while only a mirror can be reached', seen);
  conclude(violations, refused);
});

requirement('TX-12', (t) =>
  evaluateAnswers(t, ({ exchange, response: { headers, body } }) => {
    const cacheControl = headers['cache-control'] ?? '';
    const directives = cacheControl.split(',').map((directive) => directive.trim().toLowerCase());
    return [
      ...(typeof body.token_type === 'string' && body.token_type !== '' ? [] : ['answers without token_type']),
      ...(directives.includes('no-store')
        ? []
        : [`answers with Cache-Control "${cacheControl}", where no-store must be`]),
      ...(exchange.declaration.grant !== 'token-exchange' || typeof body.issued_token_type === 'string'
        ? []
        : ['answers a token exchange without issued_token_type']),
    ];
  }),
);

requirement('TX-12a', (t) =>
  evaluateAnswers(t, ({ exchange, response }) => [
    ...(exchange.declaration.encoding === 'json'
      ? [
          'declares that it takes token requests as JSON, where a form must be (RFC 6749 section 4, RFC 8693 section 2.1)',
        ]
      : []),
    ...((statedLifeSeconds(response) ?? 0) > 0 ? [] : ['answers without expires_in']),
    ...(response.body.refresh_token === undefined ? [] : ['hands a refresh token to a machine']),
    ...formFindings(response),
  ]),
);

requirement('TX-13', (t) =>
  evaluateFaults(t, ({ fault, response }) => {
    if (response.unanswered !== undefined) {
      return `gives ${fault} no answer (${response.unanswered})`;
    }
    return isRefused(response) ? undefined : `answers ${fault} with ${describeResponse(response)}`;
  }),
);

requirement('TX-13a', (t) =>
  evaluateFaults(t, ({ fault, exchange, asClient, response }) => {
    // What is not answered, or with no refusal, is the matter of TX-13.
    if (response.status === undefined || LIMITS.includes(response.status)) {
      return undefined;
    }
    const registered = asClient
      ? ['invalid_client']
      : exchange.declaration.grant === 'token-exchange'
        ? ['invalid_request', 'invalid_grant']
        : ['invalid_grant'];
    // A parameter without a value counts as one that is not there (RFC 6749 section 3.2).
    if (fault === 'nothing') {
      registered.push('invalid_request');
    }
    return registered.includes(response.error ?? '')
      ? undefined
      : `answers ${fault} with ${describeResponse(response)}, where ${registered.join(' or ')} is registered`;
  }),
);

requirement('TX-14', async (t) => {
  const exchanges = await declaredExchanges(t, 'tx-14');
  const seen: { exchange: string; answer: string; echoed: boolean }[] = [];
  const untestable: ProviderFinding[] = [];
  for (const exchange of exchanges) {
    const control = await exchange.present(await exchange.good());
    if (!isAccepted(control)) {
      untestable.push(refusesGood(exchange, control));
      continue;
    }
    const wrong = await exchange.genuine({ audiences: ['https://another-provider.conformance.test'] });
    const [header = '', payload = ''] = wrong.split('.');
    const garbage = `conformance-${randomUUID()}`;
    for (const { send } of presentations(exchange)) {
      for (const [sent, parts] of [
        [wrong, [`${header}.${payload}`, payload]],
        [`${header}.${payload}.${garbage}`, [payload, garbage]],
        [garbage, [garbage]],
      ] as const) {
        const response = await send(sent);
        // One that is accepted is the matter of AI-01 and AI-07, one that is not answered of TX-13.
        if (isAccepted(response) || response.unanswered !== undefined) {
          continue;
        }
        const echoed = parts.some((part) => response.text.includes(part));
        seen.push({ exchange: exchange.label, answer: `${response.status} ${response.error ?? ''}`, echoed });
      }
    }
    if (!seen.some((one) => one.exchange === exchange.label)) {
      const finding = 'answers no bad token with an error that could be searched, see AI-07 and TX-13';
      untestable.push({ finding, where: exchange.label });
    }
  }
  t.evidence('errors', [...seen, ...untestable]);
  const echoes = seen.filter(({ echoed }) => echoed);
  conclude(
    echoes.map(({ exchange, answer }) => ({
      finding: `echoes the assertion in an error (${answer})`,
      where: exchange,
    })),
    untestable,
  );
});

requirement('TX-18', async (t) => {
  const [first, second, { fetch }] = await Promise.all([
    declaredExchanges(t, 'tx-18-a'),
    declaredExchanges(t, 'tx-18-b', { second: true }),
    t.identityProvider(),
  ]);
  const seen: Record<string, unknown> = {};
  const violations: ProviderFinding[] = [];
  const untestable: ProviderFinding[] = [];
  const evaluate = async (one: DeclaredExchange, other: DeclaredExchange): Promise<void> => {
    const claims: Record<string, unknown>[] = [];
    // The other one between two of the same: what tells them apart is then neither a time nor a number of the token.
    for (const exchange of [one, other, one]) {
      const response = await exchange.present(await exchange.good());
      if (!isAccepted(response)) {
        return void untestable.push(refusesGood(exchange, response));
      }
      const told = await identityOf(fetch, exchange.provider, response.accessToken ?? '');
      if (typeof told === 'string') {
        return void untestable.push({ finding: told, where: one.label });
      }
      claims.push(told);
    }
    const [before = {}, between = {}, after = {}] = claims;
    const telling = tellingMembers(before, between, after);
    seen[one.label] = Object.fromEntries(telling.map((name) => [name, [claims[0]?.[name], claims[1]?.[name]]]));
    if (telling.length === 0) {
      violations.push({ finding: 'gives two ServiceAccounts the same identity', where: one.label });
    }
  };
  await Promise.all(
    first.map((one, index) => {
      const other = second[index];
      return other === undefined ? undefined : evaluate(one, other);
    }),
  );
  t.evidence('what tells two ServiceAccounts apart', seen);
  conclude(violations, untestable);
});

/** A token with little life left, where the harness can make one. */
const SHORT_LIFE_SECONDS = 60;

/** By how much the clocks of provider and harness may differ. */
const SKEW_SECONDS = 60;

requirement('TX-19', async (t) => {
  const [exchanges, { forge }] = await Promise.all([declaredExchanges(t, 'tx-19'), t.cluster()]);
  const seen: Record<string, unknown> = {};
  const violations: ProviderFinding[] = [];
  const untestable: ProviderFinding[] = [];
  const evaluate = async (exchange: DeclaredExchange): Promise<void> => {
    const { label: where, provider } = exchange;
    const declared = provider.accessTokenLifetimeSeconds;
    const token =
      forge === undefined
        ? await exchange.genuine({ expirationSeconds: 600 })
        : await forge.resign(await exchange.good(), (claims) => {
            claims.exp = Math.floor(Date.now() / 1_000) + SHORT_LIFE_SECONDS;
          });
    const { exp: subjectExpires = 0 } = decodeJwt(token);
    const response = await exchange.present(token);
    if (!isAccepted(response)) {
      return void untestable.push(refusesGood(exchange, response));
    }
    const claims = claimsOf(response.accessToken);
    const says = statedLifeSeconds(response);
    const expiries = [
      ...(claims !== undefined && 'exp' in claims ? [Number(claims.exp)] : []),
      ...(says === undefined ? [] : [Math.floor(Date.now() / 1_000) + says]),
    ].filter((expiry) => !Number.isNaN(expiry));
    if (expiries.length === 0) {
      return void untestable.push({ finding: 'says nowhere when its access tokens expire', where });
    }
    const outlives = Math.max(...expiries) - subjectExpires;
    seen[where] = { declaredSeconds: declared, outlivesSubjectTokenBySeconds: outlives };
    if (outlives > declared + SKEW_SECONDS) {
      const finding = `issues access tokens that outlive the subject token by ${outlives} s, where it declares ${declared} s`;
      violations.push({ finding, where });
    }
  };
  await Promise.all(exchanges.map(evaluate));
  t.evidence('access tokens and the subject token that they were issued for', seen);
  conclude(violations, untestable);
});

/** Scopes that nobody knows. */
const FOREIGN_SCOPES = ['conformance:admin', 'cluster-admin'];

/** Claims of access tokens that hold scopes: RFC 9068 section 2.2.3, and `scp` of Entra ID and Okta. */
const SCOPE_CLAIMS = ['scope', 'scp'];

/**
 * What an answer grants, of all that says so: the answer itself, the access token, and introspection where it is
 * declared. Where none of them names a scope it is what was asked for (RFC 6749 section 5.1).
 */
function grantsOf(response: TokenResponse, asked: string[], introspected: Record<string, unknown> = {}): string[] {
  const known = [claimsOf(response.accessToken) ?? {}, introspected].flatMap((members) =>
    SCOPE_CLAIMS.filter((name) => members[name] !== undefined).map((name) => scopesIn(members[name])),
  );
  const said = grantedScopes(response) ?? (known.length === 0 ? asked : []);
  return [...new Set([...said, ...known.flat()])];
}

requirement('TX-20', async (t) => {
  const [exchanges, { fetch }] = await Promise.all([declaredExchanges(t, 'tx-20'), t.identityProvider()]);
  const seen: unknown[] = [];
  const violations: ProviderFinding[] = [];
  const untestable: ProviderFinding[] = [];
  const ask = async (exchange: DeclaredExchange, foreign: string[]): Promise<void> => {
    const { label: where } = exchange;
    const response = await exchange.present(await exchange.good(), undefined, foreign.join(' '));
    const answer = describeResponse(response);
    const { introspection } = exchange.provider;
    const introspected =
      introspection === undefined || !isAccepted(response)
        ? undefined
        : await introspect(fetch, introspection, response.accessToken ?? '');
    const members = introspected?.active === true ? introspected.members : {};
    const granted = isAccepted(response) ? grantsOf(response, foreign, members) : [];
    const form = isAccepted(response) ? formFindings(response) : [];
    seen.push({ exchange: where, asked: foreign, answer, granted, ...(form.length === 0 ? {} : { form }) });
    const beyond = foreign.filter((scope) => granted.includes(scope));
    if (beyond.length > 0) {
      violations.push({ finding: `grants ${beyond.join(', ')}, which no client has`, where });
    } else if (!isAccepted(response)) {
      addUnlessRefused({ sent: 'a scope that it does not grant', where }, response, { violations, untestable });
    }
  };
  const evaluate = async (exchange: DeclaredExchange): Promise<void> => {
    const control = await exchange.present(await exchange.good());
    if (!isAccepted(control)) {
      return void untestable.push(refusesGood(exchange, control));
    }
    // Each that it knows alone: beside one that it does not know it would be refused for the other.
    const known = exchange.provider.foreignScopes ?? [];
    for (const foreign of [FOREIGN_SCOPES, ...known.map((scope) => [scope])]) {
      await ask(exchange, foreign);
    }
  };
  for (const exchange of exchanges) {
    await evaluate(exchange);
  }
  t.evidence('answers to foreign scopes', seen);
  conclude(violations, untestable);
});
