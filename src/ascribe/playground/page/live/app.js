"use strict";

// App: what the server tells, on the page, and what is done on the page, told to the server.

const App = (() => {
  const { byId } = Dom;
  const CALM = 400; // milliseconds between two drawings where motion is to be reduced
  const NOTHING = { epoch: 0, step: 0, place: 0, playing: false };

  class App {
    constructor(pageData) {
      const { rules, score, speed } = pageData, names = Object.keys(rules), first = rules[names[0]].rate;
      const own = names.some((name) => rules[name].rate !== first);
      Object.assign(this, { pageData, ...NOTHING, run: null, seed: 0, ready: false, compiled: new Set() });
      this.settings = { rate: first, rates: own ? Object.fromEntries(names.map((name) => [name, rules[name].rate])) : {}, speed };
      this.isShare = !["rmse", "loss", "log loss", "r2"].includes(score);
      this.scoreWords = this.isShare ? Words.percent : Words.loss;
      this.history = new Frames.Frames(names);
      this.loop = new Loop.Loop({ step: () => null, stepped: () => null });
      this.cards = names.map((name) => new Cards.Card(name, this));
      byId("cards").replaceChildren(...this.cards.map((card) => card.element));
      byId("cards").dataset.count = Math.min(4, names.length);
      this.panels = new Panels.Panels(this);
      this.loop.tasks = [
        ...this.panels.all.map((curve) => ({ draw: () => this.panels.draw(curve), of: curve, rest: 90 })),
        ...this.cards.flatMap((card) => [{ draw: () => card.drawUnits(), of: card.unitsSheet, rest: 300 }, { draw: () => card.drawSpread(), of: card.spreadSheet, rest: 300 }]),
      ];
      this.showLegend();
      this.showWords();
      this.show();
      this.state("connecting", true);
      this.socket = new Socket.Socket({
        heard: {
          compiling: ({ left }) => this.compiling(left),
          ready: ({ problems }) => this.begun(problems),
          frame: (frame) => this.take(frame),
          refused: ({ why }) => Dom.notice(why),
          ended: ({ why }) => this.over(`The training has ended: ${why}`),
        },
        closed: (why) => this.over(why),
      });
    }

    chosen() {
      return Object.keys(this.pageData.rules);
    }

    rateOf(name) {
      return this.settings.rates[name] ?? this.settings.rate;
    }

    // What is seen above the cards; nothing where `text` is empty.
    state(text, busy = false) {
      byId("state").hidden = !text;
      byId("state-told").textContent = text;
      byId("progress").hidden = !busy;
      for (const id of ["play", "step", "epoch", "restart", "reseed"]) byId(id).disabled = Boolean(text);
    }

    compiling(left) {
      const all = this.chosen(), title = (name) => this.pageData.rules[name].title;
      byId("progress").max = all.length;
      byId("progress").value = all.length - left.length;
      this.state(`Compiling ${left.map(title).join(", ")} (${all.length - left.length} of ${all.length} ready). The first time takes longest.`, true);
    }

    begun(problems) {
      this.ready = true;
      this.state("");
      for (const card of this.cards) if (Object.hasOwn(problems, card.name)) card.say(problems[card.name]);
      this.failed = new Set(Object.keys(problems));
      if (this.failed.size === this.cards.length) this.state("No rule could be compiled.");
      this.socket.say({ do: "speed", value: this.settings.speed });
    }

    over(why) {
      if (this.ended) return;
      this.ended = true;
      this.loop.play(false);
      document.body.classList.remove("playing");
      this.state(why);
      byId("again").hidden = false;
    }

    take(frame) {
      if (frame.run !== this.run) {
        this.run = frame.run;
        this.history = new Frames.Frames(this.chosen().filter((name) => Object.hasOwn(frame.rules, name)));
        this.asked = false;
      }
      this.history.take(frame);
      Object.assign(this, { epoch: frame.epoch, step: frame.step, place: frame.place, seed: frame.seed });
      this.showPlaying(frame.playing);
      const drawn = new Set(this.panels.all);
      for (const card of this.cards) {
        if (Object.hasOwn(frame.rules, card.name) && card.take(frame.rules[card.name], this.history.last(card.name))) drawn.add(card.unitsSheet).add(card.spreadSheet);
      }
      byId("epochs").textContent = this.epoch.toLocaleString("en");
      byId("steps").textContent = this.step.toLocaleString("en");
      byId("seed-told").textContent = String(this.seed);
      this.touch(drawn);
      if (!performance.getEntriesByName("first frame").length) performance.mark("first frame");
      document.body.classList.add("learning");
      clearTimeout(this.saying);
      if (!this.playing) this.saying = setTimeout(() => this.say(), 300); // when it rests
    }

    touch(drawn) {
      const now = performance.now(), rest = this.loop.calm.matches && this.playing ? CALM - (now - (this.drawnAt ?? -CALM)) : 0;
      const draw = () => {
        this.drawnAt = performance.now();
        for (const task of this.loop.tasks) if (drawn.has(task.of)) this.loop.touch(task);
      };
      if (rest <= 0) draw();
    }

    showPlaying(on) {
      if (on === this.playing) return;
      this.playing = on;
      byId("play").setAttribute("aria-pressed", String(on));
      byId("play").setAttribute("aria-label", on ? "Pause" : "Play");
      document.body.classList.toggle("playing", on);
    }

    redraw(of) {
      for (const task of this.loop?.tasks ?? []) if (task.of === of) this.loop.touch(task);
    }

    do(what) {
      if (this.ready && !this.ended) this.socket.say({ do: what });
    }

    reseed() {
      if (this.ready && !this.ended) this.socket.say({ do: "seed", value: (this.seed + 1) % 2 ** 31 });
    }

    // Learning rates and speed: nothing begins again.
    change(changes) {
      const before = this.chosen().map((name) => this.rateOf(name));
      this.settings = { ...this.settings, ...changes };
      Dom.notice("");
      if ("speed" in changes) this.socket.sayLately("speed", { do: "speed", value: changes.speed });
      else if ("rate" in changes) this.socket.sayLately("rate", { do: "rate", value: changes.rate });
      else this.chosen().forEach((name, place) => this.rateOf(name) !== before[place] && this.socket.sayLately(`rate ${name}`, { do: "rate", rule: name, value: this.rateOf(name) }));
      this.show();
    }

    show() {
      const { settings, pageData } = this, own = Object.keys(settings.rates).length > 0, speed = pageData.speeds[settings.speed];
      Dials.set("speed", settings.speed, Dials.speedWords(speed ?? Infinity));
      Dials.set("rate", Math.log10(settings.rate), own ? "by rule" : Dials.rateWords(settings.rate));
      byId("rate").disabled = own;
      byId("own-rates").checked = own;
      Dials.showRates(this, own);
    }

    showWords() {
      const { data, network, batch, optimizer, stepsInEpoch, rules, score } = this.pageData, count = (number) => number.toLocaleString("en");
      byId("data-name").textContent = data.title;
      byId("data-told").textContent = `${count(data.train)} examples train, ${count(data.validation)} validate${data.judged < data.validation ? `, of which the first ${count(data.judged)} are looked at` : ""}. Inputs of ${data.shape.join(" × ")}${data.classes > 1 ? `, ${data.classes} classes` : ""}.`;
      byId("network-told").textContent = network.told;
      byId("parameters").textContent = `${count(network.parameters)} numbers are trained.`;
      byId("training-told").textContent = `Batches of ${count(batch)}, ${count(stepsInEpoch)} steps an epoch, ${optimizer}.`;
      byId("score-name").textContent = score[0].toUpperCase() + score.slice(1);
      const notes = Object.values(rules).flatMap(({ title, notes: own }) => own.map((note) => `${title}: ${note}.`));
      byId("curves-told").textContent = [`Training: ${count(data.sampled)} training examples; batches: those learned from since the last frame, before each step. Angles and norm ratios are of the first training examples; where there is none, the gradient is too near to zero for its arithmetic to measure one.`, ...notes].join(" ");
    }

    showLegend() {
      byId("legend").replaceChildren(...this.cards.map(({ name, title }) => {
        const button = Dom.make("button", { type: "button", "aria-pressed": "false" }, Dom.swatch(name), title);
        button.addEventListener("click", () => {
          const on = button.getAttribute("aria-pressed") !== "true";
          for (const other of byId("legend").children) other.setAttribute("aria-pressed", String(on && other === button));
          for (const curve of this.panels.all) curve.front = on ? name : null;
          this.loop.touchAll();
        });
        return button;
      }));
    }

    say() {
      Dom.say([`Epoch ${this.epoch}, step ${this.step}.`, ...this.cards.map((card) => card.sentence())].join(" "));
    }

    summary() {
      const { network, optimizer, batch } = this.pageData, { rate, rates } = this.settings;
      return `${network.told}, ${optimizer}, learning rate ${Object.keys(rates).length ? "by rule" : rate}, batches of ${batch}, seed ${this.seed}, ${this.step} steps`;
    }
  }

  return { App };
})();
