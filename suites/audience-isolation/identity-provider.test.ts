import { randomUUID } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader, type JWK } from 'jose';
import { HarnessError, NotTestable, Violation } from '../../harness/core/errors.ts';
import { createForge } from '../../harness/core/token.ts';
import {
  makeRogueIssuer,
  publicKeyAsSecrets,
  signHs256,
  startRogueIssuer,
  tamper,
  unsecured,
} from '../../harness/environment/identity-provider/rogue-issuer.ts';
import { makeSigningKey, startAdditionalIssuer } from '../../harness/fakes/additional-issuer.ts';
import {
  addUnlessRefused,
  conclude,
  type ProviderFinding,
  type Refusal,
  type RefusalSeries,
  refusesGood,
} from '../../harness/oauth/refusal.ts';
import { resourceServerOf } from '../../harness/oauth/resource-server.ts';
import { EVERY_REASON, type Reason } from '../../harness/oauth/stated-reason.ts';
import { describeResponse, isAccepted } from '../../harness/oauth/token-response.ts';
import { withAdditionalIssuer } from '../../harness/probes/additional-issuer.ts';
import {
  type BadToken,
  type DeclaredExchange,
  declaredExchanges,
  exchangesOfAll,
  expectRefusals,
  expectRefused,
  findingsOf,
} from '../../harness/probes/declared-exchanges.ts';
import { withForge } from '../../harness/probes/forged-tokens.ts';
import { MATRIX, type Matrix } from '../../harness/probes/matrix.ts';
import {
  type MatrixToken,
  matrixProviders,
  presentEach,
  providersOf,
  requireGood,
} from '../../harness/probes/token-matrix.ts';
import { requirement } from '../../harness/run/worker/requirement.ts';
import { tokensOfOtherSubjects } from './other-subjects.ts';
import { tokenOfSecondCluster } from './second-cluster.ts';
import { type Change, signedAgain } from './signed-again.ts';

/** Offset of times that are wrong: far from any clock skew that a provider may allow. */
const TEN_MINUTES = 600;

const now = (): number => Math.floor(Date.now() / 1_000);

/** Keys and subjects are an issuer's: a provider that looks them up by a foreign one finds neither. */
const ISSUER_REASONS: Reason[] = ['issuer', 'signature', 'subject'];

/** A key is one of an issuer's: who does not find it may name the one or the other. */
const KEY_REASONS: Reason[] = ['signature', 'issuer'];

requirement('AI-01', async (t) => {
  const all = await exchangesOfAll(t, 'ai-01');
  const tokens: MatrixToken[] = providersOf([...all.evaluated, ...all.peers]);
  // Without anybody else there is no other's audience to take: one that nobody has stands in for it.
  if (new Set(tokens.map(({ audience }) => audience)).size === 1) {
    const audience = 'https://another-provider.conformance.test';
    tokens.push({ name: audience, audience });
  }
  const cells: Matrix['subjectTokens'] = [];
  const see = async (exchanges: DeclaredExchange[]): Promise<ReturnType<typeof findingsOf>> => {
    const series: [string, RefusalSeries][] = [];
    // One after another: a provider is not to be tested for load.
    for (const exchange of exchanges) {
      const seen = await presentEach(exchange, tokens);
      cells.push(...seen.cells);
      series.push([exchange.label, seen.series]);
    }
    return findingsOf(series);
  };
  const { violations, untestable } = await see(all.evaluated);
  const beside = await see(all.peers);
  t.evidence(MATRIX, { providers: matrixProviders(all), subjectTokens: cells, accessTokens: [] } satisfies Matrix);
  conclude(violations, untestable);
  requireGood([...beside.violations, ...beside.untestable]);
});

requirement('AI-02', async (t) => {
  const [exchanges, { apiAudiences }] = await Promise.all([declaredExchanges(t, 'ai-02'), t.cluster()]);
  t.evidence("the API server's audiences", apiAudiences);
  await expectRefused(t, exchanges, () =>
    apiAudiences.map((audience) => ({
      fault: `the API server's audience ${audience}`,
      reasons: ['audience'],
      make: (exchange) => exchange.genuine({ audiences: [audience] }),
    })),
  );
});

