import { writeFileSync } from 'node:fs';
import { reportJsonSchema } from './report.ts';

/** Writes the report's JSON Schema where it is published; a test holds it to the code. */
writeFileSync(new URL('./report.schema.json', import.meta.url), `${JSON.stringify(reportJsonSchema(), null, 2)}\n`);
