import { textRenderer } from './console.ts';
import { htmlRenderer } from './html/html.ts';
import { jsonRenderer } from './json.ts';
import { junitRenderer } from './junit.ts';
import { markdownRenderer } from './markdown.ts';
import type { Renderer } from './renderer.ts';

/** Every form of the report. */
export const RENDERERS: readonly Renderer[] = [
  jsonRenderer,
  htmlRenderer,
  junitRenderer,
  markdownRenderer,
  textRenderer,
];
