import { join } from 'node:path';
import { z } from 'zod';
import { roleSchema } from '../role-data/index.ts';
import { readYaml, SUITES_FOLDER } from './catalogue.ts';

const text = z.string().trim().min(1);

const documentSchema = z.strictObject({
  /** What requirements cite it by. */
  title: text,
  /** The role that it documents an implementation of. */
  role: roleSchema,
  url: z.url(),
  /** What it is, in a few sentences. */
  about: text,
});
export type SourceDocument = z.infer<typeof documentSchema>;

const documentsFileSchema = z.strictObject({ documents: z.array(documentSchema).min(1) });

/**
 * The documents that are no published standard and that requirements cite by title.
 *
 * @throws HarnessError where suites/sources.yaml is unreadable or has the wrong shape
 */
export function loadDocuments(): SourceDocument[] {
  return readYaml(join(SUITES_FOLDER, 'sources.yaml'), documentsFileSchema).documents;
}

/** Standards that are cited by number or name, with the address of what is cited (undefined: none that is stable). */
const STANDARDS: [RegExp, (match: RegExpExecArray) => string | undefined][] = [
  [
    /^RFC (\d+)(?: sections? ([\d.]+))?/,
    ([, number, section]) =>
      `https://www.rfc-editor.org/rfc/rfc${number}${section === undefined ? '' : `#section-${section}`}`,
  ],
  [/^KEP-(\d+)/, ([, number]) => `https://www.kubernetes.dev/resources/keps/${number}/`],
  [/^OpenID Connect Core 1\.0/, () => 'https://openid.net/specs/openid-connect-core-1_0.html'],
  [/^OpenID Connect Discovery 1\.0/, () => 'https://openid.net/specs/openid-connect-discovery-1_0.html'],
  [
    /^POSIX\.1-2017: (\w+)\(\)/,
    ([, name]) => `https://pubs.opengroup.org/onlinepubs/9699919799/functions/${name}.html`,
  ],
  [/^(?:Kubernetes|OpenShift|SQLite)\b.*: /, () => undefined],
];

export interface Source {
  url?: string | undefined;
  /** The document, where it is one of suites/sources.yaml. */
  document?: SourceDocument;
}

/** What a requirement's `source` stands for; undefined: neither a known document, nor a standard, nor `project`. */
export function resolveSource(source: string, documents: SourceDocument[]): Source | undefined {
  const document = documents.find(({ title }) => title === source);
  if (document !== undefined) {
    return { document, url: document.url };
  }
  if (source === 'project') {
    return {};
  }
  for (const [pattern, urlOf] of STANDARDS) {
    const match = pattern.exec(source);
    if (match !== null) {
      return { url: urlOf(match) };
    }
  }
  return undefined;
}
