"use strict";

// Runs the page's modules that need no browser, and prints what came out as one line of JSON. Standard input: the scripts.

const source = require("fs").readFileSync(0, "utf8");
globalThis.matchMedia = () => ({ matches: false, addEventListener() {} });
require("vm").runInThisContext(`${source};\nglobalThis.page = { Ascribe, Random, Datasets, Csv, Features, History, Session, Link, Saving, Surface: null };`);
const { Ascribe, Random, Datasets, Csv, Features, History, Session, Link, Saving } = globalThis.page;

const refused = (act) => {
  try {
    act();
    return null;
  } catch (error) {
    return error.message;
  }
};
const found = {};

found.generated = Object.fromEntries(Object.keys(Datasets.MADE).map((name) => {
  const make = (seed) => Datasets.make(name, { count: 90, noise: 0.1, seed });
  const data = make(4), same = make(4), other = make(5);
  return [name, {
    count: data.targets.length,
    ones: data.targets.reduce((sum, one) => sum + one, 0),
    training: data.training,
    repeats: data.inputs.every((value, place) => value === same.inputs[place]),
    differs: data.inputs.some((value, place) => value !== other.inputs[place]),
    largest: Math.max(...data.inputs.map(Math.abs)),
  }];
}));
const normals = (() => {
  const random = Random.generator(3);
  return Array.from({ length: 20000 }, () => Random.normal(random));
})();
const mean = normals.reduce((sum, one) => sum + one, 0) / normals.length;
found.normal = { mean, variance: normals.reduce((sum, one) => sum + (one - mean) ** 2, 0) / normals.length };
found.permutation = [...Random.permutation(Random.generator(1), 50)].sort((a, b) => a - b);
const drawn = [[-1.5, 0.25, 1], [2, -2, 0]];
found.drawn = Datasets.fromText(Datasets.toText(drawn));

// Tables.
const plain = "a,b,label\n" + Array.from({ length: 40 }, (_, row) => `${row},${row * row},${row % 2 ? "yes" : "no"}`).join("\n");
const read = Csv.read(plain);
found.table = { ...read, inputs: read.inputs.slice(0, 6), targets: read.targets.slice(0, 4) };
const standardized = Datasets.ofTable(read), column = [0, 1].map((axis) => Array.from({ length: 40 }, (_, row) => standardized.inputs[2 * row + axis]));
found.standardized = column.map((values) => ({ mean: values.reduce((sum, one) => sum + one, 0) / 40, square: values.reduce((sum, one) => sum + one * one, 0) / 40 }));
found.quoted = Csv.read('"x, 1";y;class\n1;2;"<b>"\n3;4;"a""b"\n5;6;<b>\n7;8;"a""b"');
found.headless = Csv.read("1\t2\t0\n3\t4\t1\n5\t6\t0\n7\t8\t1\n").columns;
found.many = (({ targets, note }) => ({ count: targets.length, ones: targets.reduce((sum, one) => sum + one, 0), note }))(
  Csv.read("a,b,y\n" + Array.from({ length: 3000 }, (_, row) => `${row},${row},${row < 1500 ? 0 : 1}`).join("\n")));
found.badTables = ["", "a,b\n1,2", "a,b,c\n1,2,3\n4,5,6\n7,8,9", "a,b,y\nx,1,0\ny,2,1\nz,3,0\nw,4,1", "\0".repeat(9), "a,b,y\n".repeat(4)].map((text) => refused(() => Csv.read(text)));
found.largeTable = refused(() => Csv.read("1,2,3\n".repeat(900000)));

// Inputs.
found.features = {
  all: [...Features.of(Float32Array.from([2, -3, 0.5, 1]), Object.keys(Features.KNOWN))],
  names: Features.names(["x1x2", "sinx1"], ["age", "dose"], ["split-signs", "constant-one"]),
};

