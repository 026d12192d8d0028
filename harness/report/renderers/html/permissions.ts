import { type PermissionRight, type Permissions, standingOf } from '../../../kubernetes/permissions.ts';
import { roleYaml } from '../../../kubernetes/rbac.ts';
import type { Report } from '../../report.ts';
import { html, type Markup, plural, table } from './markup.ts';

const STANDING = {
  missing: { style: 'fail', sign: '✕', text: 'missing: document it', order: 0 },
  surplus: { style: 'untestable', sign: '−', text: 'surplus: remove it', order: 1 },
  'not exercised': { style: 'none', sign: '○', text: 'not exercised', order: 2 },
  needed: { style: 'pass', sign: '✓', text: 'needed', order: 3 },
} as const;

const HEAD = ['right', 'standing', 'requests', 'refused', 'documented'];

function nameOf({ verb, apiGroup, resource, name, namespaced }: PermissionRight): Markup {
  const group = apiGroup === '' ? '' : `.${apiGroup}`;
  const object = name === undefined ? '' : `/${name}`;
  return html`
    <code>${verb} ${resource}${group}${object}</code>
    ${!namespaced && html` <span class="dim">whole cluster</span>`}`;
}

function row(right: PermissionRight): Markup {
  const { style, sign, text } = STANDING[standingOf(right)];
  const why = right.unused === undefined ? '' : `: ${right.unused}`;
  return html`
    <tr>
      <th scope="row">${nameOf(right)}</th>
      <td><span class="mark ${style}"><span aria-hidden="true">${sign}</span> ${text}</span>${why}</td>
      <td class="num">${right.requests}</td>
      <td class="num">${right.refused}</td>
      <td>${right.documented ? 'yes' : 'no'}</td>
    </tr>`;
}

/** The documented rights as a Role: one rule for each resource. */
function documentedRole(rights: PermissionRight[], of: string): string {
  const documented = rights.filter((right) => right.documented);
  const resources = Map.groupBy(documented, ({ apiGroup, resource, name = '' }) => `${apiGroup} ${resource} ${name}`);
  const rules = [...resources.values()].flatMap(([first, ...others]) =>
    first === undefined
      ? []
      : [
          {
            apiGroups: [first.apiGroup],
            resources: [first.resource],
            ...(first.name === undefined ? {} : { resourceNames: [first.name] }),
            verbs: [first, ...others].map(({ verb }) => verb),
          },
        ],
  );
  return roleYaml(of, '<namespace>', rules);
}

function diff({ of, rights, smallest, documentedIn }: Permissions): Markup {
  const order = (right: PermissionRight): number => STANDING[standingOf(right)].order;
  const sorted = rights.toSorted((one, other) => order(one) - order(other));
  const count = (standing: keyof typeof STANDING): number =>
    rights.filter((right) => standingOf(right) === standing).length;
  return html`
    <p class="lead">
      <strong>${of}</strong>: ${plural(count('needed'), 'right')} documented and used,
      ${' '}${count('surplus')} documented and never used, ${count('missing')} used and not documented.
    </p>
    <p class="more">
      Documented: in ${documentedIn === undefined ? html`<code>rules</code> of the target file` : html`<code>${documentedIn}</code>`}.
      ${' '}Refused: answered 403, for want of a right or by a quota; the message in the evidence says which.
      ${' '}Running a command by WebSocket is one request that needs <code>get</code> and <code>create</code> on
      ${' '}<code>pods/exec</code>, and counts at both.
    </p>
    <div class="sides">
      ${table(`permissions of ${of}`, HEAD, sorted.map(row))}
      <div>
        <h3>The smallest Role for what it did</h3>
        <div class="command block">
          <pre>${smallest}</pre>
          <button type="button" class="copy" data-copy="${smallest}" aria-label="Copy the smallest Role of ${of}">Copy</button>
        </div>
        <details class="table">
          <summary>The Role as it is documented</summary>
          <pre>${documentedRole(rights, of)}</pre>
        </details>
      </div>
    </div>`;
}

/** Documented, used, missing and surplus rights, and the smallest Role to copy. Undefined where it was not asked. */
export function permissionsSection({ permissions = [] }: Report): Markup | undefined {
  if (permissions.length === 0) {
    return undefined;
  }
  return html`<section id="permissions"><h2>Permissions at the API server</h2>${permissions.map(diff)}</section>`;
}
