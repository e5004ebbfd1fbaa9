"use strict";

// Frames: what the server measured, as curves have it: over the steps, and now over the layers.

const Frames = (() => {
  class Frames extends History.History {
    constructor(names) {
      super(names, 1);
    }

    take(frame) {
      this.add(frame.step, (name) => recordOf(frame.rules[name]));
    }

    // Frames come at any steps: every other one stays.
    halve() {
      const kept = (_, place) => place % 2 === 0;
      this.steps = this.steps.filter(kept);
      for (const seeds of this.runs.values()) seeds.forEach((records, seed) => (seeds[seed] = records.filter(kept)));
    }
  }

  const number = (value) => value ?? NaN;

  function recordOf({ batches, sample, validation, angle, angles, ratios, active, diverged }) {
    const [sampleLoss, sampleScore] = sample.map(number), [validationLoss, validationScore] = validation.map(number);
    const dead = diverged !== null;
    return {
      batches: number(batches), sampleLoss, sampleScore, validationLoss, validationScore, angle: number(angle),
      angles: angles.map(number), ratios: ratios.map(number), active: dead ? active.map(() => NaN) : active.map(number),
    };
  }

  // The last records, layer by layer: as a history whose steps are the numbers of the layers. `hidden`: by rule, of every
  // hidden activation the number of the layer below it.
  function byLayer(history, hidden) {
    const runs = new Map([...history.runs.keys()].map((name) => {
      const last = history.last(name);
      const rows = (last?.angles ?? []).map((angle, layer) => ({ angle, ratio: last.ratios[layer], active: last.active[hidden[name].indexOf(layer)] ?? NaN }));
      return [name, [rows]];
    }));
    const layers = Math.max(0, ...[...runs.values()].map(([rows]) => rows.length));
    for (const [rows] of runs.values()) while (rows.length < layers) rows.push({ angle: NaN, ratio: NaN, active: NaN });
    return { steps: Array.from({ length: layers }, (_, layer) => layer + 1), runs };
  }

  return { Frames, byLayer };
})();
