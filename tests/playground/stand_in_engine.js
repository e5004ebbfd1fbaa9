"use strict";

// A stand-in for the engine in tests of the page: plain networks with backpropagation, feedback alignment, direct feedback
// alignment and the frozen control, written by hand.

const Ascribe = (() => {
  const ACTIVATIONS = {
    relu: [(z) => Math.max(z, 0), (z) => (z > 0 ? 1 : 0)],
    tanh: [Math.tanh, (z) => 1 - Math.tanh(z) ** 2],
  };

  class Learner {
    constructor({ rule, architecture, inputs, activation, optimizer, seed }) {
      if (rule === "refuses") throw new Error("refuses does not run on this network.");
      const widths = [inputs, ...architecture.split("-").slice(1).map(Number)];
      Object.assign(this, { rule, widths, optimizer, count: 0 });
      [this.f, this.slope] = ACTIVATIONS[activation];
      let state = seed * 7919 + 13;
      const uniform = () => (state = (state * 16807) % 2147483647) / 2147483647;
      const normal = () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
      for (let warm = 0; warm < 9; warm++) uniform();
      const draw = (rows, columns, size) => Float32Array.from({ length: rows * columns }, () => size * normal());
      this.layers = widths.slice(1).map((width, l) => ({
        name: `linear${l + 1}`, shape: [width, widths[l]], weights: draw(width, widths[l], Math.sqrt(2 / widths[l])), bias: new Float32Array(width),
      }));
      this.moments = this.layers.map((layer) => [0, 0].map(() => ({ weights: new Float32Array(layer.weights.length), bias: new Float32Array(layer.bias.length) })));
      const last = widths.length - 1;
      this.matrices = rule === "feedback-alignment"
        ? widths.slice(1, -1).map((width, l) => ({ name: `linear${l + 2}`, layer: l, direct: false, fixed: true, shape: [widths[l + 2], width], transposed: true, values: draw(widths[l + 2], width, Math.sqrt(2 / width)) }))
        : rule === "direct-feedback-alignment"
          ? widths.slice(1, -1).map((width, l) => ({ name: `linear${l + 1}`, layer: l, direct: true, fixed: true, shape: [width, widths[last]], values: draw(width, widths[last], 1) }))
          : [];
    }

    forward(points) {
      const count = points.length / this.widths[0];
      const acts = [points], pre = [];
      this.layers.forEach(({ weights, bias, shape: [rows, columns] }, l) => {
        const z = new Float32Array(count * rows), a = new Float32Array(count * rows);
        for (let n = 0; n < count; n++) {
          for (let i = 0; i < rows; i++) {
            let sum = bias[i];
            for (let j = 0; j < columns; j++) sum += weights[i * columns + j] * acts[l][n * columns + j];
            z[n * rows + i] = sum;
            a[n * rows + i] = l === this.layers.length - 1 ? 1 / (1 + Math.exp(-sum)) : this.f(sum);
          }
        }
        pre.push(z);
        acts.push(a);
      });
      return { acts, pre, count };
    }

    backward(x, y, exact) {
      const { acts, pre, count } = this.forward(x);
      const last = this.layers.length - 1;
      const deltas = [];
      deltas[last] = acts[last + 1].map((p, n) => p - y[n]);
      for (let l = last - 1; l >= 0; l--) {
        const width = this.layers[l].shape[0];
        const own = exact ? null : this.matrices.find((one) => one.layer === l);
        const from = own && own.direct ? last : l + 1;
        const rows = this.layers[from].shape[0];
        const at = own ? (i, j) => (own.transposed ? own.values[i * width + j] : own.values[j * rows + i]) : (i, j) => this.layers[l + 1].weights[i * width + j];
        deltas[l] = new Float32Array(count * width);
        for (let n = 0; n < count; n++) {
          for (let j = 0; j < width; j++) {
            let sum = 0;
            for (let i = 0; i < rows; i++) sum += at(i, j) * deltas[from][n * rows + i];
            deltas[l][n * width + j] = sum * this.slope(pre[l][n * width + j]);
          }
        }
      }
      const gradients = this.layers.map(({ shape: [rows, columns] }, l) => {
        const weights = new Float32Array(rows * columns), bias = new Float32Array(rows);
        if (!exact && this.rule === "frozen" && l < last) return { weights, bias };
        for (let n = 0; n < count; n++) {
          for (let i = 0; i < rows; i++) {
            const delta = deltas[l][n * rows + i] / count;
            bias[i] += delta;
            for (let j = 0; j < columns; j++) weights[i * columns + j] += delta * acts[l][n * columns + j];
          }
        }
        return { weights, bias };
      });
      const chances = acts[last + 1];
      let loss = 0;
      for (let n = 0; n < count; n++) loss -= Math.log(Math.max(1e-7, y[n] ? chances[n] : 1 - chances[n])) / count;
      return { gradients, loss, pre, count };
    }

    step(x, y, rate) {
      const { gradients, loss } = this.backward(x, y, false);
      this.count += 1;
      this.layers.forEach((layer, l) => {
        for (const part of ["weights", "bias"]) {
          const gradient = gradients[l][part], [first, second] = this.moments[l].map((one) => one[part]);
          for (let k = 0; k < gradient.length; k++) {
            if (this.optimizer === "adam") {
              first[k] = 0.9 * first[k] + 0.1 * gradient[k];
              second[k] = 0.999 * second[k] + 0.001 * gradient[k] ** 2;
              layer[part][k] -= (rate * (first[k] / (1 - 0.9 ** this.count))) / (Math.sqrt(second[k] / (1 - 0.999 ** this.count)) + 1e-8);
            } else layer[part][k] -= rate * gradient[k];
          }
        }
      });
      return loss;
    }

    predict(points) {
      const { acts } = this.forward(points);
      return acts[acts.length - 1];
    }

    units(points) {
      return this.forward(points).acts.slice(1, -1);
    }

    read(x, y) {
      const own = this.backward(x, y, false), exact = this.backward(x, y, true);
      const right = this.predict(x).reduce((sum, p, n) => sum + (p > 0.5 === y[n] > 0.5), 0);
      return {
        loss: own.loss,
        accuracy: right / y.length,
        layers: this.layers.map((layer, l) => {
          const a = own.gradients[l].weights, b = exact.gradients[l].weights;
          const dot = (p, q) => p.reduce((sum, value, k) => sum + value * q[k], 0);
          const sizes = [Math.sqrt(dot(a, a)), Math.sqrt(dot(b, b))];
          const width = layer.shape[0];
          return {
            ...layer, credit: a, backpropagation: b,
            angle: (Math.acos(Math.max(-1, Math.min(1, dot(a, b) / (sizes[0] * sizes[1])))) * 180) / Math.PI,
            normRatio: sizes[0] / sizes[1],
            activity: Float32Array.from({ length: width }, (_, unit) => {
              let active = 0;
              for (let n = 0; n < own.count; n++) active += Math.abs(this.slope(own.pre[l][n * width + unit])) > 1e-3;
              return active / own.count;
            }),
          };
        }),
        feedback: this.matrices.map((one) => ({ ...one, values: one.values.slice() })),
      };
    }

    setFeedback(name, values) {
      this.matrices.find((one) => one.name === name).values = Float32Array.from(values);
    }
  }

  return { load: () => ({ learner: (options) => new Learner(options) }) };
})();
