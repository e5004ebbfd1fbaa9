"use strict";

// Neuron app: settings of each model, its controls, and the loop that plays it.

const NeuronApp = (() => {
  const { byId, make } = Dom;
  const SPEEDS = [1, 5, 20, 50, 200], USUAL_SPEED = 3; // simulated milliseconds a second
  const TITLES = { "hodgkin-huxley": "Hodgkin–Huxley", lif: "Leaky integrate-and-fire", pair: "Two neurons", network: "Network" };

  const weight = (title, value, limit) => ({ title, unit: "ms", value, low: -limit, high: limit, step: limit / 40 });
  const WEIGHTS = {
    pair: { w_21: weight("Weight from the first to the second", 0.004, 0.02), w_12: weight("Weight from the second to the first", -0.004, 0.02) },
    network: { w_exciting: weight("Weight of those that excite", 0.001, 0.004), w_inhibiting: weight("Weight of those that inhibit", -0.004, 0.016) },
  };

  // All sliders of a model: the current, its dials, its weights. Seconds are shown as milliseconds.
  const dialsOf = (name, model) => ({ current: model.current, ...WEIGHTS[name], ...model.dials });
  const words = (value, unit) => `${Number((["s", "ms"].includes(unit) ? value * 1000 : value).toPrecision(4))} ${unit === "s" ? "ms" : unit}`.replaceAll("-", "−");

  class App {
    constructor(data) {
      Object.assign(this, { data, frames: [] });
      this.usual = Object.fromEntries(Object.entries(data.models).map(([name, model]) =>
        [name, Object.fromEntries(Object.entries(dialsOf(name, model)).map(([dial, { value }]) => [dial, value]))]));
      this.settings = structuredClone(this.usual);
      this.speed = USUAL_SPEED;
      this.loop = new Loop.Loop({ step: () => this.session.step(), stepped: () => this.tell() });
      Dom.radios(byId("models"), Object.keys(data.models).map((value) => ({ value, label: TITLES[value] })), null, (name) => this.open(name));
      byId("speed").addEventListener("input", ({ target }) => this.pace(Number(target.value)));
      byId("lesson").addEventListener("change", ({ target }) => this.learn(Number(target.value)));
      const problem = this.follow(location.hash);
      if (problem) Dom.notice(problem);
    }

    open(name, settings = {}) {
      const model = this.data.models[name];
      this.name = name;
      this.settings[name] = { ...this.settings[name], ...settings };
      this.session = new NeuronSession.Session(name, model, () => this.loop.touchAll());
      const pictures = Pictures.build(byId("pictures"), this.session);
      this.pictures = pictures;
      this.loop.tasks = pictures.map(({ drawing }) => ({ draw: () => drawing.draw(), changed: true }));
      for (const input of byId("models").querySelectorAll("input")) input.checked = input.value === name;
      this.controls();
      this.lessons();
      this.pace(this.speed);
      this.apply();
      this.tell(true);
    }

    controls() {
      const dials = dialsOf(this.name, this.data.models[this.name]);
      byId("dials").replaceChildren(...Object.entries(dials).map(([name, { title, unit, low, high, step }]) => {
        const told = make("output", {});
        const input = make("input", { type: "range", min: String(low), max: String(high), step: String(step), "data-dial": name, input: ({ target }) => this.change({ [name]: Number(target.value) }) });
        return make("label", { class: "slider" }, make("span", {}, `${title} `, told), input);
      }));
      this.show();
    }

    show() {
      const dials = dialsOf(this.name, this.data.models[this.name]), settings = this.settings[this.name];
      for (const input of byId("dials").querySelectorAll("input")) {
        const told = words(settings[input.dataset.dial], dials[input.dataset.dial].unit);
        input.value = settings[input.dataset.dial];
        input.previousElementSibling.querySelector("output").textContent = told;
        input.setAttribute("aria-valuetext", told);
      }
    }

    change(settings) {
      Object.assign(this.settings[this.name], settings);
      this.show();
      this.apply();
    }

    apply() {
      this.session.set(this.settings[this.name]);
      this.keep();
      this.loop.touchAll();
    }

    pace(speed) {
      this.speed = speed;
      byId("speed").value = String(speed);
      byId("speed-told").textContent = `${SPEEDS[speed]} ms/s`;
      this.loop.speed = SPEEDS[speed] / 1000 / this.session.sample;
      this.keep();
    }

    play(on) {
      this.loop.play(on);
      document.body.classList.toggle("playing", on);
      byId("play").setAttribute("aria-pressed", String(on));
      byId("play").setAttribute("aria-label", on ? "Pause" : "Play");
      this.tell(true);
    }

    advance(seconds) {
      this.play(false);
      for (let k = Math.round(seconds / this.session.sample); k > 0; k--) this.session.step();
      this.tell(true);
      this.loop.touchAll();
    }

    restart() {
      this.session.restart();
      this.apply();
      this.tell(true);
    }

    // Time and spikes in numbers, four times a second at most while it plays.
    tell(now = false) {
      if (!now && performance.now() - this.toldAt < 250) return;
      this.toldAt = performance.now();
      const { cells, rates, spikes, window } = this.session;
      byId("time").textContent = `${(cells.time * 1000).toFixed(0)} ms`;
      const network = this.name === "network", rate = network ? spikes.times.filter((time) => time > cells.time - window).length / Math.min(window, Math.max(cells.time, 1e-9)) / cells.count : rates.at(0, cells.time);
      for (const picture of this.pictures) picture.tell();
      byId("rate").textContent = Number.isFinite(rate) ? `${rate.toFixed(1)} Hz` : "–";
    }

    // Lessons: what to try with this model.
    lessons() {
      const lessons = this.data.lessons[this.name];
      Dom.options(byId("lesson"), lessons.map((_, place) => String(place)), "0", (place) => lessons[place].title);
      this.write(lessons[0]);
    }

    write({ text, question }) {
      byId("lesson-text").textContent = text.join(" ");
      byId("lesson-question").textContent = question;
    }

    learn(place) {
      const lesson = this.data.lessons[this.name][place];
      this.write(lesson);
      this.change({ ...this.usual[this.name], ...lesson.settings });
      this.restart();
      this.play(true);
    }

    // The settings behind the # of the address, and back: a link with anything else is refused whole.
    keep() {
      if (!this.session) return;
      const settings = this.settings[this.name], usual = this.usual[this.name];
      const changed = Object.keys(settings).filter((name) => settings[name] !== usual[name]).map((name) => `${name}=${Number(settings[name].toPrecision(6))}`);
      this.link = `#${[`model=${this.name}`, ...changed, ...(this.speed === USUAL_SPEED ? [] : [`speed=${this.speed}`])].join("&")}`;
    }

    follow(hash) {
      const first = Object.keys(this.data.models)[0];
      const refuse = () => (this.open(first), "The link was not used: it names something that this page does not have.");
      if (hash.length < 2) return this.open(first), "";
      if (hash.length > 1000) return refuse();
      const pairs = hash.slice(1).split("&").map((part) => part.split("="));
      const given = new Map(pairs.filter((pair) => pair.length === 2)), name = given.get("model") ?? first;
      if (given.size !== pairs.length || !Object.hasOwn(this.data.models, name)) return refuse();
      const dials = dialsOf(name, this.data.models[name]), settings = {};
      for (const [key, text] of given) {
        const value = /^-?[0-9.]+(e-?[0-9]+)?$/.test(text) ? Number(text) : NaN;
        if (key === "model") continue;
        if (key === "speed" && Number.isInteger(value) && SPEEDS[value]) this.speed = value;
        else if (Object.hasOwn(dials, key) && value >= dials[key].low && value <= dials[key].high) settings[key] = value;
        else return refuse();
      }
      this.open(name, { ...this.usual[name], ...settings });
      return "";
    }

    copyLink() {
      history.replaceState(null, "", this.link);
      const done = () => Dom.notice("The address of this page now keeps all settings; it was copied.");
      navigator.clipboard?.writeText(location.href).then(done, () => Dom.notice("The address of this page now keeps all settings.")) ?? Dom.notice("The address of this page now keeps all settings.");
      setTimeout(() => Dom.notice(""), 3000);
    }

    // What was recorded as a table, the oldest sample first; of a network its spikes.
    table() {
      const { rings, spikes, sample, cells } = this.session, names = Object.keys(rings);
      if (!names.length) return ["neuron,time (s)", ...spikes.times.map((time, place) => `${spikes.cells[place]},${time.toPrecision(7)}`)].join("\r\n") + "\r\n";
      const rows = [`time (s),${names.join(",")}`], count = rings[names[0]].count;
      for (let age = count - 1; age >= 0; age--) rows.push([cells.time - age * sample, ...names.map((name) => rings[name].back(age))].map((one) => (Number.isFinite(one) ? Number(one.toPrecision(7)) : "")).join(","));
      return rows.join("\r\n") + "\r\n";
    }

    // All drawings below one another.
    picture() {
      const canvases = this.pictures.map(({ drawing }) => drawing.sheet.canvas), gap = 48;
      const width = Math.max(...canvases.map((one) => one.width)), height = canvases.reduce((sum, one) => sum + one.height + gap, gap);
      const made = Canvas.hidden(width, height), context = made.getContext("2d"), palette = Palette.now();
      context.fillStyle = palette.paper;
      context.fillRect(0, 0, width, height);
      context.fillStyle = palette.ink;
      context.font = `600 24px ${Canvas.FONT}`;
      let y = 36;
      this.pictures.forEach(({ title, drawing: { sheet } }) => {
        context.fillText(title, 12, y);
        context.drawImage(sheet.canvas, 0, y + 6);
        y += sheet.canvas.height + gap;
      });
      return made;
    }
  }

  return { App, SPEEDS };
})();
