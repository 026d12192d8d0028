import { UsageError } from '../core/errors.ts';
import { collectIncompatibilities } from './incompatibilities.ts';
import { joinMatrices } from './matrix.ts';
import { type Report, reportSchema } from './report.ts';
import { joinTimelines } from './timeline.ts';
import { assess, summarize } from './verdict.ts';

/** A report with where it was read from, for messages. */
export interface Part {
  file: string;
  report: Report;
}

interface ShardPart extends Part {
  shard: NonNullable<Report['shard']>;
}

/** What has to be the same in all parts: what it is called, its value, and why it matters. */
const COMMON: [string, (part: ShardPart) => string, string][] = [
  [
    'tool version',
    ({ report: { tool } }) => `${tool.name} ${tool.version}`,
    'Run all shards with one version of the harness.',
  ],
  [
    'catalogue (digest)',
    ({ report }) => report.catalogue.digest,
    'Run all shards with one checkout of the harness: the requirements are not the same.',
  ],
  [
    'plan (digest)',
    ({ shard }) => shard.planDigest,
    'Give all shards the same suites, --requirement, --cluster, --clock and --idp.',
  ],
  ['number of shards', ({ shard }) => String(shard.count), 'Give all shards the same COUNT in --shard INDEX/COUNT.'],
  ['target', ({ report }) => report.target.name, 'Give all shards the same --target.'],
  [
    'verdict',
    ({ report }) => (report.strict === true ? 'strict' : 'not strict'),
    'Give --strict to all shards or to none.',
  ],
  [
    'target files (digest)',
    ({ report }) => (report.target.files ?? []).map(({ role, digest }) => `${role} ${digest}`).join(', ') || 'none',
    'Give all shards the same content of the target files.',
  ],
];

function shardPartOf({ file, report }: Part): ShardPart {
  if (report.shard === undefined) {
    throw new UsageError(`${file} is a whole report and no shard: it was not written with --shard`);
  }
  return { file, report, shard: report.shard };
}

/** @throws UsageError that names the two files and what differs */
function assertSameRun(parts: ShardPart[]): void {
  const [first, ...others] = parts;
  if (first === undefined) {
    throw new UsageError('there is no report to merge');
  }
  for (const other of others) {
    for (const [what, read, fix] of COMMON) {
      const [one, two] = [read(first), read(other)];
      if (one === two) {
        continue;
      }
      throw new UsageError(
        `these are parts of different runs: the ${what} of ${first.file} is ${one}, of ${other.file} it is ${two}. ${fix}`,
      );
    }
  }
}

/** @throws UsageError for one shard given twice, or one requirement planned in two shards */
function assertDisjoint(parts: ShardPart[]): void {
  for (const [index, part] of parts.entries()) {
    for (const earlier of parts.slice(0, index)) {
      const { index: number, count } = part.shard;
      if (earlier.shard.index === number) {
        throw new UsageError(
          `shard ${number}/${count} is there twice: ${earlier.file} and ${part.file}. Give one of them.`,
        );
      }
      const twice = part.report.planned.filter((id) => earlier.report.planned.includes(id));
      if (twice.length > 0) {
        throw new UsageError(
          `${earlier.file} and ${part.file} both planned ${twice.join(', ')}: they were not split by one version`,
        );
      }
    }
    const alien = part.report.planned.filter((id) => !part.shard.planned.includes(id));
    if (alien.length > 0) {
      throw new UsageError(`${part.file} planned ${alien.join(', ')}, which is not in its own plan: it was altered`);
    }
  }
}

/**
 * What the parts of an environment say of themselves: lists one after the other, each entry once; objects by their
 * keys.
 */
function joinEnvironments(environments: Report['environment'][]): Report['environment'] {
  const joined: Report['environment'] = {};
  for (const [key, value] of environments.flatMap((environment) => Object.entries(environment))) {
    const before = joined[key];
    if (Array.isArray(before) && Array.isArray(value)) {
      joined[key] = [
        ...new Map([...before, ...value].map((entry) => [JSON.stringify(entry), entry as unknown])).values(),
      ];
    } else if (isObject(before) && isObject(value)) {
      joined[key] = { ...before, ...value };
    } else {
      joined[key] = value;
    }
  }
  return joined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Requests by component, added up. */
function joinRequests(all: Report['requests']): Report['requests'] {
  const joined = new Map<string, Report['requests'][number]>();
  for (const one of all) {
    const before = joined.get(one.component);
    if (before === undefined) {
      joined.set(one.component, { ...one, counts: { ...one.counts } });
      continue;
    }
    for (const [endpoint, count] of Object.entries(one.counts)) {
      before.counts[endpoint] = (before.counts[endpoint] ?? 0) + count;
    }
  }
  return [...joined.values()];
}

/**
 * The report of a run whose shards were evaluated apart. Its verdict is worked out anew over the whole plan: what a
 * missing shard should have evaluated was not executed, so that there is no verdict.
 *
 * @param parts in any order, one a shard
 * @throws UsageError for parts of different tool versions, catalogues, plans or targets, a shard that is there twice,
 *   and a report that is no shard
 */
export function mergeReports(parts: readonly Part[]): Report {
  const shards = parts.map(shardPartOf).sort((one, other) => one.shard.index - other.shard.index);
  assertSameRun(shards);
  assertDisjoint(shards);
  const [first] = shards as [ShardPart];
  const { planned, count } = first.shard;
  const reports = shards.map(({ report }) => report);
  const order = new Map(planned.map((id, index) => [id, index]));
  const results = reports
    .flatMap((report) => report.results)
    .sort((one, other) => (order.get(one.id) ?? planned.length) - (order.get(other.id) ?? planned.length));
  const there = new Set(shards.map(({ shard }) => shard.index));
  const missing = Array.from({ length: count }, (_, index) => index + 1).filter((index) => !there.has(index));
  const faults = [
    ...shards.flatMap(({ shard, report }) => report.faults.map((fault) => `shard ${shard.index}/${count}: ${fault}`)),
    ...missing.map((index) => `shard ${index}/${count} is missing`),
  ];
  const matrix = joinMatrices(reports.flatMap((report) => report.matrix ?? []));
  const permissions = reports.flatMap((report) => report.permissions ?? []);
  const incompatibilities = collectIncompatibilities(results);
  const instants = (field: 'startedAt' | 'finishedAt'): string[] => reports.map((report) => report[field]).sort();
  const { shard: _, baseline: __, ...common } = first.report;
  return reportSchema.parse({
    ...common,
    startedAt: instants('startedAt')[0],
    finishedAt: instants('finishedAt').at(-1),
    environment: joinEnvironments(reports.map(({ environment }) => environment)),
    requests: joinRequests(reports.flatMap(({ requests }) => requests)),
    sources: Object.assign({}, ...reports.map(({ sources }) => sources ?? {})),
    planned,
    results,
    timeline: joinTimelines(reports.map(({ timeline }) => timeline)),
    matrix,
    permissions: permissions.length === 0 ? undefined : permissions,
    incompatibilities: incompatibilities.length === 0 ? undefined : incompatibilities,
    faults,
    summary: summarize(results),
    ...assess(planned, results, faults, first.report.strict),
  });
}
