"use strict";

// Tuning: spikes a second over the current. Cells beside the one that is shown have the currents of the axis, so that the curve is
// drawn while one plays.

const Tuning = (() => {
  const CELLS = 40, QUIET = 0.1; // seconds without a spike after which a rate of 0 is believed

  // The rate of each cell by the time between its last two spikes.
  class Rates {
    constructor(count) {
      Object.assign(this, { last: new Float64Array(count), between: new Float64Array(count), spikes: new Int32Array(count) });
      this.clear(0);
    }

    clear(time) {
      this.since = time;
      this.last.fill(time);
      this.between.fill(NaN);
      this.spikes.fill(0);
    }

    fired(cell, time) {
      if (this.spikes[cell]++) this.between[cell] = time - this.last[cell];
      this.last[cell] = time;
    }

    // Spikes a second, NaN while it is not known.
    at(cell, time) {
      const silent = time - this.last[cell], between = this.between[cell];
      if (silent > Math.max(QUIET, 3 * (Number.isNaN(between) ? 0 : between))) return 0;
      return Number.isNaN(between) ? NaN : 1 / between;
    }
  }

  class Curve {
    // `currents`: of every cell, that of the cell that is shown first.
    constructor(canvas, session, { title, high }) {
      Object.assign(this, { session, title, high });
      this.sheet = new Canvas.Sheet(canvas, () => session.touch());
    }

    draw() {
      const { session } = this, { currents, rates, cells } = session;
      const of = (cell) => [currents[cell], rates.at(cell, cells.time)];
      const others = Array.from({ length: cells.count - 1 }, (_, place) => of(place + 1));
      const top = Math.max(this.high, ...others.map(([, rate]) => rate).filter(Number.isFinite));
      const frame = Axes.draw(this.sheet, { x: session.axis, y: [0, top * 1.08], across: this.title, up: "spikes a second" });
      if (!frame) return;
      const { context, palette, x, y } = frame;
      context.strokeStyle = palette.soft;
      context.lineWidth = 1.4;
      Axes.curve(frame, others.length, (k) => others[k]);
      for (const [current, rate] of others) {
        if (!Number.isFinite(rate)) continue;
        context.beginPath();
        context.arc(x(current), y(rate), 2.6, 0, 2 * Math.PI);
        context.fillStyle = palette.soft;
        context.fill();
      }
      const [current, rate] = of(0);
      context.strokeStyle = palette.classes[1];
      context.setLineDash([4, 3]);
      Axes.line(context, x(current), frame.top, x(current), frame.bottom);
      context.setLineDash([]);
      if (Number.isFinite(rate)) {
        context.beginPath();
        context.arc(x(current), y(rate), 5.5, 0, 2 * Math.PI);
        context.fillStyle = palette.classes[1];
        context.strokeStyle = palette.paper;
        context.lineWidth = 2;
        context.fill();
        context.stroke();
      }
      frame.end();
    }
  }

  return { Rates, Curve, CELLS };
})();
