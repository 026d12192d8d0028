import { readFileSync } from 'node:fs';
import { reportSchema } from '../report/report.ts';
import { keep, RECORDED_PROVIDERS, recordOf } from './recorded.ts';

/**
 * `npm run docs:provider -- REPORT.json…`: keeps what runs came to for the page of identity providers; then `npm run
 * docs`.
 */
const reports = process.argv.slice(2).map((file) => reportSchema.parse(JSON.parse(readFileSync(file, 'utf8'))));
keep(RECORDED_PROVIDERS, reports.map(recordOf));
