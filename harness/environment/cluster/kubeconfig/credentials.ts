import { readFileSync } from 'node:fs';
import { decodeToken } from '../../../core/token.ts';
import { CredentialError, checkPair, type ExecCredential, type ExecOptions, runExecPlugin } from './exec-plugin.ts';
import type { ClusterEntry, UserEntry } from './file.ts';

/** Who asks: what goes with each request, and the certificate of the connection. */
export interface Presented {
  /** Lower-case names; several values are sent as several lines. */
  headers: Record<string, string | string[]>;
  certificate?: { cert: string; key: string };
}

/** What a user of a kubeconfig shows to the API server. */
export interface Credentials {
  /**
   * For now: a token file is read again, and a plugin asked again when what it gave has expired. @throws
   * CredentialError
   */
  present(): Promise<Presented>;
  /** The API server answered 401 to this: a plugin is asked for something newer. */
  refused(presented: Presented): void;
  /** How the user is known, for messages; never what is secret of it. */
  readonly form: string;
}

/** Names of the extra fields may hold anything; a header may not (client-go, transport/round_trippers.go). */
function headerName(key: string): string {
  return [...Buffer.from(key)]
    .map((byte) => {
      const letter = String.fromCharCode(byte);
      return /[!#$&'*+.^_`|~0-9A-Za-z-]/.test(letter) ? letter : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    })
    .join('');
}

/** Kubernetes, "User impersonation". */
export function impersonation(user: UserEntry): Record<string, string | string[]> {
  const { as, 'as-uid': uid, 'as-groups': groups, 'as-user-extra': extra } = user;
  if (as === undefined) {
    return {};
  }
  return {
    'impersonate-user': as,
    ...(uid === undefined ? {} : { 'impersonate-uid': uid }),
    ...(groups.length === 0 ? {} : { 'impersonate-group': groups }),
    ...Object.fromEntries(
      Object.entries(extra).map(([key, values]) => [`impersonate-extra-${headerName(key)}`, values]),
    ),
  };
}

function read(path: string, what: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new CredentialError(`${what} ${path} cannot be read`, { cause: error });
  }
}

const decoded = (data: string): string => Buffer.from(data, 'base64').toString();

function certificateOf(user: UserEntry): { cert: string; key: string } | undefined {
  const { 'client-certificate': certFile, 'client-key': keyFile } = user;
  const certData = user['client-certificate-data'];
  const keyData = user['client-key-data'];
  const cert = certData === undefined ? certFile && read(certFile, 'the client certificate') : decoded(certData);
  const key = keyData === undefined ? keyFile && read(keyFile, 'the client key') : decoded(keyData);
  if (cert === undefined || key === undefined) {
    return undefined;
  }
  checkPair({ cert, key }, 'the client certificate and the client key');
  return { cert, key };
}

/** The last content that could be read of a token file: while the file is replaced, kubectl goes on with that one. */
function tokenReader(path: string, otherwise: string | undefined): () => string {
  let last = otherwise;
  return () => {
    try {
      last = read(path, 'the token file').trim() || last;
    } catch (error) {
      if (last === undefined) {
        throw error;
      }
    }
    if (last === undefined) {
      throw new CredentialError(`the token file ${path} is empty`);
    }
    return last;
  };
}

/** What HTTP lets a header hold (RFC 9110 section 5.5): no line break, and no other control character. */
const HEADER = /^[\t\x20-\x7e\x80-\xff]*$/;

function bearer(token: string): Record<string, string> {
  if (!HEADER.test(token)) {
    throw new CredentialError('the token has a line break, or another character that no header may hold');
  }
  return { authorization: `Bearer ${token}` };
}

/** auth-provider `oidc`: kubectl would refresh its token and write it back; the harness writes nobody's kubeconfig. */
function oidcToken(config: Record<string, string>): string {
  const token = config['id-token'] ?? '';
  let exp: unknown;
  try {
    ({ exp } = decodeToken(token).claims);
  } catch {
    exp = undefined;
  }
  if (typeof exp !== 'number' || exp * 1000 < Date.now()) {
    const since = typeof exp === 'number' ? `expired at ${new Date(exp * 1000).toISOString()}` : 'is not there';
    throw new CredentialError(
      `the id-token of auth-provider oidc ${since}; let kubectl refresh it (kubectl version), or use an exec plugin`,
    );
  }
  return token;
}

/** Asks a plugin once for all who want to know at the same time. */
function pluginReader(ask: () => Promise<ExecCredential>): {
  current(): Promise<ExecCredential>;
  drop(token: ExecCredential): void;
} {
  let held: ExecCredential | undefined;
  let asking: Promise<ExecCredential> | undefined;
  return {
    async current() {
      if (held !== undefined && (held.expiresAt === undefined || held.expiresAt > Date.now())) {
        return held;
      }
      asking ??= ask().finally(() => {
        asking = undefined;
      });
      held = await asking;
      return held;
    },
    drop(old) {
      if (held === old) {
        held = undefined;
      }
    },
  };
}

/**
 * What a user of a kubeconfig shows, by kubectl's rules: to a server of plain http nothing but whom to act as; a token
 * file before a token; a plugin only where the kubeconfig holds nothing else.
 *
 * @throws CredentialError for a form that kubectl has given up, too, or that the harness cannot have
 */
export function credentialsOf(
  user: UserEntry,
  cluster: ClusterEntry & { server: string },
  options: ExecOptions = {},
): Credentials {
  const acting = impersonation(user);
  const fixed = (form: string, present: () => Presented): Credentials => ({
    form,
    present: async () => present(),
    refused: () => undefined,
  });
  if (cluster.server.startsWith('http://')) {
    return fixed('no credentials (the server is one of plain http)', () => ({ headers: acting }));
  }
  const certificate = (): { certificate?: { cert: string; key: string } } => {
    const found = certificateOf(user);
    return found === undefined ? {} : { certificate: found };
  };
  const { token, tokenFile, username, password, exec, 'auth-provider': provider } = user;
  if (provider !== undefined && provider.name !== 'oidc') {
    throw new CredentialError(
      `auth-provider ${provider.name} is not supported: Kubernetes removed these plugins in 1.26; use its exec plugin`,
    );
  }
  if (tokenFile !== undefined) {
    const current = tokenReader(tokenFile, token);
    return fixed(`the token file ${tokenFile}`, () => ({
      headers: { ...bearer(current()), ...acting },
      ...certificate(),
    }));
  }
  if (token !== undefined) {
    return fixed('a token', () => ({ headers: { ...bearer(token), ...acting }, ...certificate() }));
  }
  if (username !== undefined) {
    const words = Buffer.from(`${username}:${password ?? ''}`).toString('base64');
    return fixed('a username and a password', () => ({
      headers: { authorization: `Basic ${words}`, ...acting },
      ...certificate(),
    }));
  }
  if (certificateOf(user) !== undefined) {
    return fixed('a client certificate', () => ({ headers: acting, ...certificate() }));
  }
  if (provider !== undefined) {
    return fixed('auth-provider oidc', () => ({ headers: { ...bearer(oidcToken(provider.config ?? {})), ...acting } }));
  }
  if (exec !== undefined) {
    const plugin = pluginReader(() => runExecPlugin(exec, cluster, options));
    const given = new WeakMap<Presented, ExecCredential>();
    return {
      form: `the credential plugin ${exec.command}`,
      async present() {
        const credential = await plugin.current();
        const presented: Presented = {
          headers: { ...(credential.token === undefined ? {} : bearer(credential.token)), ...acting },
          ...(credential.certificate === undefined ? {} : { certificate: credential.certificate }),
        };
        given.set(presented, credential);
        return presented;
      },
      refused(presented) {
        const credential = given.get(presented);
        if (credential !== undefined) {
          plugin.drop(credential);
        }
      },
    };
  }
  throw new CredentialError(
    'the kubeconfig holds neither a token nor a client certificate, a username or a plugin (kubectl would ask a person)',
  );
}
