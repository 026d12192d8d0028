import { type PermissionRight, standingOf } from '../../../kubernetes/permissions.ts';
import type { Report } from '../../report.ts';
import { html, type Markup, plural } from './markup.ts';

const STANDING = {
  missing: { style: 'fail', sign: '✕', text: 'missing: document it', order: 0 },
  surplus: { style: 'untestable', sign: '−', text: 'surplus: remove it', order: 1 },
  needed: { style: 'pass', sign: '✓', text: 'needed', order: 2 },
} as const;

function rightOf({ verb, apiGroup, resource, name, namespaced }: PermissionRight): Markup {
  return html`<code>${verb} ${resource}${apiGroup !== '' && `.${apiGroup}`}${name !== undefined && `/${name}`}</code>${
    !namespaced && html` <span class="dim">whole cluster</span>`
  }`;
}

/** Documented, used, missing and surplus rights, and the smallest Role to copy. Undefined where it was not asked. */
export function permissionsSection({ permissions }: Report): Markup | undefined {
  if (permissions === undefined || permissions.length === 0) return undefined;
  return html`<section id="permissions"><h2>Permissions at the API server</h2>${permissions.map(
    ({ of, rights, smallest }) => {
      const sorted = rights.toSorted(
        (one, other) => STANDING[standingOf(one)].order - STANDING[standingOf(other)].order,
      );
      const count = (standing: keyof typeof STANDING): number =>
        rights.filter((right) => standingOf(right) === standing).length;
      return html`<p class="lead"><strong>${of}</strong>: ${plural(count('needed'), 'right')} documented and used, ${count(
        'surplus',
      )} documented and never used, ${count('missing')} used and not documented.</p><div class="sides"><div class="scroll" role="group" aria-label="permissions of ${of}" tabindex="0"><table><thead><tr><th scope="col">right</th><th scope="col">documented</th><th scope="col">requests</th><th scope="col">refused (403)</th><th scope="col">standing</th></tr></thead><tbody>${sorted.map(
        (right) => {
          const { style, sign, text } = STANDING[standingOf(right)];
          return html`<tr><th scope="row">${rightOf(right)}</th><td>${right.documented ? 'yes' : 'no'}</td><td class="num">${
            right.requests
          }</td><td class="num">${right.refused}</td><td><span class="mark ${style}"><span aria-hidden="true">${sign}</span> ${text}</span></td></tr>`;
        },
      )}</tbody></table></div><div><h3>The smallest Role for what it did</h3><div class="command block"><pre>${smallest}</pre><button type="button" class="copy" data-copy="${smallest}">Copy</button></div></div></div>`;
    },
  )}</section>`;
}
