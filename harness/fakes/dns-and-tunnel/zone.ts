/**
 * A DNS zone and a tunnel as the API of a DNS and tunnel provider keeps them (Cloudflare API v4: "DNS Records for a
 * Zone", "Cloudflare Tunnel Configurations"). Pure state: what may be asked over HTTP, and how it fails, is in
 * server.ts.
 */
import { randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';

/** A DNS record, as the API gives it. */
export interface DnsRecord {
  id: string;
  type: string;
  /** Fully qualified, lower case, without a final dot. */
  name: string;
  content: string;
  proxied: boolean;
  /** Seconds; 1 means automatic. */
  ttl: number;
  comment: string | null;
  tags: string[];
  /** RFC 3339. */
  created_on: string;
  modified_on: string;
}

/** What a caller gives to create or change a record. */
export type DnsRecordInput = Partial<Omit<DnsRecord, 'id' | 'created_on' | 'modified_on'>>;

/** One rule of a tunnel. Rules are tried in their order; keys beyond these are kept as they are. */
export interface TunnelRule {
  /** Absent or empty: every host. May begin with `*.`. */
  hostname?: string;
  /** Regular expression for the path. */
  path?: string;
  service: string;
  [key: string]: unknown;
}

/** The configuration of a tunnel. It is one document: a PUT replaces all of it. */
export interface TunnelConfiguration {
  ingress: TunnelRule[];
  [key: string]: unknown;
}

/** Something that changed, in the order in which it happened. */
export type EdgeChange = { at: number } & (
  | { kind: 'record added' | 'record changed' | 'record removed'; record: DnsRecord }
  | { kind: 'tunnel'; configuration: TunnelConfiguration; version: number }
);

/** A request that the provider refuses: HTTP status, and the code and words of its error. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly status: number;
  readonly code: number;

  constructor(status: number, code: number, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** Types of records of which one name holds at most one, in addition to CNAME. */
const ADDRESSES = new Set(['A', 'AAAA', 'CNAME']);

const ID_BYTES = 16;

/** The ids under which a zone, its account and a tunnel are known. */
export interface EdgeIds {
  zone: string;
  account: string;
  tunnel: string;
  /** Name of the zone, for example `example.test`. */
  domain: string;
}

/** A zone and a tunnel, with everything that happened to them. */
export class Zone {
  readonly ids: EdgeIds;
  /** All changes by callers, oldest first; what {@link seed} and {@link configure} put there is not among them. */
  readonly changes: EdgeChange[] = [];
  readonly #records = new Map<string, DnsRecord>();
  readonly #onChange: (change: EdgeChange) => void;
  #configuration: TunnelConfiguration = { ingress: [{ service: 'http_status:404' }] };
  #version = 1;

  constructor(ids: EdgeIds, onChange: (change: EdgeChange) => void = () => undefined) {
    this.ids = ids;
    this.#onChange = onChange;
  }

  /** All records, in the order of their creation. */
  records(): DnsRecord[] {
    return [...this.#records.values()];
  }

  record(id: string): DnsRecord {
    const record = this.#records.get(id);
    if (record === undefined) {
      throw new Refusal(404, 81044, 'Record does not exist.');
    }
    return record;
  }

  /** Puts a record there that somebody else made. */
  seed(input: DnsRecordInput): DnsRecord {
    const record = this.#made(input);
    this.#records.set(record.id, record);
    return record;
  }

  /** Replaces the tunnel's configuration on behalf of somebody else. */
  configure(configuration: TunnelConfiguration): void {
    this.#configuration = structuredClone(configuration);
    this.#version += 1;
  }

  configuration(): TunnelConfiguration {
    return structuredClone(this.#configuration);
  }

  /** The rules of the tunnel, to be read only. */
  rules(): readonly TunnelRule[] {
    return this.#configuration.ingress;
  }

  /** Grows with every change of the configuration. */
  get version(): number {
    return this.#version;
  }

  /** @throws Refusal for an incomplete record, or a name that is taken */
  create(input: DnsRecordInput): DnsRecord {
    const record = this.#made(input);
    this.#assertFree(record);
    this.#records.set(record.id, record);
    this.#notify({ at: Date.now(), kind: 'record added', record });
    return record;
  }

  /** @throws Refusal for an unknown id, or a name that is taken */
  update(id: string, input: DnsRecordInput): DnsRecord {
    const known = this.record(id);
    const record = { ...this.#made({ ...known, ...input }), id, created_on: known.created_on };
    this.#assertFree(record, id);
    this.#records.set(id, record);
    this.#notify({ at: Date.now(), kind: 'record changed', record });
    return record;
  }

  /** @throws Refusal for an unknown id */
  remove(id: string): DnsRecord {
    const record = this.record(id);
    this.#records.delete(id);
    this.#notify({ at: Date.now(), kind: 'record removed', record });
    return record;
  }

  /** Replaces the whole configuration of the tunnel. @throws Refusal for rules that no tunnel takes */
  replaceConfiguration(configuration: unknown): TunnelConfiguration {
    const valid = validConfiguration(configuration);
    if (!isDeepStrictEqual(valid, this.#configuration)) {
      this.#configuration = structuredClone(valid);
      this.#version += 1;
      this.#notify({ at: Date.now(), kind: 'tunnel', configuration: this.configuration(), version: this.#version });
    }
    return this.configuration();
  }

  #made(input: DnsRecordInput): DnsRecord {
    const { type = '', name = '', content = '' } = input;
    if (!/^[A-Z]+$/.test(type) || typeof name !== 'string' || name === '' || content === '') {
      throw new Refusal(400, 9000, 'DNS name is invalid.');
    }
    const now = new Date().toISOString();
    return {
      id: randomBytes(ID_BYTES).toString('hex'),
      type,
      name: this.#qualified(name),
      content,
      proxied: input.proxied ?? false,
      ttl: input.ttl ?? 1,
      comment: input.comment ?? null,
      tags: input.tags ?? [],
      created_on: now,
      modified_on: now,
    };
  }

  #qualified(name: string): string {
    const lower = name.toLowerCase().replace(/\.$/, '');
    const { domain } = this.ids;
    if (lower === '@') {
      return domain;
    }
    return lower === domain || lower.endsWith(`.${domain}`) ? lower : `${lower}.${domain}`;
  }

  #assertFree(record: DnsRecord, except?: string): void {
    const same = this.records().filter(({ id, name }) => name === record.name && id !== except);
    if (same.some(({ type, content }) => type === record.type && content === record.content)) {
      throw new Refusal(400, 81058, 'An identical record already exists.');
    }
    const clash = record.type === 'CNAME' ? same.some(({ type }) => ADDRESSES.has(type)) : isAlias(same);
    if (clash) {
      throw new Refusal(400, 81053, 'An A, AAAA, or CNAME record with that host already exists.');
    }
  }

  #notify(change: EdgeChange): void {
    this.changes.push(change);
    this.#onChange(change);
  }
}

function isAlias(records: DnsRecord[]): boolean {
  return records.some(({ type }) => type === 'CNAME');
}

/** The rules that every tunnel's configuration is held to (cloudflared, "Validate ingress rules"). */
function validConfiguration(value: unknown): TunnelConfiguration {
  const configuration = value as TunnelConfiguration | null | undefined;
  const rules = configuration?.ingress;
  if (configuration === null || typeof configuration !== 'object' || !Array.isArray(rules) || rules.length === 0) {
    throw new Refusal(400, 1056, 'Bad Configuration: the configuration has no ingress rules');
  }
  for (const [index, rule] of rules.entries()) {
    if (typeof rule?.service !== 'string' || rule.service === '') {
      throw new Refusal(400, 1056, `Bad Configuration: Rule #${index + 1} has no service`);
    }
    const isLast = index === rules.length - 1;
    if (isLast && !isCatchAll(rule)) {
      throw new Refusal(
        400,
        1056,
        'Bad Configuration: The last ingress rule must match all URLs (i.e. it should not have a hostname or path filter)',
      );
    }
    if (!isLast && isCatchAll(rule)) {
      throw new Refusal(
        400,
        1056,
        `Bad Configuration: Rule #${index + 1} is matching the hostname '', but this will match every hostname, ` +
          'meaning the rules which follow it will never be triggered.',
      );
    }
  }
  return configuration;
}

/** True for a rule that matches every request. */
export function isCatchAll({ hostname = '', path = '' }: TunnelRule): boolean {
  return (hostname === '' || hostname === '*') && path === '';
}

/**
 * True where a rule takes requests for a host, by its exact name or by a wildcard (cloudflared: `*.` stands for one or
 * more labels).
 */
export function matchesHost({ hostname = '' }: TunnelRule, host: string): boolean {
  if (hostname === '' || hostname === '*') {
    return true;
  }
  return hostname.startsWith('*.') ? host.endsWith(hostname.slice(1)) : hostname === host;
}

/** The rule that a request goes by: the first that matches. */
export function ruleFor({ ingress }: TunnelConfiguration, host: string, path: string): TunnelRule | undefined {
  return ingress.find(
    (rule) =>
      matchesHost(rule, host) && (rule.path === undefined || rule.path === '' || new RegExp(rule.path).test(path)),
  );
}
