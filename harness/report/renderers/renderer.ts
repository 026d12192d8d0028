import type { Report } from '../report.ts';

/** A form of the report: a pure function of the document, so that it can be made again from `report.json` alone. */
export interface Renderer {
  /** As `conformance show --format` has it. */
  readonly format: string;
  /** Name of the file that a run writes; absent for a form that is only printed. */
  readonly file?: string;
  render(report: Report): string;
}
