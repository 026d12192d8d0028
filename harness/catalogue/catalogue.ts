import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { HarnessError } from '../core/errors.ts';
import { roleSchema, twinSchema } from '../role-data/index.ts';

const name = z.string().regex(/^[a-z][a-z0-9-]*$/, 'lower case letters, digits and dashes');
const text = z.string().trim().min(1);

/** What a requirement needs before it can be evaluated at all; everything else about it is in its test. */
const preconditionsSchema = z
  .strictObject({
    /**
     * Capabilities that the implementation declares in its target file; without them the requirement is not applicable.
     */
    capabilities: z.array(text).min(1).optional(),
    /**
     * Simulated identity providers that a token client is configured for, those of the controls included
     * (harness/fakes).
     */
    simulatedProviders: z.array(text).min(1).optional(),
    /** True where a token client is watched across rotations and past an expiry. */
    rotations: z.literal(true).optional(),
    /**
     * The level of Pod Security that the namespace of its pods may enforce at most; absent: any, or what the target
     * file says.
     */
    podSecurity: z.enum(['baseline', 'privileged']).optional(),
    /** What the cluster must allow. */
    cluster: z
      .array(
        z.enum([
          /** The harness started it: it may reconfigure it and reads its audit log. */
          'harness-owned',
          /** The harness holds the ServiceAccount signing key. */
          'signing-key',
          /** A StorageClass that provisions claims. */
          'storage',
          /** The same for a part of the requirement, which is left out where there is none. */
          'storage-if-any',
          /** A claim that pods of several nodes mount at once. */
          'read-write-many',
          'two-nodes',
          /**
           * A network that enforces NetworkPolicies: that costs a node time at every pod, so that others do without.
           */
          'network-policies',
          /** Its pods resolve names of the cluster. */
          'dns',
        ]),
      )
      .min(1)
      .optional(),
  })
  .refine((given) => Object.keys(given).length > 0, 'empty: leave `preconditions` out');

export type Preconditions = z.infer<typeof preconditionsSchema>;
export type ClusterPrecondition = NonNullable<Preconditions['cluster']>[number];

/** One sentence of the contract. Ids and levels are frozen: a changed meaning gets a new id. */
const requirementSchema = z.strictObject({
  id: z
    .string()
    .regex(/^[A-Z]{2}-\d{2}[a-z]?$/, 'two capitals, a dash, two digits and perhaps a letter, as TR-04 or TX-12a'),
  /** RFC 2119. */
  level: z.enum(['MUST', 'SHOULD', 'MAY']),
  role: roleSchema,
  /**
   * Name of the function that makes the observation which the check is given; rows of a role that name the same one are
   * evaluated from what it saw once. Absent: the row looks for itself.
   */
  observation: z
    .string()
    .regex(/^observe\w*$/)
    .optional(),
  /** What an implementation does: one or more whole sentences, each with its own subject ("The cluster …"). */
  statement: text,
  /** Title of a document of suites/sources.yaml, RFC with section, KEP, other published document, or `project`. */
  source: z.array(text).min(1),
  /** Why it matters. */
  rationale: text,
  /** How the harness observes it. */
  observed: text,
  /** How to fix an implementation that fails it. */
  remedy: text,
  /** The broken implementations that must fail it. */
  twins: z.array(name).min(1, 'a requirement that no twin fails is a check that was never seen to fail'),
  /** True where the check takes long or starts several pods: it evaluates the twins that must fail it, and no other. */
  expensive: z.boolean().optional(),
  preconditions: preconditionsSchema.optional(),
  /**
   * How long it takes on the references, accelerated clock and idle machine, in seconds; what takes longest is started
   * first.
   */
  expectedSeconds: z.number().positive().optional(),
});

const requirementsFileSchema = z.strictObject({
  /** What the suite is about, in a sentence. */
  about: text.optional(),
  requirements: z.array(requirementSchema).min(1),
});

const twinsFileSchema = z.strictObject({ twins: z.array(twinSchema).min(1) });

export type Requirement = z.infer<typeof requirementSchema> & { suite: string };
export type TwinDefinition = z.infer<typeof twinSchema>;
export type Twin = TwinDefinition & {
  suite: string;
  /** The requirements that name this twin: exactly these must fail. */
  mustFail: string[];
};

export interface Catalogue {
  requirements: Requirement[];
  twins: Twin[];
  suites: string[];
  /** What each suite is about, in a sentence. */
  about: Record<string, string>;
  /** SHA-256 over every requirement in order, hexadecimal: a report names the contract that it was evaluated by. */
  digest: string;
}

