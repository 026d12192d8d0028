import { writeFileSync } from 'node:fs';
import { reportJsonSchema } from '../report/report.ts';
import { pages } from './pages.ts';

/** Writes what is published and generated: the reference pages and the report's JSON Schema. A test holds each to the code. */
for (const [file, content] of Object.entries(pages())) {
  writeFileSync(file, content);
}
writeFileSync(
  new URL('../report/report.schema.json', import.meta.url),
  `${JSON.stringify(reportJsonSchema(), null, 2)}\n`,
);
