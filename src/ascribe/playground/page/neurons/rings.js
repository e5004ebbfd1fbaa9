"use strict";

// Rings: the newest samples of some traces, the oldest forgotten.

const Rings = (() => {
  class Ring {
    constructor(size) {
      this.values = new Float32Array(size);
      this.clear();
    }

    clear() {
      this.count = this.end = 0;
    }

    push(value) {
      this.values[this.end] = value;
      this.end = (this.end + 1) % this.values.length;
      this.count = Math.min(this.count + 1, this.values.length);
    }

    // The sample so many before the newest.
    back(age) {
      const size = this.values.length;
      return this.values[(this.end - 1 - age + 2 * size) % size];
    }
  }

  // Spikes, by neuron and time, not older than `window` seconds when `forget` was last called.
  class Spikes {
    constructor() {
      this.clear();
    }

    clear() {
      this.cells = [];
      this.times = [];
    }

    push(cell, time) {
      this.cells.push(cell);
      this.times.push(time);
    }

    forget(before) {
      let old = 0;
      while (old < this.times.length && this.times[old] < before) old++;
      if (old > 200 || old === this.times.length) {
        this.cells.splice(0, old);
        this.times.splice(0, old);
      }
    }
  }

  return { Ring, Spikes };
})();
