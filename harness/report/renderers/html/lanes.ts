import { clockTime, durationOf, html, type Markup } from './markup.ts';

/** A stretch of time as a picture: percentages of its width. */
export class Axis {
  readonly from: number;
  readonly to: number;

  constructor(from: number, to: number) {
    this.from = from;
    this.to = Math.max(to, from + 1);
  }

  /** Where an instant is, in percent from the left. */
  at(instant: number): string {
    const share = ((instant - this.from) / (this.to - this.from)) * 100;
    return Math.min(100, Math.max(0, share)).toFixed(2);
  }

  /** How wide a stretch is, in percent; never too narrow to be seen. */
  width(from: number, to: number): string {
    const share = (Math.max(0, Math.min(to, this.to) - Math.max(from, this.from)) / (this.to - this.from)) * 100;
    return Math.max(share, 0.15).toFixed(2);
  }

  /** Marks at round times since the begin. */
  ticks(): Markup {
    const span = this.to - this.from;
    const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200].map((seconds) => seconds * 1000);
    const step = steps.find((candidate) => span / candidate <= 8) ?? span / 8;
    const marks = Array.from({ length: Math.floor(span / step) + 1 }, (_, index) => index * step);
    const labels = marks.map((mark) => {
      const text = mark === 0 ? clockTime(this.from).slice(0, 8) : `+${durationOf(mark)}`;
      return html`<i style="left:${this.at(this.from + mark)}%">${text}</i>`;
    });
    return html`<div class="ticks" aria-hidden="true"><span></span><div class="track">${labels}</div></div>`;
  }
}
