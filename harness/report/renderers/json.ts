import type { Renderer } from './renderer.ts';

/** The document itself: what every other form is made from. */
export const jsonRenderer: Renderer = {
  format: 'json',
  file: 'report.json',
  render: (report) => `${JSON.stringify(report, null, 2)}\n`,
};
