import { readFileSync } from 'node:fs';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { UsageError } from '../core/errors.ts';
import { parseLabelSelector } from '../core/label-selector.ts';
import { parseQuantity } from '../core/quantity.ts';
import { TARGET_API_VERSION } from '../role-data/target-base.ts';

const text = z.string().trim().min(1);

const isLabelKey = (key: string): boolean => holds(`${key}=`);
const isLabelValue = (value: string): boolean => holds(`a=${value}`);

function holds(selector: string): boolean {
  try {
    return parseLabelSelector(selector) !== undefined;
  } catch {
    return false;
  }
}

const key = z.string().refine(isLabelKey, 'not the key of a label or annotation: [domain/]name');
const labels = z
  .record(key, z.string().refine(isLabelValue, 'not the value of a label: at most 63 letters, digits, -, _ and .'))
  .default({})
  .describe('Labels; one that an object has already stays as it is.');
const annotations = z
  .record(key, z.string())
  .default({})
  .describe('Annotations; one that an object has already stays as it is.');
const quantities = z
  .record(
    text,
    z.string().refine((value) => !Number.isNaN(parseQuantity(value)), 'not a quantity, as 250m or 64Mi'),
  )
  .default({});

const tolerationSchema = z.strictObject({
  key: text.optional(),
  operator: z.enum(['Exists', 'Equal']).optional(),
  value: z.string().optional(),
  effect: z.enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute']).optional(),
  tolerationSeconds: z.number().int().optional(),
});

const pullSecretSchema = z.strictObject({
  name: text.describe('Name of the Secret.'),
  fromNamespace: text
    .optional()
    .describe('Namespace from which it is copied into each namespace of the run; absent: it is there already.'),
});

const podsSchema = z
  .strictObject({
    labels,
    annotations,
    resources: z
      .strictObject({ requests: quantities, limits: quantities })
      .prefault({})
      .describe(
        'Of each container; what a requirement is about (a memory limit that is to be exceeded) stays as it is.',
      ),
    nodeSelector: z.record(key, z.string()).default({}),
    tolerations: z.array(tolerationSchema).default([]),
    runtimeClassName: text.optional(),
    priorityClassName: text.optional(),
    schedulerName: text.optional(),
    imagePullSecrets: z.array(pullSecretSchema).default([]),
  })
  .prefault({})
  .describe('Pods, and the pod templates of Jobs, CronJobs, Deployments and StatefulSets.');

const patchSchema = z.strictObject({
  kinds: z.array(text).min(1).describe('Kinds of objects, as Namespace, Pod (pod templates included), Service.'),
  merge: z
    .record(z.string(), z.unknown())
    .describe('JSON Merge Patch (RFC 7396) of such an object, for what has no setting of its own.'),
});

/**
 * What the objects that the harness makes on a live cluster need to have there, by the policies of its owner: the file
 * of `--settings`. It is published as JSON Schema in harness/targets/settings.schema.json.
 */
export const settingsSchema = z.strictObject({
  apiVersion: z.literal(TARGET_API_VERSION).default(TARGET_API_VERSION),
  labels: labels.describe('Labels of every object and pod template; one that is there already stays as it is.'),
  annotations: annotations.describe('The same for annotations.'),
  namespaces: z
    .strictObject({ labels, annotations })
    .prefault({})
    .describe('Namespaces, beside what all objects have.'),
  pods: podsSchema,
  storageClassName: text
    .optional()
    .describe('StorageClass of claims; a target file of the role cluster comes before it.'),
  patches: z.array(patchSchema).default([]),
});

export type Settings = z.output<typeof settingsSchema>;

/** The schema as JSON Schema (draft 2020-12). */
export function settingsJsonSchema(): unknown {
  return z.toJSONSchema(settingsSchema, { io: 'input' });
}

/** @throws UsageError that names the file and what is wrong in it */
export function loadSettings(file: string): Settings {
  let content: string;
  try {
    content = readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(`the settings ${file} cannot be read: ${error instanceof Error ? error.message : error}`);
  }
  const document = parseDocument(content, { prettyErrors: true });
  const [wrong] = document.errors;
  if (wrong !== undefined) {
    throw new UsageError(`the settings ${file} are not YAML: ${wrong.message}`);
  }
  const read = settingsSchema.safeParse(document.toJS() ?? {});
  if (!read.success) {
    throw new UsageError(`the settings ${file} do not have the right shape:\n${z.prettifyError(read.error)}`);
  }
  return read.data;
}