// Links.
const choices = { data: ["moons", "xor", "drawn", "file"], file: false, rules: ["backpropagation", "a,b:c=d&e"], keys: ["backpropagation", "a,b:c=d&e", "a,b:c=d&e.scale"], architectures: ["2-1", "2-16-1"], activations: ["tanh"], optimizers: ["sgd", "adam"], batches: [1, 16], lessons: ["free", "second"], presets: { free: {}, second: { optimizer: "sgd", rate: 0.1 } } };
const usual = { data: "moons", noise: 0.2, points: 300, test: false, dataSeed: 0, drawn: [], table: "", rules: ["backpropagation"], control: true, architecture: "2-16-1", inputs: ["x1", "x2"], activation: "tanh", optimizer: "adam", rate: 0.01, rates: {}, options: {}, batch: 16, seed: 0, seeds: 1, speed: 3, lesson: "free", dragged: {}, compact: false };
const changed = { ...usual, data: "drawn", noise: 0.02, drawn: Datasets.fromText(Datasets.toText(drawn)), rules: ["a,b:c=d&e", "backpropagation"], control: false, architecture: "2-1", inputs: ["x1", "x1x2", "sinx2"], rate: 0.003, rates: { "a,b:c=d&e": 0.5 }, options: { "a,b:c=d&e.scale": -2.5 }, batch: 1, seeds: 4, dragged: { "a,b:c=d&e:linear2:3": -0.5 } };
const text = Link.encode(changed, usual, choices), lesson = { ...usual, optimizer: "sgd", rate: 0.1, lesson: "second" };
const small = Datasets.ofTable({ ...read, inputs: read.inputs.map((one) => one + 3), columns: ["a", "b"] }), tableText = Datasets.textOf(small);
found.tableLink = {
  length: tableText.length, targets: [...small.targets], training: Datasets.ofText(tableText).training,
  back: [...Datasets.ofText(tableText).inputs], inputs: [...small.inputs], labels: [...Datasets.ofText(tableText).targets],
  tooMany: Datasets.textOf({ inputs: new Float32Array(802), targets: new Float32Array(401) }), tooFar: Datasets.textOf({ inputs: [0, 7], targets: [1] }),
  settings: Link.decode(`#data=file&table=${tableText}`, usual, choices).settings.table === tableText,
};
found.link = { lesson: Link.encode(lesson, usual, choices), within: Link.encode({ ...lesson, optimizer: "adam" }, usual, choices), lessonBack: Link.decode("#optimizer=adam&lesson=second", usual, choices).settings, usual: Link.encode(usual, usual, choices), text, back: Link.decode(`#${text}`, usual, choices), changed };
found.hostileLinks = [
  "#data=<script>alert(1)</script>", "#data=javascript:alert(1)", "#rules=backpropagation,nobody", "#rules=backpropagation,backpropagation", "#rate=1e99", "#rate=NaN", "#rate=0x10", "#batch=7",
  "#seeds=999", "#seeds=1.5", "#noise=-1", "#__proto__=1", "#constructor=x", "#nothing=1", "#rates=backpropagation:Infinity", "#rates=__proto__:1", "#options=backpropagation.scale:1", "#drawn=%00",
  "#drawn=" + "A".repeat(3000), "#%E0%A4%A", "#rate=%E0%A4%A", "#" + "a".repeat(5000), "#rate", "#rate=", "#lesson=<img src=x onerror=alert(1)>", "#inputs=", "#inputs=x1,x1", "#inputs=x3", "#data=file", "#table=abc", "#table=%00", "#dragged=nobody:linear2:1:2", "#dragged=backpropagation:linear2:-1:2",
].map((hash) => Link.decode(hash, usual, choices)).map(({ settings, problem }) => ({ same: settings === usual, problem }));

