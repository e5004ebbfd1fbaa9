"use strict";

// Raster: a dot for every spike of a network, and how many spikes there are in each moment.

const Raster = (() => {
  class Raster {
    constructor(canvas, session) {
      this.session = session;
      this.sheet = new Canvas.Sheet(canvas, () => session.touch());
    }

    draw() {
      const { session } = this, { cells, spikes, model } = session;
      const frame = Axes.draw(this.sheet, { x: [-session.window * 1000, 0], y: [0, cells.count], across: "ms before now", up: "neuron" });
      if (!frame) return;
      const { context, palette, x, y } = frame, size = Math.max(1.5, Math.min(14, (frame.bottom - frame.top) / cells.count));
      spikes.times.forEach((time, place) => {
        const cell = spikes.cells[place];
        context.fillStyle = cell < model.exciting ? palette.classes[1] : palette.classes[0];
        context.fillRect(x((time - cells.time) * 1000) - 1, y(cell + 0.5) - size / 2, 2, size);
      });
      frame.end();
    }
  }

  class Population {
    constructor(canvas, session) {
      this.session = session;
      this.sheet = new Canvas.Sheet(canvas, () => session.touch());
    }

    draw() {
      const { session } = this, { cells, spikes } = session, bin = 0.005, count = Math.ceil(session.window / bin);
      const found = new Float32Array(count);
      for (const time of spikes.times) {
        const age = Math.floor((cells.time - time) / bin);
        if (age >= 0 && age < count) found[age] += 1 / (bin * cells.count);
      }
      const frame = Axes.draw(this.sheet, { x: [-session.window * 1000, 0], y: [0, Math.max(60, ...found) * 1.08], across: "ms before now", up: "spikes a second" });
      if (!frame) return;
      const { context, palette, x, y } = frame;
      context.fillStyle = palette.soft;
      for (let age = 0; age < count; age++) {
        const left = x(-(age + 1) * bin * 1000);
        context.fillRect(left, y(found[age]), x(-age * bin * 1000) - left - 0.5, frame.bottom - y(found[age]));
      }
      frame.end();
    }
  }

  return { Raster, Population };
})();
