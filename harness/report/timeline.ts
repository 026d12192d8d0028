import { z } from 'zod';
import { inOrder, TIMELINE, type TimelineEvent, timelineEventSchema } from '../probes/timeline.ts';
import type { ReportResult } from './report.ts';

/** The timeline of a run: what its requirements kept of it, each event once. */
export function collectTimeline(evidence: ReportResult['evidence']): TimelineEvent[] {
  const kept = evidence.filter(({ label }) => label === TIMELINE);
  return joinTimelines(kept.map(({ data }) => z.array(timelineEventSchema).parse(data)));
}

/** Several timelines as one, each event once. */
export function joinTimelines(timelines: TimelineEvent[][]): TimelineEvent[] {
  const events = new Map(timelines.flat().map((event) => [JSON.stringify(event), event]));
  return inOrder([...events.values()]);
}