requirement('AI-03', (t) =>
  withForge(t, 'ai-03', async ({ exchanges, forge }) => {
    const withAudience = (fault: string, aud: string[] | undefined): BadToken => ({
      fault,
      reasons: ['audience'],
      make: (exchange) =>
        signedAgain(exchange, forge, (claims) => {
          claims.aud = aud;
        }),
    });
    await expectRefused(t, exchanges, () => [
      withAudience('no audience', undefined),
      withAudience('an empty list of audiences', []),
    ]);
  }),
);

requirement('AI-04', async (t) => {
  const exchanges = await declaredExchanges(t, 'ai-04');
  const declaring = exchanges.filter(({ provider }) => provider.acceptsFurtherAudiences === true);
  if (declaring.length > 0) {
    t.evidence(
      'accept further audiences, as they declare',
      declaring.map(({ label }) => label),
    );
  }
  const bound = exchanges.filter((exchange) => !declaring.includes(exchange));
  if (bound.length === 0) {
    return t.notApplicable('all providers declare that they accept further audiences');
  }
  await expectRefused(t, bound, ({ provider: { name, audience } }) => {
    const others = exchanges.filter(({ provider }) => provider.name !== name);
    const other = others[0]?.provider.audience ?? 'https://another-provider.conformance.test';
    const withAudiences = (fault: string, audiences: string[]): BadToken => ({
      fault,
      reasons: ['audience'],
      make: (exchange) => exchange.genuine({ audiences }),
    });
    return [
      withAudiences('a second audience after its own', [audience, other]),
      withAudiences('a second audience before its own', [other, audience]),
    ];
  });
});

requirement('AI-05', (t) =>
  withForge(t, 'ai-05', async ({ exchanges, forge, issuer }) => {
    const signAgain = async (exchange: DeclaredExchange, change: Change): Promise<string> =>
      forge.resign(await exchange.good(), change);
    const withIssuer = (fault: string, iss: string | undefined): BadToken => ({
      fault,
      reasons: ISSUER_REASONS,
      make: (exchange) =>
        signAgain(exchange, (claims) => {
          claims.iss = iss;
        }),
    });
    const { host, origin } = new URL(issuer);
    await expectRefused(t, exchanges, () => [
      withIssuer('another issuer', 'https://another-cluster.conformance.test'),
      withIssuer('a trailing slash changed in the issuer', issuer.endsWith('/') ? issuer.slice(0, -1) : `${issuer}/`),
      withIssuer('a path added to the issuer', `${origin}/${randomUUID()}`),
      // A host of digits has no case.
      withIssuer(
        'a changed case in the issuer',
        host === host.toUpperCase() ? issuer.replace(/^https?/, 'HTTPS') : issuer.replace(host, host.toUpperCase()),
      ),
      withIssuer('no issuer', undefined),
    ]);
  }),
);

requirement('AI-06', async (t) => {
  const [{ issuer, owned }, second] = await Promise.all([t.cluster(), t.peerCluster()]);
  const { evaluated: exchanges, peers } =
    second === undefined
      ? { evaluated: await declaredExchanges(t, 'ai-06'), peers: [] }
      : await exchangesOfAll(t, 'ai-06');
  const { alg } = decodeProtectedHeader((await exchanges[0]?.genuine()) ?? '');
  const ofSecond = second === undefined ? [] : [await tokenOfSecondCluster(t, peers, second)];
  if (second === undefined && owned === false) {
    t.evidence('the second cluster', 'no token of one was presented: none is named (--peer-context NAME)');
  }
  const rogue = await startRogueIssuer(alg);
  const from = (fault: string, iss: string): BadToken => ({
    fault,
    reasons: ISSUER_REASONS,
    make: async (exchange) => rogue.sign({ ...decodeJwt(await exchange.good()), iss }),
  });
  try {
    await expectRefused(t, exchanges, () => [
      from('the same subject from another cluster', rogue.issuer),
      from("the cluster's issuer and another cluster's key", issuer),
      ...ofSecond,
    ]);
  } finally {
    await rogue.stop();
  }
});

