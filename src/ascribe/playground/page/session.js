"use strict";

// Session: all rules, each with all its seeds, in step: from one start (the seed's) and on the same batches.

const Session = (() => {
  const PROBE = 48; // training points at which a rule's credit is compared with the gradient
  const TINY = 1e-7;

  // A rule's runs: one learner a seed, or the sentence that says why there is none.
  function runsOf(machine, plan, training, { name, hyperparameters }) {
    const { architecture, inputs, activation, optimizer, seed, seeds } = plan, data = { x: training.inputs, y: training.targets };
    try {
      const learners = Array.from({ length: seeds }, (_, more) =>
        machine.learner({ rule: name, architecture, activation, optimizer, seed: seed + more, hyperparameters, inputs: inputs.length, data }));
      return { name, learners, problem: "", diverged: learners.map(() => null) };
    } catch (error) {
      return { name, learners: [], problem: error.message, diverged: [] };
    }
  }

  let made = 0;

  class Session {
    // `plan`: {rules: [{name, rate, hyperparameters, needsData}], control, architecture, inputs, activation, optimizer, batch, seed, seeds, dragged}.
    constructor(machine, plan, data) {
      Object.assign(this, { machine, plan, number: made++, columns: plan.inputs.length, mapped: new Map() });
      this.runs = plan.rules.map((rule) => runsOf(machine, plan, this.parts(data).training, rule));
      this.control = new Set(this.runs.filter((run) => run.name === plan.control).flatMap((run) => run.learners));
      this.rates = new Map(plan.rules.map(({ name, rate }) => [name, rate]));
      const learning = this.runs.filter((run) => run.learners.length).map((run) => run.name);
      this.history = new History.History(learning, plan.seeds);
      this.batches = Array.from({ length: plan.seeds }, (_, more) => ({
        random: Random.generator(Random.derive(plan.seed + more, 1)),
        order: [],
        place: 0,
        inputs: new Float32Array(this.columns * plan.batch),
        targets: new Float32Array(plan.batch),
        examples: new Int32Array(plan.batch),
      }));
      this.steps = 0;
      this.epochs = 0;
      this.place = 0; // steps of the epoch that is under way
      this.setData(data);
    }

    // Feedback weights that were dragged, `rule:matrix:place` each, get their values in every rule's first learner.
    drag() {
      for (const [key, value] of Object.entries(this.plan.dragged ?? {})) {
        const { rule, matrix, place } = Link.weightOf(key), learner = this.runs.find((run) => run.name === rule)?.learners[0];
        const found = learner && this.read(learner).feedback.find((one) => one.name === matrix);
        if (found && place < found.values.length) learner.setFeedback(matrix, found.values.map((one, k) => (k === place ? value : one)));
      }
    }

    // Training and test points, with the inputs that networks are given.
    parts(data) {
      const { training, test, apart } = Datasets.parts(data), given = (part) => ({ ...part, inputs: Features.of(part.inputs, this.plan.inputs) });
      return { training: given(training), test: given(test), apart };
    }

    // The inputs at points of the plane, made once for each list of them.
    inputsAt(points) {
      if (!this.mapped.has(points)) this.mapped.set(points, Features.of(points, this.plan.inputs));
      return this.mapped.get(points);
    }

    // Other points from now on. What was learned stays, but of a rule that keeps something for each point: it begins again.
    setData(data) {
      const others = this.data && this.data !== data;
      this.data = data;
      Object.assign(this, this.parts(data));
      this.plan.rules.forEach((rule, place) => {
        if (others && rule.needsData) this.runs[place] = runsOf(this.machine, this.plan, this.training, rule);
      });
      this.probe = {
        inputs: this.training.inputs.subarray(0, this.columns * PROBE),
        targets: this.training.targets.subarray(0, PROBE),
        examples: Int32Array.from({ length: Math.min(PROBE, this.training.targets.length) }, (_, example) => example),
      };
      for (const batch of this.batches) batch.place = batch.order.length;
      this.place = 0;
      if (this.steps > 0 || !data.training) return;
      this.drag();
      this.record();
    }

    // Whole batches only: what is left of an epoch's points after the last one waits for the next epoch's order.
    get stepsInEpoch() {
      return Math.max(1, Math.floor(this.data.training / this.plan.batch));
    }

    setRate(name, rate) {
      this.rates.set(name, rate);
    }

    // One step of every learner. A learner whose loss is no number any more stays as it is.
    step() {
      if (!this.data.training) return;
      this.batches.forEach((batch) => this.fill(batch));
      for (const run of this.runs) {
        run.learners.forEach((learner, seed) => {
          if (run.diverged[seed] !== null) return;
          const { inputs, targets, examples } = this.batches[seed];
          const loss = learner.step(inputs, targets, this.rates.get(run.name), examples);
          if (!Number.isFinite(loss)) run.diverged[seed] = this.steps + 1;
        });
      }
      this.steps += 1;
      this.place += 1;
      if (this.place >= this.stepsInEpoch) {
        this.place = 0;
        this.epochs += 1;
        for (const batch of this.batches) batch.place = batch.order.length;
        for (const run of this.runs) for (const learner of run.learners) learner.endEpoch?.(this.training.inputs, this.training.targets);
      }
      if (this.history.isDue(this.steps)) this.record();
    }

    // The next batch; of fewer points than a batch has, some come twice.
    fill(batch) {
      for (let row = 0; row < batch.targets.length; row++) {
        if (batch.place >= batch.order.length) {
          batch.order = Random.permutation(batch.random, this.data.training);
          batch.place = 0;
        }
        const example = batch.order[batch.place++];
        for (let k = 0; k < this.columns; k++) batch.inputs[this.columns * row + k] = this.training.inputs[this.columns * example + k];
        batch.targets[row] = this.training.targets[example];
        batch.examples[row] = example;
      }
    }

    record(again = false) {
      const measured = (name, seed) => {
        const run = this.runs.find((one) => one.name === name);
        return run.diverged[seed] === null ? this.measure(run.learners[seed]) : DIVERGED;
      };
      this.history.add(this.steps, measured, again);
    }

    measure(learner) {
      const training = score(learner.predict(this.training.inputs), this.training.targets);
      const test = this.apart ? score(learner.predict(this.test.inputs), this.test.targets) : training;
      const { layers } = this.read(learner);
      return { trainLoss: training.loss, testLoss: test.loss, accuracy: test.accuracy, angles: layers.map((layer) => layer.angle) };
    }

    // What a learner has and does, at the probe's points. The control's hidden layers get no credit.
    read(learner) {
      const found = learner.read(this.probe.inputs, this.probe.targets, this.probe.examples);
      if (!this.control.has(learner)) return found;
      const last = found.layers.length - 1;
      const layers = found.layers.map((layer, place) => (place === last ? layer : { ...layer, credit: new Float32Array(layer.credit.length), angle: NaN, normRatio: 0 }));
      return { ...found, layers };
    }
  }

  const DIVERGED = { trainLoss: NaN, testLoss: NaN, accuracy: NaN, angles: [] };

  // Mean cross-entropy in nats, and the share that is on the right side of 1/2, of the probabilities of class 1.
  function score(probabilities, targets) {
    let loss = 0, right = 0;
    for (let row = 0; row < targets.length; row++) {
      const chance = targets[row] ? probabilities[row] : 1 - probabilities[row];
      loss -= Math.log(Math.max(chance, TINY));
      if (chance > 0.5) right += 1;
    }
    return { loss: loss / targets.length, accuracy: right / targets.length };
  }

  return { Session, score };
})();
