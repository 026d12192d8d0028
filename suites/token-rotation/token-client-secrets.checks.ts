/** Where a token client leaves tokens. No check is content with having seen nothing. */

import { NotApplicable } from '../../harness/core/errors.ts';
import { type Finding, missing, missingIf } from '../../harness/core/findings.ts';
import { type ClientSession, tokensIn } from '../../harness/roles/token-client/record.ts';
import { requireWholeOutput } from './token-client-shared.ts';

/** TR-30: nothing that the client wrote holds a token that can be used. */
export function writesNoToken(session: ClientSession): Finding[] {
  const { exchanges, output } = session;
  if (output.leaks.length === 0) {
    requireWholeOutput(session);
  }
  return [
    ...(exchanges.some(({ accessToken }) => accessToken !== undefined) ? [] : [missing('no token was exchanged')]),
    ...(exchanges.some(({ echoed }) => echoed) ? [] : [missing('no error repeated a token')]),
    ...output.leaks.map(
      ({ line, issuer = 'a provider', sha256 }) =>
        `line ${line} of the client's output holds a token of ${issuer} (SHA-256 ${sha256.slice(0, 12)})`,
    ),
  ];
}

/** TR-31: no file holds a subject token, and those with access tokens are their user's alone. */
export function persistsAccessTokensPrivately(session: ClientSession): Finding[] {
  const { remaining: files } = session;
  if (files === undefined) {
    throw new NotApplicable('nobody can look into the folders that the client may write to');
  }
  const subjects = new Set([
    ...session.files.flatMap(({ observations }) => observations.map(({ sha256 }) => sha256)),
    ...tokensIn(session.exchanges).map(({ token }) => token.sha256),
  ]);
  const issued = new Set<string | undefined>(session.exchanges.map(({ accessToken }) => accessToken));
  const holds = (words: string[], digests: ReadonlySet<string | undefined>): boolean =>
    words.some((word) => digests.has(word));
  const caches = files.filter(({ words, unreadable }) => unreadable !== undefined || holds(words, issued));
  return [
    ...files.filter(({ words }) => holds(words, subjects)).map(({ path }) => `${path} holds a subject token`),
    ...caches
      .filter(({ mode }) => (Number.parseInt(mode, 8) & 0o077) !== 0)
      .map(({ path, mode }) => `${path}, which holds an access token, has the mode ${mode}`),
    ...(caches.length === 0 && session.capabilities.includes('cache')
      ? [
          missingIf(
            session.exchanges.every(({ accessToken }) => accessToken === undefined),
            'no file holds an access token, though the client declares a cache',
          ),
        ]
      : []),
    ...(session.exchanges.length === 0 ? [missing('no exchange was made')] : []),
  ];
}
