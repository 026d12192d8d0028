/** Words for a refusal. */
export const REFUSED =
  /forbidden|\b40[13]\b|cannot|can't|not (be )?(allowed|permitted|authori[sz]ed)|denied|unauthori[sz]ed|permission/i;

/** True for words by which a program says that the API server refused something (401, 403). */
export function tellsOfRefusal(text: string): boolean {
  return REFUSED.test(text);
}
