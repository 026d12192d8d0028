import { writeFileSync } from 'node:fs';
import { reportJsonSchema } from '../report/report.ts';
import { targetJsonSchema } from '../targets/json-schema.ts';
import { settingsJsonSchema } from '../targets/settings.ts';
import { pages } from './pages.ts';

/**
 * Writes what is published and generated: the reference pages and the JSON Schemas of reports, settings and target
 * files. A test holds each to the code.
 */
for (const [file, content] of Object.entries(pages())) {
  writeFileSync(file, content);
}
for (const [file, schema] of [
  ['../report/report.schema.json', reportJsonSchema()],
  ['../targets/settings.schema.json', settingsJsonSchema()],
  ['../targets/target.schema.json', targetJsonSchema()],
] as const) {
  writeFileSync(new URL(file, import.meta.url), `${JSON.stringify(schema, null, 2)}\n`);
}
