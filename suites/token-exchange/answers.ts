import { conclude, refusesGood } from '../../harness/oauth/refusal.ts';
import { describeResponse, isAccepted, type TokenResponse } from '../../harness/oauth/token-response.ts';
import { type DeclaredExchange, declaredExchanges } from '../../harness/probes/declared-exchanges.ts';
import type { RequirementContext } from '../../harness/rpc/context.ts';

interface Answer {
  exchange: DeclaredExchange;
  response: TokenResponse;
}

/** One answer to a good token by every exchange; `evaluate` says what is wrong with one that holds an access token. */
export async function evaluateAnswers(t: RequirementContext, evaluate: (answer: Answer) => string[]): Promise<void> {
  const answers = await t.shared('answers to a good token', async () => {
    const exchanges = await declaredExchanges(t, 'tx-12');
    return Promise.all(
      exchanges.map(async (exchange): Promise<Answer> => {
        return { exchange, response: await exchange.present(await exchange.good()) };
      }),
    );
  });
  t.evidence(
    'answers to a good token',
    answers.map(({ exchange, response }) => ({
      exchange: exchange.label,
      answer: describeResponse(response),
      cacheControl: response.headers['cache-control'] ?? 'none',
      contentType: response.headers['content-type'] ?? 'none',
      members: Object.fromEntries(
        Object.entries(response.body).map(([name, value]) => [name, /token$/i.test(name) ? '(a token)' : value]),
      ),
      repeated: Object.keys(response.repeated),
    })),
  );
  const good = answers.filter(({ response }) => isAccepted(response));
  const bad = answers.filter(({ response }) => !isAccepted(response));
  conclude(
    good.flatMap((answer) => evaluate(answer).map((finding) => ({ finding, where: answer.exchange.label }))),
    bad.map(({ exchange, response }) => refusesGood(exchange, response)),
  );
}