/** The folder with one folder a suite. */
export const SUITES_FOLDER = fileURLToPath(new URL('../../suites/', import.meta.url));

/**
 * Reads a YAML file of a given shape.
 *
 * @throws HarnessError that names the file and what is wrong in it
 */
export function readYaml<T>(file: string, schema: z.ZodType<T>): T {
  const document = parseDocument(readFileSync(file, 'utf8'), { prettyErrors: true });
  const [error] = document.errors;
  if (error !== undefined) {
    throw new HarnessError(`${file} is not YAML: ${error.message}`);
  }
  const result = schema.safeParse(document.toJS());
  if (!result.success) {
    throw new HarnessError(`${file} does not have the right shape:\n${z.prettifyError(result.error)}`);
  }
  return result.data;
}

function duplicatesOf(values: string[]): string[] {
  return [...new Set(values.filter((value, index) => values.indexOf(value) !== index))];
}

/** What was read last, and of which files in which state: to read and check them takes a quarter of a second. */
let last: { state: string; catalogue: Catalogue } | undefined;

/** The files of all suites, each with its size and the time of its last change. */
function stateOf(folder: string): string {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.yaml'));
  return files
    .map((path) => {
      const { mtimeMs, size } = statSync(join(folder, path));
      return `${join(folder, path)} ${mtimeMs} ${size}`;
    })
    .join('\n');
}

/**
 * Reads every suite below `folder`: `SUITE/requirements.yaml` and, where there is one, `SUITE/twins.yaml`. What has not
 * changed is read once; nobody changes what is given.
 *
 * @throws HarnessError that names the file and what is wrong in it: unreadable, wrong shape, an id given twice,
 *   a requirement that names a twin that does not exist or has another role, a twin that no requirement names.
 */
export function loadCatalogue(folder: string = SUITES_FOLDER): Catalogue {
  const state = stateOf(folder);
  if (last?.state !== state) {
    last = { state, catalogue: readCatalogue(folder) };
  }
  return last.catalogue;
}

function readCatalogue(folder: string): Catalogue {
  const suites = readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
  const requirements: Requirement[] = [];
  const definitions: (TwinDefinition & { suite: string })[] = [];
  const about: Record<string, string> = {};
  for (const suite of suites) {
    const files = readdirSync(join(folder, suite));
    if (!files.includes('requirements.yaml')) {
      throw new HarnessError(
        `${join(folder, suite)} has no requirements.yaml: a suite is its requirements and their tests`,
      );
    }
    const file = readYaml(join(folder, suite, 'requirements.yaml'), requirementsFileSchema);
    about[suite] = file.about ?? '';
    for (const row of file.requirements) {
      requirements.push({ ...row, suite });
    }
    if (files.includes('twins.yaml')) {
      for (const row of readYaml(join(folder, suite, 'twins.yaml'), twinsFileSchema).twins) {
        definitions.push({ ...row, suite });
      }
    }
  }
  const twice = [
    ...duplicatesOf(requirements.map((row) => row.id)),
    ...duplicatesOf(definitions.map((row) => row.name)),
  ];
  if (twice.length > 0) {
    throw new HarnessError(`given twice in ${folder}: ${twice.join(', ')}`);
  }
  for (const row of requirements) {
    for (const twin of row.twins) {
      const definition = definitions.find((candidate) => candidate.name === twin);
      if (definition === undefined) {
        throw new HarnessError(`${row.id} names the twin ${twin}, which no twins.yaml defines`);
      }
      if (definition.role !== row.role) {
        throw new HarnessError(
          `${row.id} binds the role ${row.role}, but its twin ${twin} is one of the role ${definition.role}`,
        );
      }
    }
  }
  const twins = definitions.map((definition) => ({
    ...definition,
    mustFail: requirements.filter((row) => row.twins.includes(definition.name)).map((row) => row.id),
  }));
  const idle = twins.filter((twin) => twin.mustFail.length === 0).map((twin) => twin.name);
  if (idle.length > 0) {
    throw new HarnessError(`no requirement names the twin ${idle.join(', ')}: it would prove nothing`);
  }
  // How a requirement is evaluated, and how long that takes, is no part of the contract.
  const contract = requirements.map(({ expectedSeconds: _, expensive: __, observation: ___, ...row }) => row);
  const digest = createHash('sha256').update(JSON.stringify(contract)).digest('hex');
  return { requirements, twins, suites, about, digest };
}
