import { expect, test } from 'vitest';
import {
  describeResponse,
  formFindings,
  givesAccess,
  grantedScopes,
  isAccepted,
  isRefused,
  readTokenResponse,
  statedLifeSeconds,
} from './token-response.ts';

const JSON_TYPE = { 'content-type': 'application/json;charset=UTF-8' };
const answer = (members: string, status = 200, headers: Record<string, string> = JSON_TYPE) =>
  readTokenResponse({ status, headers, text: members });
const token = (members: string) => answer(`{"access_token":"x","token_type":"Bearer"${members}}`);

test.for<[string, string[]]>([
  [',"expires_in":60,"scope":"a b"', []],
  [',"scope":["a","b"]', ['answers scope as an array, where a string must be (RFC 6749 section 5.1)']],
  [',"expires_in":"60"', ['answers expires_in as a string, where a number must be (RFC 6749 section 5.1)']],
  [',"scope":null', ['answers scope as null, where a string must be (RFC 6749 section 5.1)']],
  [',"token_type":"bearer"', ['answers with token_type more than once (RFC 6749 section 3.2)']],
  [',"scope":"a","scope":"b"', ['answers with scope more than once (RFC 6749 section 3.2)']],
  [',"a":{"b":1,"b":2}', []],
  [',"expires_in":-1', ['answers with a negative expires_in, which is no lifetime (RFC 6749 section 5.1)']],
])('%s: the form is a finding of its own', ([members, findings]) => {
  const response = token(members);
  expect(isAccepted(response)).toBe(true);
  expect(formFindings(response)).toEqual(findings);
});

test('a byte order mark, and an error beside a token, are findings', () => {
  const text = '{"access_token":"x","token_type":"Bearer"}';
  const marked = readTokenResponse({ status: 200, headers: JSON_TYPE, text, hasByteOrderMark: true });
  expect([isAccepted(marked), formFindings(marked)]).toEqual([true, [expect.stringContaining('byte order mark')]]);
  expect(formFindings(token(',"error":"invalid_grant"'))).toEqual([expect.stringContaining('an error beside')]);
});

test('a token that stands in no header is a finding', () => {
  expect(formFindings(answer('{"access_token":"x\\ny","token_type":"Bearer"}'))).toEqual([
    'answers an access_token with characters that no header can carry (RFC 6749 appendix A.12)',
  ]);
});

test('the case of token_type does not matter (RFC 6749 section 5.1)', () => {
  expect(formFindings(answer('{"access_token":"x","token_type":"bEARER"}'))).toEqual([]);
});

test('another media type is a finding', () => {
  const response = answer('{"access_token":"x","token_type":"Bearer"}', 200, { 'content-type': 'text/plain' });
  expect(formFindings(response)).toEqual([
    'answers with Content-Type "text/plain", where application/json must be (RFC 6749 section 5.1)',
  ]);
});

test.for<[string, string[] | undefined]>([
  ['', undefined],
  [',"scope":null', undefined],
  [',"scope":"a b"', ['a', 'b']],
  [',"scope":["a","b"]', ['a', 'b']],
  [',"scope":["a b"]', ['a', 'b']],
  [',"scope":"a,b"', ['a', 'b']],
  [',"scope":"a","scope":["b"]', ['a', 'b']],
  [',"scope":""', []],
])('%s: the scopes in it count', ([members, scopes]) => {
  expect(grantedScopes(token(members))).toEqual(scopes);
});

test.for<[string, number | undefined]>([
  ['', undefined],
  [',"expires_in":60', 60],
  [',"expires_in":"3600"', 3_600],
  [',"expires_in":"soon"', undefined],
  [',"expires_in":1e999', Number.POSITIVE_INFINITY],
  [',"expires_in":60,"expires_in":"86400"', 86_400],
])('%s: the life in it counts', ([members, seconds]) => {
  expect(statedLifeSeconds(token(members))).toBe(seconds);
});

test.for<[string, number, string, { accepted?: true; refused?: true; access?: true }]>([
  ['', 200, '200 with an empty body', { access: true }],
  ['<!DOCTYPE html><p>', 200, '200 with an HTML page', { access: true }],
  ['<html>', 502, '502 with an HTML page', {}],
  ['{"access_token":{"token":"x"}}', 200, '200 whose access_token is no string (object)', { access: true }],
  ['{"access_token":"x"}', 200, '200 with an access token', { accepted: true, access: true }],
  ['{"access_token":"x"}', 400, '400 with an access token', { access: true }],
  ['{"access_token":"x","error":"a"}', 400, '400 with an access token: a', { access: true }],
  ['{"access_token":null}', 200, '200 whose access_token is no string (null)', { access: true }],
  ['{"error":"invalid_grant"}', 200, '200 invalid_grant', {}],
  ['{"error":{"message":"no"}}', 400, '400 without an OAuth error', { refused: true }],
  ['{"error":"invalid_grant","error_description":"no"}', 400, '400 invalid_grant: no', { refused: true }],
])('%s with %i is %s', ([body, status, said, { accepted = false, refused = false, access = false }]) => {
  const response = answer(body, status);
  expect(describeResponse(response)).toBe(said);
  expect([isAccepted(response), isRefused(response), givesAccess(response)]).toEqual([accepted, refused, access]);
});

test('no answer is reported as what happened', () => {
  const response = readTokenResponse({ unanswered: 'it ended the connection (ECONNRESET)' });
  expect(describeResponse(response)).toBe('no answer: it ended the connection (ECONNRESET)');
  expect([isAccepted(response), isRefused(response), givesAccess(response)]).toEqual([false, false, false]);
});

test('an answer that is nested without end is read all the same', () => {
  const deep = `{"access_token":"x","token_type":"Bearer","a":${'['.repeat(50_000)}${']'.repeat(50_000)}}`;
  expect(isAccepted(answer(deep))).toBe(true);
});
