import { z } from 'zod';
import { inOrder, TIMELINE, type TimelineEvent, timelineEventSchema } from '../probes/timeline.ts';
import type { EvidenceItem } from '../rpc/protocol.ts';

/** The timeline of a run: what its requirements kept of it, each event once. */
export function collectTimeline(evidence: EvidenceItem[]): TimelineEvent[] {
  const kept = evidence.filter(({ label }) => label === TIMELINE);
  return joinTimelines(kept.map(({ data }) => z.array(timelineEventSchema).parse(data)));
}

/** Several timelines as one, each event once. */
export function joinTimelines(timelines: TimelineEvent[][]): TimelineEvent[] {
  const events = new Map(timelines.flat().map((event) => [JSON.stringify(event), event]));
  return inOrder([...events.values()]);
}