requirement('AI-07', async (t) => {
  const [exchanges, cluster] = await Promise.all([declaredExchanges(t, 'ai-07'), t.cluster()]);
  const published = (await (await cluster.request('/openid/v1/jwks')).json()) as { keys: JWK[] };
  const sample = decodeProtectedHeader((await exchanges[0]?.genuine()) ?? '');
  const algorithm = sample.alg ?? '';
  const key = published.keys.find(({ kid }) => kid === sample.kid);
  if (key === undefined) {
    throw new HarnessError(`the cluster does not publish the key "${sample.kid}" of its own token`);
  }
  const rogue = await makeRogueIssuer(algorithm);
  const bad = (
    fault: string,
    make: (good: string, claims: Record<string, unknown>, kid: string) => string | Promise<string>,
  ): BadToken => ({
    fault,
    reasons: KEY_REASONS,
    make: async (exchange) => {
      const good = await exchange.good();
      return make(good, decodeJwt(good), sample.kid ?? '');
    },
  });
  const secrets = Object.entries(await publicKeyAsSecrets(key, algorithm));
  await expectRefused(t, exchanges, () => [
    bad("the signature of another key under the cluster's kid", (_, claims, kid) => rogue.sign(claims, { kid })),
    bad('the signature of an unknown key under its own kid', (_, claims) => rogue.sign(claims)),
    bad('a payload changed after it was signed', (good) =>
      tamper(good, (claims) => {
        claims.exp = Number(claims.exp) + 1;
      }),
    ),
    ...['none', 'None'].map((spelled) =>
      bad(`no signature and alg "${spelled}"`, (_, claims) => unsecured(claims, spelled)),
    ),
    ...secrets.map(([name, secret]) =>
      bad(`HS256 keyed with the public key (${name})`, (_, claims, kid) => signHs256(claims, secret, { kid })),
    ),
  ]);
});

requirement('AI-08', (t) =>
  withForge(t, 'ai-08', async ({ exchanges, forge }) => {
    const signAgain = async (exchange: DeclaredExchange, change: Change): Promise<string> =>
      forge.resign(await exchange.good(), change);
    const withTimes = (fault: string, change: Change): BadToken => ({
      fault,
      reasons: ['time'],
      make: (exchange) => signAgain(exchange, change),
    });
    await expectRefused(t, exchanges, () => [
      withTimes('an exp of ten minutes ago', (claims) => {
        claims.exp = now() - TEN_MINUTES;
      }),
      withTimes('an nbf in ten minutes', (claims) => {
        claims.nbf = now() + TEN_MINUTES;
      }),
      withTimes('no exp', (claims) => {
        delete claims.exp;
      }),
    ]);
  }),
);

requirement('AI-08a', (t) =>
  withForge(t, 'ai-08a', async ({ exchanges, forge }) => {
    await expectRefused(t, exchanges, () => [
      {
        fault: 'an iat in ten minutes',
        reasons: ['time'],
        make: (exchange) =>
          signedAgain(exchange, forge, (claims) => {
            claims.iat = now() + TEN_MINUTES;
          }),
      },
    ]);
  }),
);

requirement('AI-09', async (t) => {
  const [exchanges, registered] = await Promise.all([
    declaredExchanges(t, 'ai-09'),
    declaredExchanges(t, 'ai-09-other', { second: true }),
  ]);
  const badTokens = await tokensOfOtherSubjects(t, exchanges, registered);
  await expectRefused(t, exchanges, (exchange) => badTokens.get(exchange) ?? []);
});

requirement('AI-10', async (t) => {
  const exchanges = await declaredExchanges(t, 'ai-10');
  const accessTokenBy = async (exchange: DeclaredExchange): Promise<string> => {
    const response = await exchange.present(await exchange.good());
    if (isAccepted(response)) {
      return response.accessToken ?? '';
    }
    throw new NotTestable(`${exchange.label} refuses a good token (${describeResponse(response)}), see TX-10`);
  };
  await expectRefused(t, exchanges, (exchange) => {
    const other = exchanges.find(({ provider }) => provider.name !== exchange.provider.name);
    const accessToken = (fault: string, make: () => Promise<string>): BadToken => ({
      fault,
      reasons: EVERY_REASON,
      make,
    });
    return [
      accessToken("the provider's own access token in its place", () => accessTokenBy(exchange)),
      ...(other === undefined
        ? []
        : [accessToken("another provider's access token in its place", () => accessTokenBy(other))]),
    ];
  });
});

