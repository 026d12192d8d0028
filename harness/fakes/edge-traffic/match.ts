/**
 * The rules of Traefik's routers as far as routes of sessions use them (Traefik, "Routers", "Rule"):
 * `Host`, `HostRegexp`, `Path`, `PathPrefix`, `&&`, `||`, `!` and parentheses.
 */

/** The part of a request that a rule looks at. */
export interface Asked {
  /** Lower case, without a port. */
  host: string;
  path: string;
}

type Matcher = (asked: Asked) => boolean;

const TOKEN = /\s*(?:(&&|\|\||!|\(|\))|([A-Za-z]+)\(((?:\s*(?:`[^`]*`|"[^"]*")\s*,?)+)\))/y;
const VALUE = /`([^`]*)`|"([^"]*)"/g;

/**
 * Compiles a rule.
 *
 * @throws Error for what is no rule, or has a matcher that this does not know
 */
export function compileRule(rule: string): Matcher {
  const tokens = tokensOf(rule);
  let at = 0;
  const disjunction = (): Matcher => {
    const parts = [conjunction()];
    while (tokens[at] === '||') {
      at += 1;
      parts.push(conjunction());
    }
    return (asked) => parts.some((part) => part(asked));
  };
  const conjunction = (): Matcher => {
    const parts = [factor()];
    while (tokens[at] === '&&') {
      at += 1;
      parts.push(factor());
    }
    return (asked) => parts.every((part) => part(asked));
  };
  const factor = (): Matcher => {
    const token = tokens[at];
    at += 1;
    if (token === '!') {
      const inner = factor();
      return (asked) => !inner(asked);
    }
    if (token === '(') {
      const inner = disjunction();
      if (tokens[at] !== ')') {
        throw new Error(`the rule has no closing parenthesis: ${rule}`);
      }
      at += 1;
      return inner;
    }
    if (token === undefined || typeof token === 'string') {
      throw new Error(`the rule does not end well: ${rule}`);
    }
    return token;
  };
  const whole = disjunction();
  if (at < tokens.length) {
    throw new Error(`the rule goes on behind its end: ${rule}`);
  }
  return whole;
}

function tokensOf(rule: string): (string | Matcher)[] {
  const tokens: (string | Matcher)[] = [];
  TOKEN.lastIndex = 0;
  while (rule.slice(TOKEN.lastIndex).trim() !== '') {
    const from = TOKEN.lastIndex;
    const found = TOKEN.exec(rule);
    if (found === null) {
      throw new Error(`the rule cannot be read from here: ${rule.slice(from)}`);
    }
    const [, operator, name = '', list = ''] = found;
    const values = [...list.matchAll(VALUE)].map(([, ticked, quoted]) => ticked ?? quoted ?? '');
    tokens.push(operator ?? matcherOf(name, values));
  }
  return tokens;
}

function matcherOf(name: string, values: string[]): Matcher {
  switch (name) {
    case 'Host':
      return ({ host }) => values.some((value) => value.toLowerCase() === host);
    case 'HostRegexp':
      return ({ host }) => values.some((value) => new RegExp(value).test(host));
    case 'Path':
      return ({ path }) => values.includes(path);
    case 'PathPrefix':
      return ({ path }) => values.some((value) => path.startsWith(value));
    default:
      throw new Error(`the matcher ${name} is not known to the reference ingress`);
  }
}
