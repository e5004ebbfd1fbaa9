"use strict";

// App: the settings, the session that they make, and the page that shows it.

const App = (() => {
  const { byId } = Dom;
  const LIVE = ["rate", "rates", "speed", "lesson", "test", "drawn"]; // what changes without a restart
  const MOST_DRAWN = 500;

  class App {
    constructor(machine, pageData) {
      Object.assign(this, { machine, pageData, cards: [], pen: 1, own: pageData.data?.points ? pageData.data : null, layer: 0, lossOf: "testLoss" });
      this.usual = usualSettings(pageData);
      this.file = this.own;
      this.choices = choicesOf(pageData, this.own);
      const { settings, problem } = Link.decode(location.hash, this.usual, this.choices);
      this.take(settings);
      for (const name of ["addPoint", "removePoint", "drag"]) this[name] = this[name].bind(this);
      this.loop = new Loop.Loop({ step: () => this.session.step(), stepped: () => this.tellSometimes() });
      this.curves = this.makeCurves();
      Controls.build(this);
      Lessons.build(this);
      this.restart();
      Dom.notice(problem);
    }

    // The settings of a link, with the points that came in it.
    take(settings) {
      if (settings.table !== this.settings?.table) this.file = settings.table ? { name: "From a link", points: Datasets.ofText(settings.table), note: "They came with the link, standardized." } : this.own;
      this.settings = settings;
    }

    chosen() {
      const { control } = this.pageData;
      return [...this.settings.rules, ...(control && this.settings.control ? [control] : [])];
    }

    rateOf(name) {
      return Object.hasOwn(this.settings.rates, name) ? this.settings.rates[name] : this.settings.rate;
    }

    makeData() {
      const { data, points: count, noise, dataSeed: seed, drawn } = this.settings;
      if (data === "drawn") return Datasets.drawn(drawn);
      return data === "file" ? this.file.points : Datasets.make(data, { count, noise, seed });
    }

    // A new session from the settings: everything begins again.
    restart() {
      const { settings, pageData } = this, { architecture, inputs, activation, optimizer, batch, seed, seeds } = settings;
      const rules = this.chosen().map((name) => ({
        name,
        rate: this.rateOf(name),
        needsData: Boolean(pageData.rules[name].needsData),
        hyperparameters: Object.fromEntries(Object.entries(pageData.rules[name].hyperparameters ?? {}).map(([option, usual]) => [option, settings.options[`${name}.${option}`] ?? usual])),
      }));
      this.session = new Session.Session(this.machine, { rules, control: pageData.control, architecture, inputs, activation, optimizer, batch, seed, seeds, dragged: settings.dragged }, this.makeData());
      this.layer = Math.min(this.layer, Controls.depthOf(architecture));
      this.showCards();
      this.showChoices();
      this.show();
    }

    // The cards of the chosen rules; one that stays keeps its place on the page.
    showCards() {
      const known = new Map(this.cards.map((card) => [card.name, card]));
      this.cards = this.session.runs.map((run) => {
        const card = known.get(run.name) ?? new Cards.Card(run.name, this);
        card.begin(run);
        return card;
      });
      const place = byId("cards"), elements = this.cards.map((card) => card.element);
      if (elements.length !== place.children.length || elements.some((one, number) => place.children[number] !== one)) place.replaceChildren(...elements);
      place.dataset.count = Math.min(4, elements.length);
      this.loop.tasks = [
        ...this.cards.flatMap((card) => [
          { draw: (fine) => card.drawSurface(fine), of: card.surface, rest: 80 },
          { draw: () => card.drawNetwork(), of: card.network, rest: 150 },
        ]),
        ...this.curves.map((curve) => ({ draw: () => curve.draw(this.session.history, this.session.stepsInEpoch), of: curve, rest: 150 })),
      ];
      this.showLegend();
    }

    showLegend() {
      byId("legend").replaceChildren(...this.cards.map(({ name, title }) => {
        const button = Dom.make("button", { type: "button", "aria-pressed": "false" }, Dom.swatch(name), title);
        const front = (on) => {
          for (const curve of this.curves) curve.front = on ? name : null;
          this.loop.touchAll();
        };
        button.addEventListener("click", () => {
          const on = button.getAttribute("aria-pressed") !== "true";
          for (const other of byId("legend").children) other.setAttribute("aria-pressed", String(on && other === button));
          front(on);
        });
        return button;
      }));
      for (const curve of this.curves) curve.front = null;
    }

    makeCurves() {
      const told = (canvas) => (rows, event) => Dom.tip(rows && rows.map((row, place) => (place ? [this.pageData.rules[row[0]].title, row[1], row[0]] : row)), event, canvas);
      const make = (id, options) => {
        const curve = new Curves.Curves(byId(id), { ...options, redraw: () => this.redraw(curve), told: told(byId(id)) });
        return curve;
      };
      return [
        make("loss-curve", { measure: (one) => one[this.lossShown], show: Cards.loss, label: (tick) => String(Number(tick.toPrecision(3))), range: (values, last) => [0, 1.05 * Math.max(0.1, ...last, Math.min(2.4, Math.max(0, ...values)))] }),
        make("accuracy-curve", { measure: (one) => one.accuracy, show: Cards.percent, label: (tick) => `${Math.round(100 * tick)} %`, range: (values) => [Math.min(0.4, ...values), 1] }),
        make("angle-curve", { measure: (one) => one.angles[this.layer], show: Cards.degrees, label: (tick) => `${tick}°`, range: (values) => [0, Math.max(100, Math.min(180, ...(values.length ? [Math.max(...values)] : [0])))], lines: [90] }),
      ];
    }

    // The training loss where there are no test points, whatever was chosen before.
    get lossShown() {
      return this.session.apart ? this.lossOf : "trainLoss";
    }

    // What the curves and scores are of.
    showChoices() {
      const again = (change) => (value) => {
        change(value);
        this.showChoices();
        this.show();
      };
      Dom.radios(byId("loss-of"), [...(this.session.apart ? [{ value: "testLoss", label: "Test" }] : []), { value: "trainLoss", label: "Training" }], this.lossShown, again((value) => (this.lossOf = value)));
      const layers = Array.from({ length: Controls.depthOf(this.settings.architecture) + 1 }, (_, layer) => ({ value: layer, label: String(layer + 1), title: `Weights of layer ${layer + 1}` }));
      Dom.radios(byId("angle-of"), layers, this.layer, again((value) => (this.layer = value)));
    }

    // Settings that change; most of them begin everything again.
    change(changes) {
      const before = this.settings;
      const others = ["architecture", "seed", "seeds"].some((name) => name in changes); // whose feedback weights are others
      this.settings = { ...before, ...(others ? { dragged: {} } : {}), ...changes };
      Dom.notice("");
      if (Object.keys(changes).every((name) => LIVE.includes(name))) {
        for (const name of this.chosen()) this.session.setRate(name, this.rateOf(name));
        if (changes.drawn) this.session.setData(this.makeData());
        if (changes.drawn?.length === 0 && before.drawn.length) this.restart();
        this.show();
      } else this.restart();
    }

    choose(lesson) {
      const { speed } = this.settings;
      this.play(false);
      this.settings = { ...this.usual, ...lesson.settings, speed: lesson.settings.speed ?? speed, lesson: lesson.id };
      Dom.notice("");
      this.restart();
    }

    chooseData(name) {
      if (name === "file" && !this.file) {
        Controls.show(this);
        return byId("file").click();
      }
      const noise = Datasets.MADE[name]?.noise ?? this.settings.noise;
      return this.change({ data: name, noise });
    }

    async readFile(file) {
      try {
        if (file.size > 5_000_000) throw new Error("The file is larger than 5 MB: choose a smaller one.");
        const table = Csv.read(await file.text());
        const points = Datasets.ofTable(table), text = Datasets.textOf(points);
        const kept = text ? "" : `The link does not keep these points: at most ${Datasets.MOST_IN_LINK}, none farther than six standard deviations out.`;
        this.file = { name: file.name.length > 14 ? `${file.name.slice(0, 12)}…` : file.name, points, note: `${table.note} ${kept}`.trim() };
        this.change({ data: "file", table: text });
      } catch (error) {
        Dom.notice(`${file.name.slice(0, 60)} was not read. ${error.message}`);
      }
      byId("file").value = "";
    }

    addPoint([x, y], label = this.pen) {
      if (this.settings.drawn.length < MOST_DRAWN) this.change({ drawn: [...this.settings.drawn, [x, y, label]] });
      else Dom.notice(`There are ${MOST_DRAWN} points, which is as many as can be.`);
    }

    // The nearest point, if it is near.
    removePoint([x, y]) {
      const distance = (point) => (point[0] - x) ** 2 + (point[1] - y) ** 2;
      const nearest = this.settings.drawn.reduce((best, point) => (!best || distance(point) < distance(best) ? point : best), null);
      if (nearest && distance(nearest) < 0.06) this.change({ drawn: this.settings.drawn.filter((point) => point !== nearest) });
    }

    // A feedback weight was dragged: the link keeps it, and it begins so when everything begins again.
    drag(key, value) {
      const { dragged } = this.settings;
      if (!Object.hasOwn(dragged, key) && Object.keys(dragged).length >= Link.MOST_DRAGGED) return Dom.notice(`The link keeps ${Link.MOST_DRAGGED} dragged weights; this one stays until everything begins again.`);
      this.settings = { ...this.settings, dragged: { ...dragged, [key]: value } };
      this.showDragged();
      this.session.record(true); // with what the weight changes
      for (const curve of this.curves) this.redraw(curve);
      this.tell();
      return this.keepLinkSoon();
    }

    showDragged() {
      const count = Object.keys(this.settings.dragged).length;
      byId("dragged").hidden = count === 0;
      byId("dragged-told").textContent = `${count === 1 ? "One feedback weight was" : `${count} feedback weights were`} set by hand, and will be again after a restart.`;
    }

    play(on) {
      if (on === this.loop.playing) return;
      if (on && !this.session.data.training) return Dom.notice("There are no points to learn from: draw some first.");
      byId("play").setAttribute("aria-pressed", String(on));
      byId("play").setAttribute("aria-label", on ? "Pause" : "Play");
      document.body.classList.toggle("playing", on);
      this.loop.play(on);
      if (on) return;
      this.session.record();
      this.tell();
      this.say();
    }

    // So many steps by hand.
    advance(steps) {
      this.play(false);
      for (let step = 0; step < steps; step++) this.session.step();
      this.session.record();
      this.loop.touchAll();
      this.tell();
      this.say();
    }

    reseed() {
      this.change({ seed: this.settings.seed + this.settings.seeds });
    }

    say() {
      Dom.say([`Epoch ${this.session.epochs}.`, ...this.cards.map((card) => card.sentence())].join(" "));
    }

    redraw(of) {
      for (const task of this.loop.tasks) if (task.of === of) this.loop.touch(task);
    }

    // The numbers, a few times a second, so that they can be read.
    tellSometimes() {
      const now = performance.now();
      if (now - (this.toldAt ?? 0) > 160) this.tell();
    }

    tell() {
      this.toldAt = performance.now();
      byId("epochs").textContent = this.session.epochs.toLocaleString("en");
      byId("steps").textContent = this.session.steps.toLocaleString("en");
      for (const card of this.cards) card.tell(this.layer);
    }

    // Everything that the settings decide, and the address.
    show() {
      this.loop.speed = Controls.SPEEDS[this.settings.speed];
      document.body.classList.toggle("compact", this.settings.compact); // for a page that has this one in a frame
      Controls.show(this);
      Lessons.show(this);
      this.loop.touchAll();
      this.tell();
      byId("accuracy-of").textContent = this.session.apart ? "test points" : "training points";
      byId("curves-told").textContent = this.settings.seeds > 1 ? `Thick lines: seed ${this.settings.seed}. Thin lines: the ${this.settings.seeds - 1} other seeds, which differ in initial weights and batches.` : "";
      this.showDragged();
      this.keepLinkSoon();
    }

    keepLinkSoon() {
      clearTimeout(this.linking);
      this.linking = setTimeout(() => this.keepLink(), 150);
    }

    keepLink() {
      const text = Link.encode(this.settings, this.usual, this.choices);
      if (location.hash.replace(/^#/, "") !== text) history.replaceState(null, "", `#${text}`);
    }

    async copyLink() {
      this.keepLink();
      try {
        await navigator.clipboard.writeText(location.href);
        Dom.notice("The link was copied.");
      } catch {
        Dom.notice("The address of this page is the link: copy it from the address bar.");
      }
    }

    follow(hash) {
      const { settings, problem } = Link.decode(hash, this.usual, this.choices);
      if (!problem && Link.encode(settings, this.usual, this.choices) === Link.encode(this.settings, this.usual, this.choices)) return;
      if (!problem) this.take(settings);
      if (!problem) this.restart();
      Dom.notice(problem);
    }

    dataTitle() {
      const { data } = this.settings;
      return Datasets.MADE[data]?.title ?? (data === "drawn" ? "Drawn points" : this.file.name);
    }

    summary() {
      const { architecture, inputs, activation, optimizer, rate, rates, batch, seed } = this.settings;
      const given = inputs.join() === Features.USUAL.join() ? "" : ` of ${inputs.map((one) => Features.KNOWN[one].label).join(", ")}`;
      return `${[inputs.length, ...architecture.split("-").slice(1)].join("-")}${given}, ${activation}, ${optimizer}, learning rate ${Object.keys(rates).length ? "by rule" : rate}, batches of ${batch}, seed ${seed}, ${this.session.steps} steps`;
    }
  }

  function usualSettings(pageData) {
    const { rules, control, architectures, activations, optimizers } = pageData;
    const prefer = (wanted, list) => wanted.find((one) => list.includes(one)) ?? list[0];
    const own = Object.keys(rules).filter((name) => name !== control);
    const optimizer = prefer(["adam", "sgd"], optimizers), batches = Controls.batches(pageData);
    const data = pageData.data?.points ? "file" : (pageData.data?.name ?? "moons");
    return {
      data, noise: Datasets.MADE[data]?.noise ?? 0.2, points: 300, test: false, dataSeed: 0, drawn: [], table: "",
      rules: pageData.shown ?? own.slice(0, 3), control: Boolean(control),
      architecture: prefer(["2-16-16-1", "2-16-1"], architectures), inputs: Features.USUAL, activation: prefer(["tanh", "relu"], activations),
      optimizer, rate: pageData.rates?.[optimizer] ?? 0.01, rates: {}, options: {}, batch: prefer([16, 32], batches),
      seed: 0, seeds: 1, speed: 3, lesson: "free", dragged: {}, compact: false,
    };
  }

  // What a link may name.
  function choicesOf(pageData, own) {
    const { rules, control, architectures, activations, optimizers } = pageData;
    const names = Object.keys(rules);
    return {
      data: [...Object.keys(Datasets.MADE), "drawn", "file"],
      file: own !== null,
      rules: names.filter((name) => name !== control),
      keys: [...names, ...names.flatMap((name) => Object.keys(rules[name].hyperparameters ?? {}).map((option) => `${name}.${option}`))],
      architectures, activations, optimizers,
      batches: Controls.batches(pageData),
      lessons: Lessons.all(pageData).map((one) => one.id),
      presets: Object.fromEntries(Lessons.open(pageData).map(({ id, settings }) => [id, settings])),
    };
  }

  return { App };
})();
