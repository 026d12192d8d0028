import { z } from 'zod';
import { targetBase } from '../target-base.ts';

const text = z.string().trim().min(1);
const absolutePath = z.string().regex(/^\/[^:]*[^/:]$/, 'an absolute path');
const command = z.array(text).min(1);
const environment = z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), z.string());

/**
 * What a client can do, as it declares: have its access tokens by RFC 8693 (`token_exchange`), or by authenticating as
 * a client with its projected token and nothing else, RFC 7523 section 2.2 (`client_credentials`); keep them where they
 * outlive its process (`cache`); find the token endpoint by discovery (`discovery`); answer many calls in one process
 * (`resident`).
 */
export const CLIENT_CAPABILITIES = ['token_exchange', 'client_credentials', 'cache', 'discovery', 'resident'] as const;
export type ClientCapability = (typeof CLIENT_CAPABILITIES)[number];

/**
 * What a token client can do, as its target file declares it.
 * `jwt_bearer`: the grant of RFC 7523 section 2.1; `client_assertion`: it presents the projected token as
 * `client_assertion` (RFC 7523 section 2.2) too, where the provider wants that.
 */
const CAPABILITIES = ['jwt_bearer', 'client_assertion', ...CLIENT_CAPABILITIES] as const;

/**
 * How one call looks like where the client is a process of its own for each, and how it is seen to have succeeded
 * beside exit code 0.
 */
const runSchema = z.strictObject({
  /** Of one call. */
  command,
  /** A regular expression that its output fits when, and only when, the resource server's answer came back. */
  success: text.optional(),
});

const requestSchema = z.strictObject({
  method: z.enum(['GET', 'POST']).default('POST'),
  path: text,
  body: z.unknown().optional(),
});

/**
 * One request to a client that runs already is one call: it is answered by `{"ok": true}` or
 * `{"ok": false, "error": …}`, by what `success` fits, or by a status alone.
 */
const httpSchema = requestSchema.extend({
  kind: z.literal('http'),
  /**
   * Made first, in every call. What `keep` names of its JSON answer stands as `${before.NAME}` in the request of the
   * call.
   */
  before: requestSchema.extend({ keep: z.array(text).default([]) }).optional(),
  /** Made where it did not answer in time, so that it does not go on with a call that nobody waits for. */
  abandon: requestSchema.optional(),
  /** A regular expression that the answer fits when, and only when, the resource server's answer came back. */
  success: text.optional(),
});

const processSchema = z.strictObject({
  form: z.literal('process'),
  /**
   * What has to be installed once, before anything else: commands whose working folder is `${install.folder}`. The
   * folder is kept between runs, under a name that depends on these commands.
   */
  install: z.array(command).default([]),
  env: environment.default({}),
  /**
   * The folder, below `${work.home}`, `${work.cache}` or `${work.folder}`, in which it keeps access tokens beyond its
   * process.
   */
  cacheFolder: text.optional(),
  /** Longest time until a client that is called by HTTP is ready. */
  startSeconds: z.number().positive().default(120),
  trigger: z.discriminatedUnion('kind', [
    runSchema.extend({ kind: z.literal('run-to-completion') }),
    /** One process answers all calls. */
    httpSchema.extend({
      /** Of that process. */
      command,
      /** A regular expression that its output fits once it can be asked; its group is the URL. */
      ready: text,
      /** A path that is asked for then, once, where it loads its configuration only with its first request. */
      warmUp: text.optional(),
    }),
  ]),
});

const named = z.looseObject({ name: text });

const podSpecSchema = z.looseObject({
  containers: z.array(named.extend({ volumeMounts: z.array(named).optional() })).min(1),
  volumes: z.array(named).optional(),
});

const podSchema = z.strictObject({
  form: z.literal('pod'),
  /** A Pod as Kubernetes takes it. The harness names it, and adds what it watches it by. */
  pod: z.looseObject({ spec: podSpecSchema }),
  /** Its container that is the client. */
  container: text,
  /** Where the folder of configuration files is mounted. */
  configFolder: absolutePath,
  /** Where the volume of projected tokens is mounted. */
  tokenFolder: absolutePath,
  /**
   * The documented path at which it looks for its token when none is configured: the first provider's, in
   * `tokenFolder`.
   */
  defaultTokenPath: absolutePath.optional(),
  /**
   * The volume of `pod`, an emptyDir, on which it keeps access tokens beyond its process, and which holds nothing else:
   * the harness puts a claim in its place, makes what is on it corrupt, and mounts it read-only.
   */
  cacheVolume: text.optional(),
  /** Longest time until it is ready. */
  startSeconds: z.number().positive().default(120),
  trigger: z.discriminatedUnion('kind', [
    /** One command in the pod is one call. */
    runSchema.extend({ kind: z.literal('exec') }),
    httpSchema.extend({ port: z.number().int().positive() }),
  ]),
});

