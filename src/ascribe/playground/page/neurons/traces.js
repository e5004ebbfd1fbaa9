"use strict";

// Traces: what was recorded in the last moments, the newest at the right edge.

const Traces = (() => {
  const WIDTHS = [2, 1.6, 1.6], DASHES = [[], [6, 3], [2, 3]];

  class Traces {
    // `traces`: the names of what is drawn, each a ring of the session; `range`: from and to; `spikes`: whether each gets a mark.
    constructor(canvas, session, { traces, range, up, spikes = false, labels = true }) {
      Object.assign(this, { session, traces, range, up, spikes, labels });
      this.sheet = new Canvas.Sheet(canvas, () => session.touch());
    }

    draw() {
      const { session, range } = this, window = session.window;
      const frame = Axes.draw(this.sheet, { x: [-window * 1000, 0], y: range, across: "ms before now", up: this.up, labels: this.labels });
      if (!frame) return;
      const { context, palette } = frame, inks = [palette.ink, palette.classes[1], palette.classes[0]];
      this.traces.forEach((name, place) => {
        const ring = session.rings[name];
        context.strokeStyle = this.traces.length === 1 ? palette.ink : inks[place];
        context.lineWidth = WIDTHS[place];
        context.setLineDash(DASHES[place]);
        Axes.curve(frame, ring.count, (age) => [-age * session.sample * 1000, ring.back(age)]);
      });
      context.setLineDash([]);
      if (this.spikes) this.marks(frame, inks);
      frame.end();
    }

    // A line up from the threshold for every spike: an integrate-and-fire neuron has no voltage of its own for it.
    marks(frame, inks) {
      const { context, x, y } = frame, { cells, times } = this.session.spikes;
      context.lineWidth = 2;
      times.forEach((time, place) => {
        if (cells[place] >= this.traces.length) return;
        const at = x((time - this.session.cells.time) * 1000);
        context.strokeStyle = this.traces.length === 1 ? inks[0] : inks[cells[place]];
        Axes.line(context, at, y(1), at, y(this.range[1]));
      });
    }
  }

  return { Traces, DASHES };
})();
