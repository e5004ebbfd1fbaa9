"use strict";

// Cells: neurons of one model, stepped by the engine.

const Cells = (() => {
  // Names such as "state.V" as {state: {V: …}}.
  function named(paths, values) {
    const found = {};
    paths.forEach((path, place) => {
      const parts = path.split("."), last = parts.pop();
      parts.reduce((inner, part) => (inner[part] ??= {}), found)[last] = values[place];
    });
    return found;
  }

  class Cells {
    // `count` cells side by side, which a model with synapses has of its own. `fired(cell, seconds)` is called for every spike.
    constructor(model, count, fired) {
      const program = Ascribe.program(model.program, { n: count });
      Object.assign(this, { model, count, fired, dt: model.dt, run: program.run });
      this.given = named(model.inputs, program.inputs.map(({ array }) => array));
      this.made = named(model.outputs, program.outputs.map(({ array }) => array));
      this.before = new Float32Array(count);
      for (const [name, dial] of Object.entries(model.dials)) this.set(name, dial.value);
      this.restart();
    }

    set(name, value) {
      this.given.parameters[name][0] = value;
    }

    restart() {
      for (const [name, value] of Object.entries(this.model.state)) {
        if (Array.isArray(value)) this.given.state[name].set(value.map(Number));
        else this.given.state[name].fill(Number(value));
      }
      this.time = 0;
      this.before.fill(Infinity);
    }

    get V() {
      return this.made.seen.V;
    }

    step() {
      this.run();
      const { given, made, model, before } = this;
      for (const name in given.state) given.state[name].set(made.state[name]);
      const V = made.seen.V;
      for (let cell = 0; cell < this.count; cell++) {
        if (made.spike) {
          if (made.spike[cell] >= 0) this.fired(cell, this.time + made.spike[cell] * this.dt);
        } else {
          if (before[cell] < model.level && V[cell] >= model.level) {
            this.fired(cell, this.time + ((model.level - before[cell]) / (V[cell] - before[cell])) * this.dt);
          }
          before[cell] = V[cell];
        }
      }
      this.time += this.dt;
    }
  }

  return { Cells, named };
})();