// A session: paired batches, seeds, history, a rule that refuses, divergence.
const machine = Ascribe.load({});
const asked = [], looked = [];
const spying = { learner: (options) => {
  const learner = machine.learner(options), step = learner.step.bind(learner), read = learner.read.bind(learner);
  learner.read = (x, y, examples) => {
    if (looked.length < 3) looked.push([...examples].every((example, row) => moons.inputs[2 * example] === x[2 * row] && moons.targets[example] === y[row]) && examples.length === y.length);
    return read(x, y);
  };
  learner.step = (x, y, rate, examples) => {
    asked.push({ rule: options.rule, seed: options.seed, x: [...x], y: [...y], rate, examples: [...examples] });
    return step(x, y, rate);
  };
  return learner;
} };
const plan = { rules: ["backpropagation", "feedback-alignment", "refuses", "frozen"].map((name, place) => ({ name, rate: 0.01 * (place + 1), hyperparameters: {} })), control: "frozen", architecture: "2-8-1", inputs: ["x1", "x2"], activation: "tanh", optimizer: "adam", batch: 16, seed: 3, seeds: 2 };
const moons = Datasets.make("moons", { count: 120, noise: 0.1, seed: 0 });
const session = new Session.Session(spying, plan, moons);
const first = [...session.runs[3].learners[0].layers[0].weights];
for (let step = 0; step < 300; step++) session.step();
const start = session.history.runs.get("backpropagation")[0][0], end = session.history.last("backpropagation");
const epoch = asked.filter((one) => one.rule === "backpropagation" && one.seed === 3).slice(0, session.stepsInEpoch).flatMap((one) => one.examples);
found.session = {
  problem: session.runs[2].problem,
  paired: asked.filter((one) => one.rule === "backpropagation").every((one, place) => {
    const other = asked.filter((two) => two.rule === "feedback-alignment")[place];
    return other.seed === one.seed && one.x.every((value, k) => value === other.x[k]) && one.y.every((value, k) => value === other.y[k]);
  }),
  seedsDiffer: asked[0].x.some((value, place) => value !== asked[1].x[place]),
  rates: [...new Set(asked.map((one) => `${one.rule} ${one.rate}`))],
  batchIsOfExamples: asked[0].examples.every((example, row) => moons.inputs[2 * example] === asked[0].x[2 * row] && moons.targets[example] === asked[0].y[row]),
  creditIsOfExamples: looked,
  onceAnEpoch: new Set(epoch).size === epoch.length,
  epochs: session.epochs, stepsInEpoch: session.stepsInEpoch, training: session.training.targets.length,
  start, end,
  angles: { control: session.history.last("frozen").angles.map((one) => (Number.isFinite(one) ? one : null)), backpropagation: end.angles },
  frozen: first.every((value, place) => value === session.runs[3].learners[0].layers[0].weights[place]),
  records: session.history.steps.length, every: session.history.every,
  names: [...session.history.runs.keys()],
};
const again = new Session.Session(machine, plan, moons);
for (let step = 0; step < 300; step++) again.step();
found.session.repeats = JSON.stringify(again.history.last("feedback-alignment", 1)) === JSON.stringify(session.history.last("feedback-alignment", 1));
const wild = new Session.Session(machine, { ...plan, rules: [{ name: "backpropagation", rate: 1e12, hyperparameters: {} }], optimizer: "sgd", activation: "relu" }, moons);
for (let step = 0; step < 60; step++) wild.step();
found.diverged = { at: wild.runs[0].diverged[0], loss: String(wild.history.last("backpropagation").testLoss) };
const few = new Session.Session(machine, { ...plan, seeds: 1 }, Datasets.drawn([[0, 1, 1], [1, 0, 0]]));
for (let step = 0; step < 5; step++) few.step();
found.few = { epochs: few.epochs, apart: few.apart, loss: few.history.last("backpropagation").trainLoss };
const wide = new Session.Session(machine, { ...plan, seeds: 1, inputs: ["x1x1", "x2x2", "x1x2"] }, Datasets.make("circles", { count: 120, noise: 0.1, seed: 0 }));
for (let step = 0; step < 60; step++) wide.step();
found.wide = {
  shape: wide.read(wide.runs[0].learners[0]).layers[0].shape, accuracy: wide.history.last("backpropagation").accuracy,
  batch: wide.batches[0].examples.every((example, row) => {
    const [x, y] = wide.data.inputs.subarray(2 * example, 2 * example + 2), given = wide.batches[0].inputs.subarray(3 * row, 3 * row + 3);
    return [x * x, y * y, x * y].every((value, k) => Math.fround(value) === given[k]);
  }),
};
const none = new Session.Session(machine, { ...plan, seeds: 1 }, Datasets.drawn([]));
none.step();
found.none = { steps: none.steps, records: none.history.steps.length };

// A history stays small.
const history = new History.History(["one"], 1);
for (let step = 0; step < 50000; step++) if (history.isDue(step)) history.add(step, () => ({ step }));
found.history = { records: history.steps.length, most: History.MOST_RECORDS, every: history.every, aligned: history.steps.every((step, place) => history.runs.get("one")[0][place].step === step), last: history.steps[history.steps.length - 1] };

// What was measured at a step again is in the first one's place.
const twice = new History.History(["one"], 1);
for (const value of [1, 2]) twice.add(8, () => value, value === 2);
twice.add(8, () => 3);
found.twice = [twice.steps, twice.runs.get("one")[0]];

found.untested = Saving.table(none, {}).split("\r\n")[0];
found.commas = refused(() => Csv.read("a;b;y\n1,5;2,5;0\n2,5;1,5;1\n3,5;2,5;0\n4,5;3,5;1"));
found.saved = Saving.table({ ...again, stepsInEpoch: again.stepsInEpoch }, { backpropagation: '=HYPERLINK("x")', "feedback-alignment": "plain", frozen: 'a "b", c' }).split("\r\n");
found.saved = { head: found.saved[0], first: found.saved[1], rows: found.saved.length, others: found.saved.filter((line) => line.startsWith('"a ""b"", c"')).length };
process.stdout.write(JSON.stringify(found));