requirement('AI-11', async (t) => {
  const [all, slot, beside] = await Promise.all([exchangesOfAll(t, 'ai-11'), t.identityProvider(), t.peerProviders()]);
  const evaluated = providersOf(all.evaluated);
  if (evaluated.length === 1 && all.peers.length === 0) {
    return t.notApplicable('there is one provider alone, and so no other provider whose tokens could be taken');
  }
  const servers = await Promise.all([
    ...evaluated.map(async (provider) => ({
      name: provider.name,
      refusal: await resourceServerOf(slot.fetch, provider),
    })),
    ...(beside?.providers ?? []).map(async (provider) => ({
      name: provider.name,
      refusal: await resourceServerOf(beside?.fetch ?? slot.fetch, provider),
    })),
  ]);
  const cells: Matrix['accessTokens'] = [];
  const see = async (
    exchanges: DeclaredExchange[],
  ): Promise<{ violations: ProviderFinding[]; untestable: ProviderFinding[] }> => {
    const found: { violations: ProviderFinding[]; untestable: ProviderFinding[] } = { violations: [], untestable: [] };
    await Promise.all(
      exchanges.map(async (exchange) => {
        const response = await exchange.present(await exchange.good());
        if (!isAccepted(response)) {
          return void found.untestable.push(refusesGood(exchange, response));
        }
        const { label: where } = exchange;
        for (const { name, refusal } of servers) {
          const refused = await refusal(response.accessToken ?? '');
          const own = name === exchange.provider.name;
          cells.push({
            issuedBy: exchange.provider.name,
            exchange: where,
            resourceServer: name,
            outcome: refused === undefined ? 'accepted' : 'refused',
            ...(refused === undefined ? {} : { reason: refused }),
            asItMust: own === (refused === undefined),
          });
          if (own && refused !== undefined) {
            const finding = `issues what its own resource server refuses (${refused}), so that another's refusal proves nothing`;
            found.untestable.push({ finding, where });
          } else if (!own && refused === undefined) {
            found.violations.push({ finding: `issues what the resource server of ${name} accepts`, where });
          }
        }
      }),
    );
    return found;
  };
  const { violations, untestable } = await see(all.evaluated);
  const references = await see(all.peers);
  t.evidence(MATRIX, { providers: matrixProviders(all), subjectTokens: [], accessTokens: cells } satisfies Matrix);
  conclude(violations, untestable);
  requireGood([...references.violations, ...references.untestable]);
});

requirement('AI-12', async (t) => {
  const [all, others] = await Promise.all([
    declaredExchanges(t, 'ai-12'),
    declaredExchanges(t, 'ai-12-other', { second: true }),
  ]);
  const otherOf = new Map(all.map((exchange, index) => [exchange, others[index]]));
  const exchanges = all.filter(
    ({ declaration: { grant, clientAuthentication } }) =>
      grant !== 'client-assertion' && clientAuthentication === 'subject-token',
  );
  if (exchanges.length === 0) {
    return t.notApplicable('no grant is declared whose requests hold two projected tokens');
  }
  for (const exchange of exchanges) {
    const other = otherOf.get(exchange);
    const response = await other?.present(await other.good());
    if (response !== undefined && !isAccepted(response)) {
      throw new NotTestable(
        `${exchange.label} refuses another registered ServiceAccount's own pair (${describeResponse(response)}), see TX-10`,
      );
    }
  }
  await expectRefusals(t, exchanges, (exchange) => {
    const own = (): Promise<string> => exchange.good();
    const ofOther = async (): Promise<string> => (await otherOf.get(exchange)?.good()) ?? '';
    const pair = (fault: string, token: () => Promise<string>, assertion: () => Promise<string>): Refusal => ({
      fault,
      reasons: ['subject'],
      attempt: async () => exchange.present(await token(), await assertion()),
    });
    return [
      pair("another registered ServiceAccount's subject beside its own client assertion", ofOther, own),
      pair("its own subject beside another registered ServiceAccount's client assertion", own, ofOther),
    ];
  });
});

