import { decodeJwt } from 'jose';
import { NotTestable, Violation } from '../../harness/run/errors.ts';
import { requirement } from '../../harness/run/requirement.ts';
import { type DeclaredExchange, declaredExchanges, LIFE_SECONDS } from '../../harness/tokens/declared-exchanges.ts';
import { describeResponse, isAccepted } from '../../harness/tokens/exchange.ts';
import { groupFindings } from '../../harness/tokens/refusal.ts';
import type { TokenForge } from '../../harness/tokens/token.ts';

/** Claims of an access token, where it is a JWT. */
function claimsOf(accessToken: string | undefined): unknown {
  try {
    return decodeJwt(accessToken ?? '');
  } catch {
    return 'opaque';
  }
}

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
      ...(isAccepted(response) ? { accessToken: claimsOf(response.accessToken) } : {}),
    })),
  );
  const violations = answers.flatMap(({ label: where, token, response }) => {
    if (!isAccepted(response))
      return [{ finding: `refuses a genuine projected token (${describeResponse(response)})`, where }];
    return response.accessToken === token ? [{ finding: 'hands the projected token back as access token', where }] : [];
  });
  if (violations.length > 0) throw new Violation(groupFindings(violations));
});

requirement('TX-11', async (t) => {
  const [exchanges, { forge }] = await Promise.all([declaredExchanges(t, 'tx-11'), t.cluster()]);
  const seen: { exchange: string; presented: string; answer: string }[] = [];
  const violations: { finding: string; where: string }[] = [];
  const untestable: { finding: string; where: string }[] = [];
  /** What was answered, where it is no access token. */
  const refusal = async (exchange: DeclaredExchange, token: string, presented: string): Promise<string | undefined> => {
    const response = await exchange.present(token);
    const answer = describeResponse(response);
    seen.push({ exchange: exchange.label, presented, answer });
    return isAccepted(response) ? undefined : answer;
  };
  const requireAgain = async (exchange: DeclaredExchange, token: string, presented: string): Promise<void> => {
    const answer = await refusal(exchange, token, presented);
    if (answer === undefined) return;
    violations.push({ finding: `refuses a token ${presented} (${answer})`, where: exchange.label });
  };

  /** Good for the first time, or nothing can be said about the second. */
  const isGood = async (exchange: DeclaredExchange, token: string, presented: string): Promise<boolean> => {
    const answer = await refusal(exchange, token, presented);
    if (answer === undefined) return true;
    untestable.push({ finding: `refuses a good token ${presented} (${answer}), see TX-10`, where: exchange.label });
    return false;
  };

  const overItsOwnLife = async (exchange: DeclaredExchange): Promise<void> => {
    const token = await exchange.genuine({ expirationSeconds: 600 });
    const { iat = 0, exp = 0 } = decodeJwt(token);
    if (!(await isGood(exchange, token, 'at once'))) return;
    for (const share of [0.25, 0.55, 0.98]) {
      const instant = new Date((iat + share * (exp - iat)) * 1_000);
      await t.clock.until(instant, 'the same token is presented again');
      await requireAgain(exchange, token, `at ${Math.round(share * 100)} % of its life of ${exp - iat} s`);
    }
  };

  /** Tokens of one hour that the pod has had for a while: all times moved into the past, signed with the cluster's own key. */
  const atAnyAge = async (exchange: DeclaredExchange, { resign }: TokenForge): Promise<void> => {
    const aged = async (age: number): Promise<string> =>
      resign(await exchange.genuine(), (claims) => {
        const iat = Math.floor(Date.now() / 1_000) - age;
        Object.assign(claims, { iat, nbf: iat, exp: iat + LIFE_SECONDS });
      });
    if (!(await isGood(exchange, await aged(0), 'that was signed again'))) return;
    for (const age of [600, 1_800, LIFE_SECONDS - 30]) {
      await requireAgain(exchange, await aged(age), `issued ${age} s ago, ${LIFE_SECONDS - age} s before it expires`);
    }
  };

  await Promise.all(
    exchanges.map(async (exchange) => {
      const token = await exchange.genuine();
      if (!(await isGood(exchange, token, 'for the first time'))) return;
      await requireAgain(exchange, token, 'for the second time');
      await requireAgain(exchange, token, 'for the third time');
      await (forge === undefined ? overItsOwnLife(exchange) : atAnyAge(exchange, forge));
    }),
  );
  t.evidence('answers to the same token', seen);
  if (violations.length > 0) throw new Violation(groupFindings([...violations, ...untestable]));
  if (untestable.length > 0) throw new NotTestable(groupFindings(untestable));
});
