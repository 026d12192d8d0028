import type { PolicyRule } from '../../../core/policy-rule.ts';
import { askedFor, describeRecord, messageOf } from '../../../kubernetes/api-record.ts';
import { rightsOf } from '../../../kubernetes/rbac.ts';
import { refuserOf } from '../../../kubernetes/refused-objects.ts';

/** A kind of request that somebody made with the credentials of the kubeconfig, and how often. */
export interface LedgerEntry {
  /** The requirement that it was made for; absent for the run itself. */
  requirement?: string;
  verb: string;
  group: string;
  /** With its subresource, as `pods/log`; absent for a path that is no resource. */
  resource?: string;
  /** Of what is no resource. */
  path?: string;
  /** In a namespace, and not of the cluster or of all namespaces. */
  namespaced: boolean;
  /** It was not asked, but given to somebody by a Role: who gives it holds it, or may escalate. */
  isGiven?: true;
  count: number;
}

/** Bodies beyond this are no refusals of an API server. */
const LONGEST_REFUSAL = 16_384;

/** What is asked of a live cluster by the harness, and what is refused to it. */
export class Ledger {
  readonly #entries = new Map<string, LedgerEntry>();
  readonly #refusals = new Map<string, Set<string>>();

  add(method: string, url: string, requirement: string | undefined): void {
    const asked = askedFor(method, url);
    const resource =
      asked.resource === undefined
        ? undefined
        : `${asked.resource}${asked.subresource === undefined ? '' : `/${asked.subresource}`}`;
    const entry: LedgerEntry = {
      ...(requirement === undefined ? {} : { requirement }),
      verb: asked.verb,
      group: asked.group ?? '',
      ...(resource === undefined ? { path: asked.path } : { resource }),
      namespaced: asked.namespace !== undefined && resource !== 'namespaces',
      count: 0,
    };
    this.#count(entry);
  }

  /** Takes the rules of a Role that the harness makes. */
  gives(rules: readonly PolicyRule[], requirement: string | undefined): void {
    for (const { verb, group, resource } of rightsOf(rules)) {
      this.#count({
        ...(requirement === undefined ? {} : { requirement }),
        verb,
        group,
        resource,
        namespaced: true,
        isGiven: true,
        count: 0,
      });
    }
  }

  #count(entry: LedgerEntry): void {
    const key = JSON.stringify(entry);
    const known = this.#entries.get(key) ?? entry;
    known.count += 1;
    this.#entries.set(key, known);
  }

  /**
   * Takes an answer of 403, 422 or 400 to the harness: what is not the requirement's own question is kept. Pod Security
   * is asked on purpose.
   */
  refused(method: string, url: string, requirement: string | undefined, code: number, body: Buffer): void {
    const words = body.length > LONGEST_REFUSAL ? undefined : messageOf(body.toString('utf8'));
    if (words === undefined || refuserOf(code, words) === undefined || words.includes('violates PodSecurity')) {
      return;
    }
    const list = this.#refusals.get(requirement ?? '') ?? new Set();
    list.add(`${describeRecord(askedFor(method, url))}: ${words}`);
    this.#refusals.set(requirement ?? '', list);
  }

  entries(): LedgerEntry[] {
    return [...this.#entries.values()];
  }

  refusals(requirement: string): string[] {
    return [...(this.#refusals.get(requirement) ?? [])];
  }

  /** By verb and resource, as `create pods` or `get /version`. */
  counts(): Record<string, number> {
    const counts = new Map<string, number>();
    for (const { verb, group, resource, path, isGiven, count } of this.#entries.values()) {
      if (isGiven === true) {
        continue;
      }
      const [kind = '', subresource] = (resource ?? path ?? '').split(/(?<=^[^/]+)\//);
      const what = `${verb} ${kind}${group ? `.${group}` : ''}${subresource === undefined ? '' : `/${subresource}`}`;
      counts.set(what, (counts.get(what) ?? 0) + count);
    }
    return Object.fromEntries([...counts].toSorted(([one], [other]) => (one < other ? -1 : 1)));
  }
}
