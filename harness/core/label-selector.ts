/**
 * Label selectors as the API server reads them (Kubernetes, "Labels and Selectors"; grammar of
 * k8s.io/apimachinery/pkg/labels): `a=b`, `a==b`, `a!=b`, `a in (b, c)`, `a notin (b, c)`, `a>1`, `a<1`, `a`, `!a`,
 * joined by commas.
 */
export interface LabelSelector {
  /** True where all of its requirements hold; one of no requirements holds for everything. */
  matches(labels: Record<string, string>): boolean;
}

/** The API server would answer 400 to it. */
export class LabelSelectorError extends Error {
  override readonly name = 'LabelSelectorError';
}

interface Token {
  /** A word, or a symbol as itself. */
  kind: 'word' | 'end' | (typeof SYMBOLS)[number];
  text: string;
}

const SYMBOLS = ['==', '!=', '=', '!', '(', ')', ',', '>', '<'] as const;
const TOKEN = /\s*(?:(==|!=|[=!(),<>])|([^\s=!(),<>]+))/y;

const NAME = /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const PREFIX = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const LONGEST_PREFIX = 253;

function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  for (let match = TOKEN.exec(text); match !== null; match = TOKEN.exec(text)) {
    const [, symbol, word = ''] = match;
    tokens.push(symbol === undefined ? { kind: 'word', text: word } : { kind: symbol as Token['kind'], text: symbol });
  }
  tokens.push({ kind: 'end', text: '' });
  return tokens;
}

function isKey(key: string): boolean {
  const parts = key.split('/');
  const [prefix = '', name = ''] = parts.length === 1 ? [undefined, key] : parts;
  if (parts.length > 2 || !NAME.test(name)) {
    return false;
  }
  return parts.length === 1 || (PREFIX.test(prefix) && prefix.length <= LONGEST_PREFIX);
}

const isValue = (value: string): boolean => value === '' || NAME.test(value);

function int64(text: string): bigint | undefined {
  const integer = /^[-+]?\d+$/.test(text) ? BigInt(text.replace('+', '')) : undefined;
  return integer !== undefined && BigInt.asIntN(64, integer) === integer ? integer : undefined;
}

type Requirement = (labels: Record<string, string>) => boolean;

class Parser {
  readonly #text: string;
  readonly #tokens: Token[];
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    this.#tokens = tokensOf(text);
  }

  #peek(): Token {
    return this.#tokens[this.#at] ?? { kind: 'end', text: '' };
  }

  #next(): Token {
    const token = this.#peek();
    this.#at += 1;
    return token;
  }

  #fail(found: Token, expected: string): never {
    const what = found.kind === 'end' ? 'its end' : `"${found.text}"`;
    throw new LabelSelectorError(`the label selector "${this.#text}" has ${what} where ${expected} is expected`);
  }

  #value(value: string): string {
    if (isValue(value)) {
      return value;
    }
    throw new LabelSelectorError(
      `the label selector "${this.#text}" has "${value}", which is no label value: at most 63 letters, digits, -, _ and .`,
    );
  }

  /** Absent words between commas and brackets are empty values. */
  #set(): string[] {
    const open = this.#next();
    if (open.kind !== '(') {
      this.#fail(open, '"("');
    }
    const values: string[] = [];
    for (;;) {
      values.push(this.#peek().kind === 'word' ? this.#value(this.#next().text) : '');
      const after = this.#next();
      if (after.kind === ')') {
        return values;
      }
      if (after.kind !== ',') {
        this.#fail(after, '"," or ")"');
      }
    }
  }

  #one(): string {
    const { kind } = this.#peek();
    if (kind === 'end' || kind === ',') {
      return '';
    }
    const token = this.#next();
    if (token.kind !== 'word') {
      this.#fail(token, 'a value');
    }
    return this.#value(token.text);
  }

  #integer(): bigint {
    const value = this.#one();
    const integer = int64(value);
    if (integer !== undefined) {
      return integer;
    }
    throw new LabelSelectorError(
      `the label selector "${this.#text}" compares with "${value}", which is no whole number of 64 bits`,
    );
  }

  #requirement(): Requirement {
    const absent = this.#peek().kind === '!';
    if (absent) {
      this.#next();
    }
    const token = this.#next();
    if (token.kind !== 'word') {
      this.#fail(token, 'the key of a label');
    }
    const key = token.text;
    if (!isKey(key)) {
      throw new LabelSelectorError(
        `the label selector "${this.#text}" has "${key}", which is no label key: [domain/]name of at most 63 letters, digits, -, _ and .`,
      );
    }
    const { kind } = this.#peek();
    if (absent) {
      return (labels) => labels[key] === undefined;
    }
    if (kind === 'end' || kind === ',') {
      return (labels) => labels[key] !== undefined;
    }
    const operator = this.#next();
    switch (operator.kind === 'word' ? operator.text : operator.kind) {
      case '=':
      case '==': {
        const value = this.#one();
        return (labels) => labels[key] === value;
      }
      case '!=': {
        const value = this.#one();
        return (labels) => labels[key] !== value;
      }
      case 'in': {
        const values = this.#set();
        return (labels) => labels[key] !== undefined && values.includes(labels[key]);
      }
      case 'notin': {
        const values = this.#set();
        return (labels) => labels[key] === undefined || !values.includes(labels[key]);
      }
      case '>':
      case '<': {
        const bound = this.#integer();
        return (labels) => {
          const value = int64(labels[key] ?? '');
          return value !== undefined && (operator.kind === '>' ? value > bound : value < bound);
        };
      }
      default:
        return this.#fail(operator, 'one of =, ==, !=, in, notin, > and <');
    }
  }

  parse(): Requirement[] {
    const requirements: Requirement[] = [];
    if (this.#peek().kind === 'end') {
      return requirements;
    }
    for (;;) {
      requirements.push(this.#requirement());
      const after = this.#next();
      if (after.kind === 'end') {
        return requirements;
      }
      if (after.kind !== ',') {
        this.#fail(after, '"," or its end');
      }
    }
  }
}

/** @throws LabelSelectorError that says what was found and what was expected */
export function parseLabelSelector(text: string): LabelSelector {
  const requirements = new Parser(text).parse();
  return { matches: (labels) => requirements.every((holds) => holds(labels)) };
}
