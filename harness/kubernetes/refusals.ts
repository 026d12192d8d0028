/** Words for a refusal. */
export const REFUSED =
  /forbidden|\b40[13]\b|cannot|can't|not (be )?(allowed|permitted|authori[sz]ed)|denied|unauthori[sz]ed|permission/i;

/** True where one line names verb and resource, as the API server's own message does, or a sentence of a program. */
export function namesRight({ verb, resource }: { verb: string; resource: string }, text: string): boolean {
  const [kind = '', subresource] = resource.split('/');
  // `jobs`, `job`, `jobs.batch`; of a subresource at least its own name.
  const noun = subresource ?? kind.replace(/s$/, '');
  return text
    .split('\n')
    .some((line) => new RegExp(`\\b${verb}\\b`, 'i').test(line) && new RegExp(`\\b${noun}s?\\b`, 'i').test(line));
}

/** True for words by which a program says that the API server refused something (401, 403). */
export function tellsOfRefusal(text: string): boolean {
  return REFUSED.test(text);
}
