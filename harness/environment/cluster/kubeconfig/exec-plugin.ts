import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { parse } from 'yaml';
import { z } from 'zod';
import { redact } from '../../../core/redact.ts';
import type { ClusterEntry, ExecEntry } from './file.ts';

/** No credentials could be had: nothing was asked of the cluster yet. */
export class CredentialError extends Error {
  override readonly name = 'CredentialError';
}

/** What a plugin gave (Kubernetes, "Client Authentication (v1)", ExecCredential). */
export interface ExecCredential {
  token?: string;
  certificate?: { cert: string; key: string };
  /** When it has to be asked again, in milliseconds since 1970; absent for never. */
  expiresAt?: number;
}

/** @throws CredentialError for what no TLS connection could be opened with */
export function checkPair(pair: { cert: string; key: string }, what: string): void {
  try {
    createSecureContext(pair);
  } catch (error) {
    throw new CredentialError(`${what} cannot be used together`, { cause: error });
  }
}

export interface ExecOptions {
  env?: NodeJS.ProcessEnv;
  /** True where a person can be asked; default: standard input is a terminal. */
  isTerminal?: boolean;
  /** How long it may take; default: a minute, or ten where it asks a person. */
  deadlineSeconds?: number;
}

const DEADLINE_SECONDS = 60;
/** A person opens a browser, and finds a telephone. */
const PERSON_SECONDS = 600;
const MESSAGE_LENGTH = 2000;
const LONGEST_ANSWER = 1024 * 1024;

/**
 * The extension of a cluster's entry that is told to the plugin as it is (Kubernetes, "Authenticating",
 * "Configuration").
 */
const CONFIG_EXTENSION = 'client.authentication.k8s.io/exec';

const answerSchema = z.looseObject({
  kind: z.literal('ExecCredential'),
  apiVersion: z.string(),
  status: z
    .looseObject({
      token: z.string().nullish(),
      clientCertificateData: z.string().nullish(),
      clientKeyData: z.string().nullish(),
      expirationTimestamp: z.string().nullish(),
    })
    .nullish(),
});

function clusterInfo(cluster: ClusterEntry): Record<string, unknown> {
  const file = cluster['certificate-authority'];
  const authority =
    cluster['certificate-authority-data'] ?? (file === undefined ? undefined : readFileSync(file).toString('base64'));
  const extension = cluster.extensions.find(({ name }) => name === CONFIG_EXTENSION)?.extension;
  return {
    server: cluster.server,
    'tls-server-name': cluster['tls-server-name'],
    'insecure-skip-tls-verify': cluster['insecure-skip-tls-verify'] === true ? true : undefined,
    'certificate-authority-data': authority,
    'proxy-url': cluster['proxy-url'],
    'disable-compression': cluster['disable-compression'] === true ? true : undefined,
    config: extension ?? null,
  };
}

function isInteractive({ interactiveMode, command }: ExecEntry, terminal: boolean): boolean {
  if (interactiveMode === 'Always' && !terminal) {
    throw new CredentialError(
      `the credential plugin ${command} wants to ask a person (interactiveMode Always), and standard input is no terminal`,
    );
  }
  return interactiveMode !== 'Never' && terminal;
}

function credentialOf(text: string, exec: ExecEntry): ExecCredential {
  const { command, apiVersion } = exec;
  let document: unknown;
  try {
    // JSON as a rule; client-go takes YAML, too.
    document = parse(text);
  } catch {
    throw new CredentialError(`the credential plugin ${command} printed neither JSON nor YAML on standard output`);
  }
  const read = answerSchema.safeParse(document);
  if (!read.success) {
    throw new CredentialError(
      `the credential plugin ${command} printed no ExecCredential: ${z.prettifyError(read.error)}`,
    );
  }
  if (read.data.apiVersion !== apiVersion) {
    throw new CredentialError(
      `the credential plugin ${command} answered in ${read.data.apiVersion}; the kubeconfig says ${apiVersion}`,
    );
  }
  const { token, clientCertificateData: cert, clientKeyData: key, expirationTimestamp } = read.data.status ?? {};
  if (!token && !cert && !key) {
    throw new CredentialError(`the credential plugin ${command} gave neither a token nor a certificate with its key`);
  }
  if (!cert !== !key) {
    throw new CredentialError(`the credential plugin ${command} gave a certificate or a key, and not both`);
  }
  if (cert && key) {
    checkPair({ cert, key }, `the credential plugin ${command} gave a certificate and a key that`);
  }
  const expiresAt = expirationTimestamp ? Date.parse(expirationTimestamp) : undefined;
  if (Number.isNaN(expiresAt)) {
    throw new CredentialError(
      `the credential plugin ${command} gave the expirationTimestamp "${expirationTimestamp}", which is no time (RFC 3339)`,
    );
  }
  return {
    ...(token ? { token } : {}),
    ...(cert && key ? { certificate: { cert, key } } : {}),
    ...(expiresAt === undefined ? {} : { expiresAt }),
  };
}

/**
 * Runs a credential plugin once, as kubectl does: with the environment of this process and its own, told of the cluster
 * where it wants to be (Kubernetes, "Authenticating", "client-go credential plugins").
 *
 * @throws CredentialError that says what the plugin said
 */
export async function runExecPlugin(
  exec: ExecEntry,
  cluster: ClusterEntry,
  { env = process.env, isTerminal = process.stdin.isTTY === true, deadlineSeconds }: ExecOptions = {},
): Promise<ExecCredential> {
  const { command = '', args, apiVersion, installHint, provideClusterInfo } = exec;
  const interactive = isInteractive(exec, isTerminal);
  const info = {
    kind: 'ExecCredential',
    apiVersion,
    spec: { interactive, ...(provideClusterInfo === true ? { cluster: clusterInfo(cluster) } : {}) },
  };
  const child = spawn(command, args, {
    env: {
      ...env,
      ...Object.fromEntries(exec.env.map(({ name, value }) => [name, value ?? ''])),
      KUBERNETES_EXEC_INFO: JSON.stringify(info),
    },
    stdio: [interactive ? 'inherit' : 'ignore', 'pipe', 'pipe'],
  });
  const seconds = deadlineSeconds ?? (interactive ? PERSON_SECONDS : DEADLINE_SECONDS);
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill('SIGKILL');
  }, seconds * 1000);
  let printed = '';
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => {
    if (printed.length < LONGEST_ANSWER) {
      printed += chunk.toString();
    }
  });
  child.stderr.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-MESSAGE_LENGTH);
    // Where a person is asked, this is where the question stands.
    if (interactive) {
      process.stderr.write(chunk);
    }
  });
  const { promise, resolve, reject } = Promise.withResolvers<{ code: number | null; signal: string | null }>();
  child.on('error', (error: NodeJS.ErrnoException) => {
    const hint = installHint === undefined ? '' : `\n${installHint}`;
    const why = error.code === 'ENOENT' ? 'is not installed, or not in PATH' : `cannot be started (${error.code})`;
    reject(new CredentialError(`the credential plugin ${command} ${why}${hint}`));
  });
  child.on('close', (code, signal) => resolve({ code, signal }));
  try {
    const { code, signal } = await promise;
    const words = redact(said.trim()) || 'nothing on standard error';
    if (late) {
      throw new CredentialError(`the credential plugin ${command} did not end within ${seconds} s; it said: ${words}`);
    }
    if (code !== 0) {
      throw new CredentialError(
        `the credential plugin ${command} failed with ${code === null ? signal : `exit code ${code}`}; it said: ${words}`,
      );
    }
    return credentialOf(printed, exec);
  } finally {
    clearTimeout(timer);
  }
}