/** Why the volume that is named cannot stand for a cache; undefined where it can, or none is. */
function whyNoCacheVolume({ pod, container, cacheVolume }: z.infer<typeof podSchema>): string | undefined {
  if (cacheVolume === undefined) {
    return undefined;
  }
  const { containers, volumes = [] } = pod.spec;
  const volume = volumes.find(({ name }) => name === cacheVolume);
  if (volume === undefined) {
    const known = volumes.map(({ name }) => name).join(', ') || 'none';
    return `run.pod has no volume "${cacheVolume}"; it has ${known}`;
  }
  if (volume.emptyDir === undefined) {
    return `the volume "${cacheVolume}" of run.pod is no emptyDir: the claim that takes its place is made by the harness`;
  }
  const mounts = containers
    .filter(({ name }) => name === container)
    .flatMap(({ volumeMounts = [] }) => volumeMounts.filter(({ name }) => name === cacheVolume));
  if (mounts.length === 0) {
    return `the container "${container}" of run.pod does not mount the volume "${cacheVolume}"`;
  }
  if (mounts.every(({ readOnly }) => readOnly === true)) {
    return `the container "${container}" of run.pod mounts the volume "${cacheVolume}" read-only: it can keep nothing there`;
  }
  return undefined;
}

/**
 * A target file of the role `token-client`. The placeholders of `files`, `provider` and `run` are those of
 * fixtures/targets/token-clients/README.md.
 */
export const tokenClientTargetSchema = z.strictObject({
  ...targetBase,
  role: z.literal('token-client'),
  capabilities: z.array(z.enum(CAPABILITIES)).min(1),
  /**
   * Scopes that it is configured with, at simulated providers too. Default: `openid` where `provider` mentions scopes;
   * a client that can be given none is not asked for any.
   */
  scopes: z.array(text).optional(),
  /** It takes an access token for expired so many seconds before its end, as it documents. */
  skewSeconds: z.number().nonnegative().default(0),
  /**
   * It reads its token file again at least so often in seconds, as it documents ("Managing Service Accounts" allows a
   * schedule, for example once every 5 minutes). Absent: at every exchange.
   */
  tokenReloadSeconds: z.number().positive().max(300).optional(),
  /**
   * How its token requests differ from the RFCs, as its vendor's token endpoint has it. The wire requirements (TX-01,
   * TX-02, TX-08) report each difference once; everything else is evaluated as if there were none.
   */
  tokenRequest: z
    .strictObject({
      /** `json`: an object with the same members in the place of the form. */
      encoding: z.enum(['form', 'json']).default('form'),
      /** Parameters that it never sends. */
      omits: z.array(z.enum(['client_id', 'scope'])).default([]),
      /** `subject_token_type` of its token exchange. */
      subjectTokenType: text.optional(),
    })
    .optional(),
  /** Seconds within which a call of it ends, whatever the provider does, as it documents. */
  timeLimitSeconds: z.number().positive().default(60),
  /** Seconds that it takes an access token to live that comes without `expires_in`, where it documents that. */
  defaultLifeSeconds: z.number().positive().optional(),
  /** Its configuration files: path in the configuration folder → content, JSON where it is a tree. */
  files: z.record(z.string().regex(/^[A-Za-z0-9.][A-Za-z0-9._/-]*$/), z.unknown()).default({}),
  /**
   * What stands in these files for one provider: `${providers}` is the object of them, by name. A key whose value is
   * null is left out.
   */
  provider: z.unknown(),
  run: z.discriminatedUnion('form', [
    processSchema,
    podSchema.superRefine((run, context) => {
      const message = whyNoCacheVolume(run);
      if (message !== undefined) {
        context.addIssue({ code: 'custom', path: ['cacheVolume'], message });
      }
    }),
  ]),
});

export type TokenClientCapability = (typeof CAPABILITIES)[number];
