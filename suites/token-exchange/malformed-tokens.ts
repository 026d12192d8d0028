import { tamper } from '../../harness/environment/identity-provider/rogue-issuer.ts';
import { conclude, lateness, type ProviderFinding, refusesGood, Silence } from '../../harness/oauth/refusal.ts';
import {
  describeResponse,
  isAccepted,
  readTokenResponse,
  type TokenResponse,
} from '../../harness/oauth/token-response.ts';
import { Unreachable } from '../../harness/oauth/transport.ts';
import { type DeclaredExchange, declaredExchanges, presentations } from '../../harness/probes/declared-exchanges.ts';
import type { RequirementContext } from '../../harness/rpc/context.ts';

/**
 * Above what parsers allow (Jackson: 1000), in a token that is still shorter than the 4000 characters that Keycloak
 * allows a parameter.
 */
const DEEP = 1_400;

/** Answers of a limit, which need no OAuth error. */
export const LIMITS = [413, 414, 429, 431];

function malformed(): Record<string, string> {
  const nested = Buffer.from(`{"a":${'['.repeat(DEEP)}${']'.repeat(DEEP)}}`).toString('base64url');
  const header = Buffer.from('{"alg":"ES256"}').toString('base64url');
  const signature = Buffer.alloc(64, 1).toString('base64url');
  return {
    garbage: 'not-a-token',
    'garbage in three parts': 'not.a.token',
    nothing: '',
    '1 MiB': 'A'.repeat(1_048_576),
    'binary data': Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)).toString('latin1'),
    [`a header of ${DEEP} levels`]: `${nested}.e30.${signature}`,
    [`a payload of ${DEEP} levels`]: `${header}.${nested}.${signature}`,
  };
}

/** Well formed, and refused for what it says. */
const ALTERED = 'a payload changed after it was signed';

interface Fault {
  fault: string;
  sent: string;
  exchange: DeclaredExchange;
  where: string;
  /** True where the client's authentication was what is malformed. */
  asClient: boolean;
  response: TokenResponse;
}

interface Malformed {
  faults: Fault[];
  untestable: ProviderFinding[];
}

/** Malformed input by one exchange. A good token is accepted before and after. */
async function presentMalformed(exchange: DeclaredExchange): Promise<Malformed> {
  const faults: Fault[] = [];
  const untestable: ProviderFinding[] = [];
  const control = async (): Promise<boolean> => {
    const response = await exchange.present(await exchange.good());
    if (!isAccepted(response)) {
      untestable.push(refusesGood(exchange, response));
    }
    return isAccepted(response);
  };
  if (!(await control())) {
    return { faults, untestable };
  }
  const altered = tamper(await exchange.good(), (claims) => {
    claims.exp = Number(claims.exp) + 1;
  });
  const attempts = presentations(exchange).flatMap(({ as, send }) =>
    Object.entries({ ...malformed(), [ALTERED]: altered }).map(([fault, sent]) => ({
      send,
      fault: {
        fault,
        sent,
        exchange,
        where: as === undefined ? exchange.label : `${exchange.label} as ${as}`,
        asClient: exchange.declaration.grant === 'client-assertion' || (as?.includes('client assertion') ?? false),
      },
    })),
  );
  const silence = new Silence();
  let last: Omit<Fault, 'response'> | undefined;
  try {
    for (const { send, fault } of attempts) {
      const begin = performance.now();
      const response = await send(fault.sent);
      silence.add(response.status, begin);
      last = fault;
      // One that is accepted is the matter of AI-07.
      if (fault.fault !== ALTERED || !isAccepted(response)) {
        faults.push({ ...fault, response });
      }
      if (silence.isEnough) {
        untestable.push({ finding: `${silence}, and not all of the others were sent`, where: exchange.label });
        break;
      }
    }
    await control();
  } catch (error) {
    if (!(error instanceof Unreachable) || last === undefined) {
      throw error;
    }
    // It answered a good token just now: what it was sent since has brought it down.
    faults.push({ ...last, response: readTokenResponse({ unanswered: `afterwards ${error.message}` }) });
  }
  return { faults, untestable };
}

/** The different answers that were given. */
function describeAll(faults: Fault[]): string {
  return [...new Set(faults.map(({ response }) => describeResponse(response)))].join('; ');
}

/** Malformed input by every exchange, once for all requirements that look at the answers. */
const answersToFaults = (t: RequirementContext): Promise<Malformed> =>
  t.shared('answers to malformed input', async () => {
    const all: Malformed = { faults: [], untestable: [] };
    for (const exchange of await declaredExchanges(t, 'tx-13')) {
      const { faults, untestable } = await presentMalformed(exchange);
      all.faults.push(...faults);
      all.untestable.push(...untestable);
      // Nobody is there any more to be asked by the next one.
      if (faults.at(-1)?.response.unanswered?.startsWith('afterwards') === true) {
        break;
      }
    }
    return all;
  });

export async function evaluateFaults(
  t: RequirementContext,
  evaluate: (fault: Fault) => string | undefined,
): Promise<void> {
  const { faults, untestable } = await answersToFaults(t);
  t.evidence(
    'answers to malformed input',
    faults.map(({ where, fault, response }) => ({
      exchange: where,
      fault,
      answer: describeResponse(response),
    })),
  );
  const violations = faults.flatMap((fault) => {
    const finding = evaluate(fault);
    return finding === undefined ? [] : [{ finding, where: fault.where, ...lateness(fault.response) }];
  });
  // A limit is a good answer to one of them. Where none is answered otherwise, none was looked at.
  const unseen = [...Map.groupBy(faults, ({ where }) => where)].flatMap(([where, sent]) =>
    sent.every(({ response: { status } }) => status === undefined || LIMITS.includes(status))
      ? [{ finding: `looks at none of ${sent.length} malformed tokens (${describeAll(sent)})`, where }]
      : [],
  );
  conclude(violations, [...untestable, ...unseen]);
}
