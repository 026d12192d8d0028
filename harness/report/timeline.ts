import { z } from 'zod';
import { inOrder, TIMELINE, type TimelineEvent, timelineEventSchema } from '../probes/timeline.ts';
import type { EvidenceItem } from '../rpc/protocol.ts';

/** The timeline of a run: what its requirements kept of it, each event once. */
export function collectTimeline(evidence: EvidenceItem[]): TimelineEvent[] {
  const events = new Map<string, TimelineEvent>();
  for (const { label, data } of evidence) {
    if (label !== TIMELINE) continue;
    for (const event of z.array(timelineEventSchema).parse(data)) events.set(JSON.stringify(event), event);
  }
  return inOrder([...events.values()]);
}
