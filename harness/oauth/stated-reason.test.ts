import { expect, test } from 'vitest';
import { type Reason, statedReason } from './stated-reason.ts';

/** Texts of real providers and of the libraries that others are made with; values made up. */
test.for<[string, Reason | undefined]>([
  // Keycloak
  ['Invalid token audience', 'audience'],
  ['Multiple audiences not allowed', 'audience'],
  ['No Identity Provider for provided issuer', 'issuer'],
  ['Missing claim: iss', 'issuer'],
  ['Invalid signature', 'signature'],
  ['Invalid signature algorithm', 'signature'],
  ['Token is not active', 'time'],
  ['Token exp claim is required', 'time'],
  ['Token was issued in the future', 'time'],
  ['Token was issued too far in the past to be used now', 'time'],
  ['Token reuse detected', 'reuse'],
  ['User not found', 'subject'],
  ['Invalid client or Invalid client credentials', undefined],
  ['Invalid token type, must be access token', undefined],
  ['invalid token', undefined],
  // Microsoft Entra ID
  [
    "AADSTS700213: No matching federated identity record found for presented assertion subject 'system:serviceaccount:a:audience'. Please check your federated identity credential Subject, Audience and Issuer against the presented assertion. https://learn.microsoft.com/entra/workload-id/issuer Trace ID: 1 Correlation ID: 2 Timestamp: 2026-01-01 00:00:00Z",
    'subject',
  ],
  [
    "AADSTS700212: No matching federated identity record found for presented assertion audience 'api://issuer'. Please check your federated identity credential Subject, Audience and Issuer against the presented assertion.",
    'audience',
  ],
  [
    "AADSTS70021: No matching federated identity record found for presented assertion. Assertion Issuer: 'https://a'. Assertion Subject: 'b'. Assertion Audience: 'c'.",
    undefined,
  ],
  ["AADSTS50012: 'aud' claim 'x' doesn't match the realm issuer", undefined],
  ['AADSTS50013: Assertion failed signature validation. [Reason - The key was not found.]', 'signature'],
  [
    'AADSTS700024: Client assertion is not within its valid time range. Current time: 2026-01-01, assertion valid from',
    'time',
  ],
  ['AADSTS50027: JWT token is invalid or malformed.', undefined],
  [
    "AADSTS50105: Your administrator has configured the application 'a' to block users unless they are specifically granted access. The signed in user 'b' is blocked because they are not assigned to a role.",
    undefined,
  ],
  ["AADSTS501051: Application 'a' is not assigned to a role for the application 'b'.", undefined],
  // Ory Hydra: the text of RFC 6749 for invalid_grant comes first
  [
    'The provided authorization grant (e.g., authorization code, resource owner credentials) or refresh token is invalid, expired, revoked, does not match the redirection URI used in the authorization request, or was issued to another client. No public JWK was registered for issuer "https://a" and subject "system:serviceaccount:a:b", and public key is required to check signature of JWT in "assertion" request parameter.',
    undefined,
  ],
  [
    "The provided authorization grant (e.g., authorization code, resource owner credentials) or refresh token is invalid, expired, revoked, does not match the redirection URI used in the authorization request, or was issued to another client. Unable to verify the integrity of the 'assertion' value.",
    'signature',
  ],
  [
    'The JWT in "assertion" request parameter MUST contain an "aud" (audience) claim containing a value "https://a" that identifies the authorization server as an intended audience.',
    'audience',
  ],
  ['The JWT in "assertion" request parameter expired.', 'time'],
  ['The jti was already used.', 'reuse'],
  // Google STS
  ['The audience in ID Token [https://a] does not match the expected audience.', 'audience'],
  ["Error connecting to the given credential's issuer.", 'issuer'],
  ['The given credential is rejected by the attribute condition.', undefined],
  ['ID Token issued at 1 is stale to sign-in.', 'time'],
  // Okta, Auth0, ZITADEL, UAA
  ['The audience claim for client_assertion must be the endpoint invoked for the request.', 'audience'],
  ['The issuer/subject claims for client_assertion must match client_id.', undefined],
  ['The client_assertion token is expired.', 'time'],
  ['issuedAt of token is in the future', 'time'],
  ['issuer does not match', 'issuer'],
  ['User is not assigned to the client application.', undefined],
  ['The client_assertion JWT was signed with an unregistered key.', 'signature'],
  ['The user is not active.', undefined],
  ['Could not verify token signature.', 'signature'],
  ['The token is invalid or has expired', undefined],
  ['invalid/expired token', undefined],
  // golang-jwt, PyJWT, jose4j, Nimbus, Microsoft.IdentityModel
  ['token is expired by 10m0s', 'time'],
  ['Token used before issued', 'time'],
  ['Signature has expired', undefined],
  ["Audience doesn't match", 'audience'],
  [
    'JWT (claims->{"iss":"https://a","aud":"b","exp":1}) rejected due to invalid claims or other invalid content. Additional details: [[8] Audience (aud) claim [b] doesn\'t contain an acceptable identifier.]',
    'audience',
  ],
  ['Signed JWT rejected: Another algorithm expected, or no matching key(s) found', undefined],
  [
    "IDX10214: Audience validation failed. Audiences: 'a'. Did not match: validationParameters.ValidAudience: 'b' or validationParameters.ValidAudiences: 'null'.",
    'audience',
  ],
  ["IDX10205: Issuer validation failed. Issuer: 'https://audience.example'.", 'issuer'],
  // Vault, AWS STS
  [
    'error validating token: invalid audience (aud) claim: audience claim does not match any bound audience',
    'audience',
  ],
  ['error validating claims: claim "sub" does not match any associated bound claim values', 'subject'],
  ['no known key successfully validated the token signature', 'signature'],
  ['Incorrect token audience', 'audience'],
  ['Not authorized to perform sts:AssumeRoleWithWebIdentity', undefined],
  ['this assertion was signed for a different service', undefined],
  // Ours
  ['assertion refused: audience is not this provider', 'audience'],
  ['assertion refused: not yet valid (nbf)', 'time'],
  ['assertion refused: subject of the assertion is not mapped to this client', 'subject'],
  ['', undefined],
])('"%s" states %s', ([text, reason]) => {
  expect(statedReason(text)).toBe(reason);
});
