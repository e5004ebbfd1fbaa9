// Networks that learn by a rule: what a page's data says, put together as `ascribe.train` does.

const ENCODINGS = {
  "split-signs": (row) => [...row.map((x) => Math.max(x, 0)), ...row.map((x) => Math.max(-x, 0))],
  "constant-one": (row) => [...row, 1],
};

// All numbers of inputs (examples, columns) after the transforms that a rule needs.
function encoded(inputs, columns, encoding) {
  if (!encoding.length) return { inputs, columns };
  const rows = [];
  for (let start = 0; start < inputs.length; start += columns) {
    rows.push(encoding.reduce((row, name) => ENCODINGS[name](row), Array.from(inputs.subarray(start, start + columns))));
  }
  return { inputs: Float32Array.from(rows.flat()), columns: rows.length ? rows[0].length : columns };
}

const symbols = (types) => [...new Set(JSON.stringify(types.map(([, shape]) => shape)).match(/[a-z]\d*(?=")/g) || [])];

const MOST_SIZES = 24;

class Machine {
  constructor(data) {
    this.data = data;
    this.instances = data.programs.map(() => new Map());
    this.symbols = data.programs.map(({ types }) => symbols(types));
  }

  // The outputs of a program, arrays that are good until the program runs again. An input that is not given stays what it was.
  run(number, sizes, inputs) {
    const key = this.symbols[number].map((name) => sizes[name]).join(), own = this.instances[number];
    let found = own.get(key);
    if (!found) {
      own.set(key, (found = instance(this.data.programs[number], sizes)));
      if (own.size > MOST_SIZES) own.delete(own.keys().next().value); // the oldest: every batch of drawn points is another one
    }
    for (let k = 0; k < inputs.length; k++) if (inputs[k]) found.inputs[k].array.set(inputs[k]);
    found.run();
    return found.outputs.map(({ array }) => array);
  }

  learner(options) {
    return new Learner(this, options);
  }
}

class Learner {
  constructor(machine, { rule, architecture, activation, optimizer, seed = 0, hyperparameters = {}, data = null, inputs = null }) {
    const about = machine.data.rules[rule], [columns, ...widths] = architecture.split("-").slice(0, -1).map(Number);
    Object.assign(this, { machine, about, rule, architecture, activation, optimizer, seed, epoch: 0, number: 0 });
    this.columns = inputs || columns;
    // A rule's programs are for all networks of one depth, but of a rule that looks at sizes.
    const own = about.forms[activation][architecture];
    if (own && own.inputs !== null && this.columns !== columns) throw new Error(`${rule} looks at the number of its inputs, and was compiled for ${columns}.`);
    this.form = own || about.forms[activation][widths.length];
    if (!this.form) throw new Error(about.refused[architecture] || about.refused[widths.length] || `no ${rule} with ${architecture} and ${activation}`);
    this.layout = this.form.layout;
    this.sizes = {};
    widths.forEach((units, k) => { this.sizes["h" + (k + 1)] = units; });
    this.numbers = about.numbers.map(({ name, value }) => Float32Array.from(name in hyperparameters ? [hyperparameters[name]] : value));
    const all = this.examples(data ? data.x : new Float32Array(this.columns), data ? data.y : new Float32Array(1));
    this.sizes.n = all.columns;
    this.sizes.e = all.count;
    this.begin(all);
    const last = this.layout.layers.at(-1);
    this.only = about.control ? [last.weight, last.bias].filter((leaf) => leaf !== null) : null;
  }

  // Inputs as the rule takes them, and labels as whole numbers.
  examples(x, y) {
    const { inputs, columns } = encoded(x, this.columns, this.about.encoding);
    return { inputs, columns, count: x.length / this.columns, labels: Int32Array.from(y) };
  }

  begin(all) {
    const network = this.machine.run(this.form.network, this.sizes, [[this.seed]]);
    const begun = this.machine.run(this.form.begins, this.sizes, [...this.numbers, ...network, [this.seed], all.inputs, all.labels]);
    const { trainables, labels, state } = this.layout, found = begun.map((one) => one.slice());
    this.trainables = found.slice(0, trainables.length);
    this.kept = found.slice(trainables.length, trainables.length + state.length);
    this.statistics = found.slice(trainables.length + state.length);
    this.rows = labels.map((label) => label === "auxiliary");
    this.groups = this.about.moves[this.optimizer].map(({ labels: own, start, move }) => {
      const leaves = trainables.map((_, k) => k).filter((k) => own.includes(labels[k]));
      const group = { move, leaves, rows: own[0] === "auxiliary" };
      const count = leaves.reduce((sum, k) => sum + this.trainables[k].length, 0);
      if (group.rows) return this.rowsGroup(group, start, count / this.sizes.e);
      group.vector = new Float32Array(count);
      group.gradient = new Float32Array(count);
      let place = 0;
      for (const k of leaves) {
        const part = group.vector.subarray(place, place + this.trainables[k].length);
        part.set(this.trainables[k]);
        this.trainables[k] = part;
        place += part.length;
      }
      group.state = this.machine.run(start, { p: count }, [[0], group.vector]).map((one) => one.slice());
      return group;
    });
    this.key = new Uint32Array(2);
  }

  // A group of rows, of which each example has so many numbers: what its optimizer keeps, it keeps of every example.
  rowsGroup(group, start, size) {
    const first = this.machine.run(start, { p: size }, [[0], new Float32Array(size)]);
    const state = first.map((one) => {
      const all = new one.constructor(one.length * this.sizes.e);
      for (let k = 0; k < this.sizes.e; k++) all.set(one, k * one.length);
      return all;
    });
    return { ...group, size, state };
  }

  // Moves the rows of a batch, those of one example after those of another.
  moveRows({ move, leaves, size, state }, trainables, gradients, indices, rate, loss) {
    const count = indices.length, vector = new Float32Array(size), gradient = new Float32Array(size);
    const rows = (example, each) => {
      let place = 0;
      for (const k of leaves) {
        const layers = this.layout.trainables[k][1][0], width = trainables[k].length / (layers * count);
        for (let layer = 0; layer < layers; layer++, place += width) each(k, (layer * count + example) * width, width, place);
      }
    };
    indices.forEach((index, example) => {
      rows(example, (k, from, width, place) => {
        vector.set(trainables[k].subarray(from, from + width), place);
        gradient.set(gradients[k].subarray(from, from + width), place);
      });
      const own = state.map((all) => all.subarray((index * all.length) / this.sizes.e, ((index + 1) * all.length) / this.sizes.e));
      const [moved, ...after] = this.machine.run(move, { p: size }, [[rate], vector, gradient, [loss], ...own]);
      rows(example, (k, from, width, place) => trainables[k].set(moved.subarray(place, place + width), from));
      own.forEach((one, k) => one.set(after[k]));
    });
  }

  // The examples' rows of what there is once for every example, (layers, examples, …), for these examples; or back into it.
  rowsOf(k, indices, back = null) {
    const whole = this.trainables[k], { e } = this.sizes, shape = this.layout.trainables[k][1].map((one) => sized(one, { ...this.sizes, b: e }));
    const layers = shape[0], size = product(shape.slice(2)), count = indices.length, part = back || new Float32Array(layers * count * size);
    for (let layer = 0; layer < layers; layer++) for (let i = 0; i < count; i++) {
      const here = (layer * count + i) * size, there = (layer * e + indices[i]) * size;
      for (let j = 0; j < size; j++) if (back) whole[there + j] = part[here + j]; else part[here + j] = whole[there + j];
    }
    return part;
  }

  // The trainables of a batch.
  ofBatch(indices) {
    return this.trainables.map((one, k) => (!this.rows[k] ? one : indices ? this.rowsOf(k, indices) : null));
  }

  stepKey() {
    this.key.set(this.machine.run(this.machine.data.key, {}, [[this.seed], [this.epoch], [this.number]])[0]);
    return this.key;
  }

  credit(trainables, batch) {
    const sizes = { ...this.sizes, b: batch.count }, { form, layout } = this;
    const number = typeof form.credit === "number" ? form.credit : form.credit[batch.count];
    if (number === undefined) throw new Error(`${this.rule} takes batches of ${Object.keys(form.credit).join(", ")}`);
    const given = [...this.numbers, ...trainables, ...this.kept, ...this.statistics, batch.inputs, batch.labels, this.stepKey()];
    const [loss, ...found] = this.machine.run(number, sizes, given), count = layout.trainables.length;
    const state = found.slice(count, count + layout.state.length), statistics = found.slice(count + layout.state.length);
    return { loss, gradients: found.slice(0, count), state, statistics };
  }

  // One step of training on a batch; returns the loss before it.
  step(x, y, rate, indices = null) {
    const batch = this.examples(x, y), { machine, form, layout } = this, sizes = { ...this.sizes, b: batch.count };
    const trainables = this.ofBatch(indices), found = this.credit(trainables, batch), loss = found.loss[0];
    const before = this.only && trainables.map((one) => one.slice());
    for (const group of this.groups) {
      if (group.rows) {
        if (group.state.length) this.moveRows(group, trainables, found.gradients, indices, rate, loss);
        else for (const k of group.leaves) trainables[k].set(machine.run(group.move, { p: trainables[k].length }, [[rate], trainables[k], found.gradients[k], [loss]])[0]);
        continue;
      }
      let place = 0;
      for (const k of group.leaves) {
        const frozen = this.only && !this.only.includes(k), size = this.trainables[k].length;
        if (frozen) group.gradient.fill(0, place, place + size); else group.gradient.set(found.gradients[k], place);
        place += size;
      }
      const given = [[rate], group.vector, group.gradient, [loss], ...group.state];
      const [vector, ...state] = machine.run(group.move, { p: group.vector.length }, given);
      group.vector.set(vector);
      group.state.forEach((one, k) => one.set(state[k]));
    }
    this.kept.forEach((one, k) => one.set(found.state[k]));
    this.statistics.forEach((one, k) => one.set(found.statistics[k]));
    if (form.after_update !== null) {
      const after = machine.run(form.after_update, sizes, [...this.numbers, ...trainables, ...this.kept]);
      trainables.forEach((one, k) => one.set(after[k]));
      this.kept.forEach((one, k) => one.set(after[layout.trainables.length + k]));
    }
    if (before) trainables.forEach((one, k) => { if (!this.only.includes(k)) one.set(before[k]); });
    if (indices) trainables.forEach((one, k) => { if (this.rows[k]) this.rowsOf(k, indices, one); });
    this.number++;
    return loss;
  }

  // What the rule does between two epochs; x, y: all training examples.
  endEpoch(x, y) {
    const { form } = this;
    if (form.after_epoch !== null) {
      const all = this.examples(x, y), sizes = { ...this.sizes, e: all.count };
      const given = [...this.numbers, ...this.trainables, ...this.kept, all.inputs, all.labels, [this.epoch]];
      const found = this.machine.run(form.after_epoch, sizes, given);
      this.trainables.forEach((one, k) => one.set(found[k]));
      this.kept.forEach((one, k) => one.set(found[this.trainables.length + k]));
    }
    this.epoch++;
    this.number = 0;
  }

  answers(batch) {
    const given = [...this.numbers, ...this.ofBatch(null), ...this.kept, ...this.statistics, batch.inputs, batch.labels];
    const [loss, right, probabilities] = this.machine.run(this.form.answers, { ...this.sizes, b: batch.count }, given);
    return { loss: loss[0] / batch.count, accuracy: right[0] / batch.count, probabilities };
  }

  // The probabilities of class 1 at points (points, inputs).
  predict(points, out = new Float32Array(points.length / this.columns)) {
    out.set(this.answers(this.examples(points, new Int32Array(points.length / this.columns))).probabilities);
    return out;
  }

  // Loss and accuracy of examples, as training reports them.
  evaluate(x, y) {
    const { loss, accuracy } = this.answers(this.examples(x, y));
    return { loss, accuracy };
  }

  // Of a batch: loss, accuracy, and of every layer its weights, the rule's credit, backpropagation's, and how they lie; of a
  // rule that keeps something of every example, `indices` say which examples these are.
  read(x, y, indices = null) {
    const batch = this.examples(x, y), { form, layout, machine } = this, sizes = { ...this.sizes, b: batch.count };
    if (!indices && this.rows.includes(true)) throw new Error(`${this.rule} keeps something of every example: say which these are.`);
    const credits = this.credit(this.ofBatch(indices), batch).gradients.map((one) => one.slice());
    const network = layout.network.map((k) => this.trainables[k]);
    const exact = machine.run(form.backpropagation, sizes, [...network, ...this.statistics, batch.inputs, batch.labels, this.key]);
    const active = machine.run(form.activity, sizes, [...network, ...this.statistics, batch.inputs]);
    const layers = layout.layers.map(({ name, weight, bias }) => {
      const credit = credits[weight], backpropagation = exact[layout.network.indexOf(weight)].slice();
      const biases = bias === null ? {} : { bias: this.trainables[bias], biasCredit: credits[bias], biasBackpropagation: exact[layout.network.indexOf(bias)].slice() };
      return { name, weights: this.trainables[weight], shape: this.shapeOf("trainables", weight), ...biases, credit, backpropagation, ...compared(credit, backpropagation) };
    });
    const hidden = layout.hidden.map((name, k) => ({ name, ...activityOf(active[k], batch.count) }));
    hidden.forEach(({ active: share, mean }, k) => { Object.assign(layers[k], { activity: share, mean }); });
    const { loss, accuracy } = this.answers(batch);
    return { loss, accuracy, layers, hidden, feedback: this.feedback() };
  }

  // The activations of every hidden layer at points: (points, units) each.
  units(points) {
    const { inputs, count } = this.examples(points, new Int32Array(points.length / this.columns));
    const network = this.layout.network.map((k) => this.trainables[k]);
    return this.machine.run(this.form.activity, { ...this.sizes, b: count }, [...network, ...this.statistics, inputs]).map((one) => one.slice());
  }

  shapeOf(place, leaf) {
    return this.layout[place][leaf][1].map((one) => sized(one, { ...this.sizes, b: this.sizes.e }));
  }

  leavesOf(place) {
    return place === "state" ? this.kept : this.trainables;
  }

  feedback() {
    return this.layout.feedback.map(({ name, of, leaf }) => ({ name, values: this.leavesOf(of)[leaf], shape: this.shapeOf(of, leaf) }));
  }

  setFeedback(name, values) {
    const found = this.layout.feedback.find((one) => one.name === name);
    if (!found) throw new Error(`${this.rule} has no feedback weights ${name}`);
    this.leavesOf(found.of)[found.leaf].set(values);
  }

  // The weights of every layer: the arrays themselves, which a page may write into.
  weights() {
    return this.layout.layers.map(({ name, weight, bias }) => ({
      name, weights: this.trainables[weight], shape: this.shapeOf("trainables", weight), bias: bias === null ? null : this.trainables[bias],
    }));
  }

  // Everything that changes, as a copy; `restore` puts it back.
  state() {
    const copied = (list) => list.map((one) => one.slice()), { epoch, number } = this;
    return { epoch, number, trainables: copied(this.trainables), kept: copied(this.kept), statistics: copied(this.statistics), optimizers: this.groups.map(({ state }) => copied(state)) };
  }

  restore(saved) {
    const put = (list, from) => list.forEach((one, k) => one.set(from[k]));
    put(this.trainables, saved.trainables);
    put(this.kept, saved.kept);
    put(this.statistics, saved.statistics);
    this.groups.forEach(({ state }, k) => put(state, saved.optimizers[k]));
    this.epoch = saved.epoch;
    this.number = saved.number;
  }
}

// The angle in degrees between two directions, NaN where one has no length, and the length of the first in units of the second.
function compared(ours, theirs) {
  let inner = 0, own = 0, other = 0;
  for (let i = 0; i < ours.length; i++) { inner += ours[i] * theirs[i]; own += ours[i] ** 2; other += theirs[i] ** 2; }
  const cosine = inner / Math.sqrt(own * other);
  return { angle: (Math.acos(Math.min(Math.max(cosine, -1), 1)) * 180) / Math.PI, normRatio: Math.sqrt(own / other) };
}

// Of activations (batch, units): the share of examples for which a unit is above 0, and its mean.
function activityOf(activations, count) {
  const units = activations.length / count, active = new Float32Array(units), mean = new Float32Array(units);
  for (let i = 0; i < activations.length; i++) {
    active[i % units] += (activations[i] > 0 ? 1 : 0) / count;
    mean[i % units] += activations[i] / count;
  }
  return { active, mean };
}

const Ascribe = Object.assign(globalThis.Ascribe || {}, { load: (data) => new Machine(data), program: instance });
globalThis.Ascribe = Ascribe;
if (typeof module !== "undefined") module.exports = Ascribe;