requirement('AI-13', async (t) => {
  const [exchanges, { additionalIssuer }] = await Promise.all([declaredExchanges(t, 'ai-13'), t.identityProvider()]);
  // Where the provider reaches it, or nobody does: then it is evaluated by what it accepts alone.
  const address = additionalIssuer?.address ?? '127.0.0.1';
  const { cert, key } = await t.certificate(address);
  const { alg } = decodeProtectedHeader((await exchanges[0]?.genuine()) ?? '');
  const rogue = makeSigningKey(alg);
  const issuer = await startAdditionalIssuer({ address, cert, key });
  issuer.publish(rogue);
  const bad = (fault: string, sign: (claims: Record<string, unknown>) => string | Promise<string>): BadToken => ({
    fault,
    reasons: KEY_REASONS,
    make: async (exchange) => sign(decodeJwt(await exchange.good())),
  });
  // What makes it good to whoever believes it: a certificate of the run's CA, which the provider trusts for TLS.
  const certified = createForge(key);
  const certificate = cert.replace(/-----END CERTIFICATE-----[\s\S]*/, '').replace(/-----[^-]+-----|\s/g, '');
  try {
    await expectRefused(t, exchanges, () => [
      bad('a key of its own (jwk)', (claims) => rogue.sign(claims, { jwk: rogue.jwk })),
      bad('the address of its own keys (jku)', (claims) => rogue.sign(claims, { jku: issuer.keyUrl })),
      bad('the address of its own certificate (x5u)', (claims) =>
        certified.sign(claims, { x5u: issuer.certificateUrl }),
      ),
      bad('a certificate of its own (x5c)', (claims) => certified.sign(claims, { x5c: [certificate] })),
      bad('a kid that names an empty file, and HS256 with an empty key', (claims) =>
        signHs256(claims, '', { kid: '../../../../../../dev/null' }),
      ),
      bad('a kid that holds SQL', (claims) => rogue.sign(claims, { kid: "' UNION SELECT 'key' -- " })),
    ]);
    t.evidence('what was asked at the addresses that tokens offered', issuer.requests);
    if (issuer.requests.length > 0) {
      throw new Violation(`asks at the address that a token offers (${[...new Set(issuer.requests)].join(', ')})`);
    }
  } finally {
    await issuer.stop();
  }
});

requirement('AI-13a', (t) =>
  withForge(t, 'ai-13a', async ({ exchanges, forge }) => {
    await expectRefused(t, exchanges, () => [
      {
        fault: 'a critical header that nobody knows',
        reasons: ['signature'],
        make: async (exchange) =>
          forge.resign(await exchange.good(), (_, header) => {
            Object.assign(header, { crit: ['conformance'], conformance: true });
          }),
      },
    ]);
  }),
);

/** Where a provider declares no time of its own. */
const WITHDRAWN_SECONDS = 60;

requirement('AI-14', (t) =>
  withAdditionalIssuer(t, 'ai-14', async ({ issuer, key, exchanges, signedBy, untestable }) => {
    const kept = makeSigningKey();
    issuer.publish(key, kept);
    const all = await exchanges();
    const seen: Record<string, unknown> = {};
    const violations: ProviderFinding[] = [];
    const ready: DeclaredExchange[] = [];
    for (const exchange of all) {
      const controls = [
        await exchange.present(await exchange.good()),
        await exchange.present(await signedBy(exchange, kept)),
      ];
      const refused = controls.find((response) => !isAccepted(response));
      if (refused === undefined) {
        ready.push(exchange);
      } else {
        untestable.push(refusesGood(exchange, refused));
      }
    }
    issuer.publish(kept);
    const withdrawnAt = Date.now();
    const declared = all[0]?.provider.withdrawnKeySeconds;
    const seconds = declared ?? WITHDRAWN_SECONDS;
    await t.clock.until(new Date(withdrawnAt + seconds * 1_000), 'a withdrawn signing key must be refused then');
    for (const exchange of ready) {
      const { label: where } = exchange;
      const response = await exchange.present(await exchange.good());
      const control = await exchange.present(await signedBy(exchange, kept));
      seen[where] = {
        'the withdrawn key': describeResponse(response),
        'control: the key that is left': describeResponse(control),
      };
      if (!isAccepted(control)) {
        untestable.push(refusesGood(exchange, control));
      } else if (isAccepted(response)) {
        violations.push({ finding: `accepts a token of a key that was withdrawn ${seconds} s ago`, where });
      } else {
        const sent = `a token of a key that was withdrawn ${seconds} s ago`;
        addUnlessRefused({ sent, where }, response, { violations, untestable });
      }
    }
    t.evidence('answers after the time that is given', {
      seconds,
      given: declared === undefined ? 'by default: the provider declares none' : 'as the provider declares',
      answers: seen,
    });
    t.evidence('what the issuer was asked', issuer.requests);
    conclude(violations, untestable);
  }),
);
