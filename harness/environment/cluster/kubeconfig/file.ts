import { z } from 'zod';

/** kubectl takes no number and no boolean for a string either: a token of digits alone is in quotes. */
const word = z.string({
  error: ({ input }) => (input === undefined ? 'is missing' : 'is no string: put it in quotes'),
});

/** What Kubernetes calls an optional string: an empty one is none. */
const text = word.nullish().transform((value) => value || undefined);

/** Bytes, as Go's `encoding/json` reads them: the standard alphabet with its padding; line breaks are no part of it. */
const bytes = text.refine(
  (value) =>
    value === undefined ||
    /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(value.replace(/[\r\n]/g, '')),
  { error: 'is no base64 (standard alphabet, with padding)' },
);

/** YAML 1.1, which kubectl reads, has more words for booleans than YAML 1.2. */
const flag = z
  .union([
    z.boolean(),
    z.stringFormat('boolean', /^(y|yes|on|n|no|off)$/i).transform((value) => /^(y|yes|on)$/i.test(value)),
  ])
  .nullish();

const strings = z
  .array(word)
  .nullish()
  .transform((value) => value ?? []);

const extensions = z
  .array(z.looseObject({ name: z.string(), extension: z.unknown() }))
  .nullish()
  .transform((value) => value ?? []);

const clusterSchema = z.looseObject({
  server: text,
  'tls-server-name': text,
  'insecure-skip-tls-verify': flag,
  'certificate-authority': text,
  'certificate-authority-data': bytes,
  'proxy-url': text,
  'disable-compression': flag,
  extensions,
});

const execSchema = z.looseObject({
  command: text,
  args: strings,
  env: z
    .array(z.looseObject({ name: word, value: word.nullish() }))
    .nullish()
    .transform((value) => value ?? []),
  apiVersion: text,
  installHint: text,
  provideClusterInfo: flag,
  interactiveMode: text,
});

export const userSchema = z.looseObject({
  'client-certificate': text,
  'client-certificate-data': bytes,
  'client-key': text,
  'client-key-data': bytes,
  token: text,
  tokenFile: text,
  as: text,
  'as-uid': text,
  'as-groups': strings,
  'as-user-extra': z
    .record(z.string(), z.array(word))
    .nullish()
    .transform((value) => value ?? {}),
  username: text,
  password: text,
  'auth-provider': z
    .looseObject({ name: z.string(), config: z.record(z.string(), z.string()).nullish() })
    .nullish()
    .transform((value) => value ?? undefined),
  exec: execSchema.nullish().transform((value) => value ?? undefined),
});

const contextSchema = z.looseObject({ cluster: text, user: text, namespace: text });

/** A list of named entries; one that is `null` or absent is an empty one, as kubectl reads it. */
function named<T extends z.ZodType>(key: string, schema: T) {
  const entry = z.looseObject({ name: word }).transform(({ name, ...rest }, context) => {
    const read = schema.safeParse(rest[key] ?? {});
    if (read.success) {
      return { name, entry: read.data };
    }
    for (const { message, path } of read.error.issues) {
      context.addIssue({ code: 'custom', message, path: [key, ...path] });
    }
    return z.NEVER;
  });
  return z
    .array(entry)
    .nullish()
    .transform((list) => list ?? []);
}

/** A kubeconfig as kubectl reads it (Kubernetes, "kubeconfig (v1)"). What it does not know it leaves alone. */
export const kubeconfigFileSchema = z.looseObject({
  apiVersion: z.literal('v1').nullish(),
  kind: z.literal('Config').nullish(),
  'current-context': text,
  clusters: named('cluster', clusterSchema),
  users: named('user', userSchema),
  contexts: named('context', contextSchema),
});

export type KubeconfigFile = z.output<typeof kubeconfigFileSchema>;
export type ClusterEntry = z.output<typeof clusterSchema>;
export type UserEntry = z.output<typeof userSchema>;
export type ContextEntry = z.output<typeof contextSchema>;
export type ExecEntry = z.output<typeof execSchema>;
