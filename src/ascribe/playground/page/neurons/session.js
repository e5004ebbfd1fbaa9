"use strict";

// Session: one model as it plays: its cells, what was recorded of them, and its settings.

const NeuronSession = (() => {
  // Samples that are kept, so many steps apart, and cells beside the one that is shown.
  const KINDS = {
    "hodgkin-huxley": { every: 5, samples: 2000, traces: ["V", "n", "m", "h", "current"] },
    lif: { every: 2, samples: 1500, traces: ["V", "slope", "current"] },
    pair: { every: 2, samples: 1500, traces: ["V", "other", "current"] },
    network: { every: 5, samples: 1000, traces: [] },
  };

  class Session {
    constructor(name, model, touch) {
      const kind = KINDS[name];
      Object.assign(this, { name, model, touch, every: kind.every, sample: kind.every * model.dt, window: kind.samples * kind.every * model.dt });
      this.alone = model.cells === undefined;
      this.axis = this.alone ? [Math.max(0, model.current.low), model.current.high] : [0, 1];
      const count = this.alone ? 1 + Tuning.CELLS : model.cells;
      this.rings = Object.fromEntries(kind.traces.map((trace) => [trace, new Rings.Ring(kind.samples)]));
      this.spikes = new Rings.Spikes();
      this.rates = new Tuning.Rates(count);
      this.cells = new Cells.Cells(model, count, (cell, time) => this.fired(cell, time));
      this.currents = new Float32Array(count);
      this.restart();
    }

    fired(cell, time) {
      this.rates.fired(cell, time);
      if (!this.alone || cell === 0) this.spikes.push(cell, time);
    }

    // The settings: the current, the model's dials, and what a connection is worth.
    set(settings) {
      const { cells, model } = this, changed = Object.keys(model.dials).some((name) => cells.given.parameters[name][0] !== Math.fround(settings[name]));
      for (const name in model.dials) cells.set(name, settings[name]);
      if (this.alone) {
        const [low, high] = this.axis;
        if (changed) this.rates.clear(cells.time);
        else if (this.currents[0] !== Math.fround(settings.current)) {
          this.rates.last[0] = cells.time;
          this.rates.between[0] = NaN;
          this.rates.spikes[0] = 0;
        }
        this.currents[0] = settings.current;
        for (let cell = 1; cell < cells.count; cell++) this.currents[cell] = low + ((high - low) * (cell - 1)) / (cells.count - 2);
      } else {
        // Of a network, each neuron has its own share of the input, spread evenly.
        for (let cell = 0; cell < cells.count; cell++) {
          this.currents[cell] = settings.current * (this.name === "pair" ? 1 : 1 + 0.3 * (((cell * 0.618034) % 1) - 0.5));
        }
        this.connect(settings);
      }
      cells.given.current.set(this.currents);
    }

    // Weights by sender, where there is a connection.
    connect(settings) {
      const { model, cells } = this;
      model.connected.forEach((row, sender) => row.forEach((there, place) => {
        const weight = this.name === "pair" ? settings[sender ? "w_12" : "w_21"] : settings[sender < model.exciting ? "w_exciting" : "w_inhibiting"];
        cells.given.weights[sender * row.length + place] = there ? weight : 0;
      }));
    }

    restart() {
      this.cells.restart();
      this.spikes.clear();
      this.rates.clear(0);
      for (const ring of Object.values(this.rings)) ring.clear();
    }

    // From one sample to the next.
    step() {
      const { cells, rings } = this, from = cells.V[0];
      for (let k = 0; k < this.every; k++) cells.step();
      const moved = cells.V[0] - from;
      const seen = { V: cells.V[0], current: this.currents[0], other: cells.V[1], slope: Math.abs(moved) > 0.5 ? NaN : moved / (1000 * this.sample) };
      for (const name of ["n", "m", "h"]) seen[name] = cells.given.state[name]?.[0];
      for (const name in rings) rings[name].push(seen[name]);
      this.spikes.forget(cells.time - this.window);
    }
  }

  return { Session, KINDS };
})();
