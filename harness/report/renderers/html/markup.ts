/** Text that is HTML already: everything else is escaped where it is put into {@link html}. */
export class Markup {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  toString(): string {
    return this.text;
  }
}

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/**
 * C0 controls but tab and line breaks, and what turns the direction of text around: evidence is somebody else's output.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: exactly these are to be replaced
const UNSHOWABLE = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\u202a-\u202e\u2066-\u2069]/g;

/** Text as HTML has it, in an element or an attribute in quotes. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character).replace(UNSHOWABLE, '\ufffd');
}

type Content = Markup | string | number | undefined | false | readonly Content[];

function textOf(content: Content): string {
  if (content instanceof Markup) {
    return content.text;
  }
  if (content === undefined || content === false) {
    return '';
  }
  if (typeof content === 'string' || typeof content === 'number') {
    return escapeHtml(String(content));
  }
  return content.map(textOf).join('');
}

/** What a template says, without the line breaks and the indentation that it has for its readers. */
const squeezed = new WeakMap<TemplateStringsArray, string[]>();

function squeeze(strings: TemplateStringsArray): string[] {
  const known = squeezed.get(strings);
  if (known !== undefined) {
    return known;
  }
  // Between words a line break is a space; beside a tag or a value it is nothing.
  const parts = strings.map((part) =>
    part.replace(/(.?)\s*\n\s*(.?)/g, (_, before: string, after: string) =>
      before === '' || before === '>' || after === '' || after === '<' ? before + after : `${before} ${after}`,
    ),
  );
  squeezed.set(strings, parts);
  return parts;
}

/**
 * HTML by a template: what is put in is escaped unless it is {@link Markup}; `undefined` and `false` are nothing, a
 * list is joined. Line breaks in the template are for the reader of the source.
 */
export function html(strings: TemplateStringsArray, ...values: Content[]): Markup {
  return new Markup(squeeze(strings).reduce((text, part, index) => `${text}${textOf(values[index - 1])}${part}`));
}

/** A table that scrolls by itself where it is wider than the page; also by keys. */
export function table(label: string, head: readonly string[], rows: readonly Markup[]): Markup {
  return html`
    <div class="scroll" role="group" aria-label="${label}" tabindex="0">
      <table>
        <thead><tr>${head.map((cell) => html`<th scope="col">${cell}</th>`)}</tr></thead>
        <tbody>${rows}</tbody>
      </table>
    </div>`;
}

/** Length of text in the bytes of the file. */
export function bytesOf(markup: Markup): number {
  return Buffer.byteLength(markup.text, 'utf8');
}

/** 950 ms, 12.3 s, 4 min 05 s. */
export function durationOf(milliseconds: number): string {
  if (milliseconds < 1000) {
    return `${Math.round(milliseconds)} ms`;
  }
  if (milliseconds < 60_000) {
    return `${(milliseconds / 1000).toFixed(1)} s`;
  }
  const seconds = Math.round(milliseconds / 1000);
  return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, '0')} s`;
}

/** 12:34:56.789, UTC. */
export function clockTime(at: string | number): string {
  return new Date(at).toISOString().slice(11, 23);
}

/** `1 requirement`, `3 requirements`. */
export function plural(count: number, noun: string): string {
  return `${count.toLocaleString('en')} ${noun}${count === 1 ? '' : 's'}`;
}

const ID = /\b([A-Z]{2}-\d{2}[a-z]?)\b/;
const SECTION = 'section Permissions';

/** A section of the page that the catalogue names is a link. */
function withSections(text: string): Content[] {
  return text
    .split(SECTION)
    .flatMap((part, index) => (index === 0 ? [part] : [html`<a href="#permissions">${SECTION}</a>`, part]));
}

/**
 * Prose of the catalogue: what stands in backticks is code, the id of a requirement is a link.
 *
 * @param ids of the requirements that are on the page
 */
export function prose(text: string, ids: ReadonlySet<string> = new Set()): Markup {
  const linked = (part: string): Content[] =>
    part.split(ID).map((word) => (ids.has(word) ? html`<a href="#${word}">${word}</a>` : html`${withSections(word)}`));
  return html`${text
    .split(/(`[^`]+`)/)
    .map((part) => (/^`[^`]+`$/.test(part) ? html`<code>${part.slice(1, -1)}</code>` : linked(part)))}`;
}

/** Of a long sentence, the beginning; the cut is seen. */
export function shortened(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}
