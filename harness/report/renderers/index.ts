import { htmlRenderer } from './html/html.ts';
import { jsonRenderer } from './json.ts';
import { junitRenderer } from './junit.ts';
import type { Renderer } from './renderer.ts';

/** Every form of the report. */
export const RENDERERS: readonly Renderer[] = [jsonRenderer, htmlRenderer, junitRenderer];
