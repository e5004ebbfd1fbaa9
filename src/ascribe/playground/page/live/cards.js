"use strict";

// Cards: one for each rule: its scores, the weights of its first layer, and how all weights are distributed.

const Cards = (() => {
  const { make } = Dom;

  class Card {
    // `app`: {pageData, scoreWords, redraw(task)}.
    constructor(name, app) {
      const { title, summary, source, layers } = app.pageData.rules[name];
      Object.assign(this, { name, app, title, layers, drawn: null });
      this.units = make("canvas", { class: "units", role: "img", "aria-label": `Weights of the first layer of ${title}` });
      this.spread = make("canvas", { class: "spread", role: "img", "aria-label": `Distribution of the weights of ${title}` });
      this.scores = ["loss", app.pageData.score, "angle"].map((word) => [make("dt", {}, word), make("dd", {}, "–")]);
      this.problem = make("p", { class: "problem", role: "status", hidden: true });
      this.element = make("article", { class: "card", "data-rule": name, "aria-label": title },
        Dom.swatch(name, "band"),
        make("h2", { title: source ? `${title}: ${source}` : title }, title),
        make("div", { class: "about" }, make("p", { class: "summary", tabindex: "0", role: "note", "aria-label": `About ${title}` }, summary)),
        make("dl", { class: "scores" }, ...this.scores.map((pair) => make("div", {}, ...pair))),
        this.problem,
        this.first = make("h3", {}, `First layer, ${layers[0]}`), this.units,
        make("h3", {}, layers.length > 1 ? `Weights of the ${layers.length} layers` : "Weights"), this.spread);
      this.unitsSheet = new Canvas.Sheet(this.units, () => app.redraw(this.unitsSheet));
      this.spreadSheet = new Canvas.Sheet(this.spread, () => app.redraw(this.spreadSheet));
    }

    drawUnits() {
      Weights.drawImages(this.unitsSheet, this.drawn?.images);
    }

    drawSpread() {
      Weights.drawHistograms(this.spreadSheet, this.drawn?.histograms, this.layers);
    }

    say(problem) {
      if (this.problem.textContent === problem && this.problem.hidden === !problem) return;
      this.problem.hidden = !problem;
      this.problem.textContent = problem;
    }

    // What the server tells of the rule; returns whether there is anything to be drawn.
    take(told, record) {
      this.say(told.diverged === null ? "" : `Diverged by step ${told.diverged.toLocaleString("en")}: try a smaller learning rate, and restart.`);
      const words = [Words.loss(record.validationLoss), this.app.scoreWords(record.validationScore), Words.degrees(record.angle)];
      this.scores.forEach(([, value], place) => (value.textContent = words[place]));
      if (!told.images) return false;
      this.drawn = told;
      const { count, units } = told.images;
      this.first.textContent = `First layer, ${this.layers[0]}${count < units ? `: ${count} of ${units} units` : ""}`;
      this.units.setAttribute("aria-label", `Weights of the first layer of ${this.title}, the largest ${Number(told.images.scale.toPrecision(2))}`);
      return true;
    }

    sentence() {
      const [loss, score] = this.scores.map(([, value]) => value.textContent);
      return `${this.title}: loss ${loss}, ${this.app.pageData.score} ${score}.`;
    }
  }

  return { Card };
})();
