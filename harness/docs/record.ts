import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { UsageError } from '../core/errors.ts';
import { reportSchema } from '../report/report.ts';
import { keep, RECORDED, type RecordedKind, recordOf } from './recorded.ts';

/**
 * `npm run record -- provider REPORT.json…` and `npm run record -- sdk [NAME|REPORT.json…]`: keeps what runs of shipped
 * target files came to, for the pages of identity providers and of SDKs; then `npm run docs`. SDKs without a report are
 * run here, without a cluster: all, or those that are named.
 */
const [kind = '', ...given] = process.argv.slice(2);
if (!Object.hasOwn(RECORDED, kind)) {
  throw new UsageError(`what is recorded is ${Object.keys(RECORDED).join(' or ')}, not "${kind}"`);
}
const recorded = kind as RecordedKind;
const [reports, names] = [
  given.filter((name) => name.endsWith('.json')),
  given.filter((name) => !name.endsWith('.json')),
];
if (recorded === 'provider' && (names.length > 0 || reports.length === 0)) {
  throw new UsageError('a provider is recorded from the report.json of a run');
}
keep(
  RECORDED[recorded].file,
  reports.map((file) => recordOf(recorded, reportSchema.parse(JSON.parse(readFileSync(file, 'utf8'))))),
);
if (reports.length === 0) {
  const { status } = spawnSync(
    'vitest',
    ['run', '--project', 'in-process', 'fixtures/targets/token-clients/sdks.in-process.test.ts'],
    {
      cwd: fileURLToPath(new URL('../../', import.meta.url)),
      stdio: 'inherit',
      env: { ...process.env, SDK_TARGETS: names.join() || 'all', SDK_RECORD: '1' },
    },
  );
  process.exitCode = status ?? 1;
}
