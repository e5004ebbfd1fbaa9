"use strict";

// Cards: one for each rule: its decision surface, its network, its scores.

const Cards = (() => {
  const { make } = Dom;
  const { percent, loss, degrees } = Words;

  // Of a rule that has settings of its own in `ascribe.train`, which here are those of all rules.
  function forcedWords({ learning_rate: rate, batch_size: batch }) {
    const own = [...(rate === undefined ? [] : [`a learning rate of ${rate}`]), ...(batch === undefined ? [] : [batch === 1 ? "single examples" : `batches of ${batch}`])];
    return `As published, and in ascribe.train, it learns with ${own.join(" and from ")}; here with the page's settings.`;
  }

  // Of a rule whose network is given other inputs than those of the others.
  function encodedWords(names) {
    return `Its network is given ${names.length} inputs (${names.map(({ name }) => name).join("; ")}), so it begins with weights of its own.`;
  }

  class Card {
    // `app`: {pageData, session, redraw(task), addPoint, removePoint, drag, settings}.
    constructor(name, app) {
      const { title, summary, source, forced = {}, encoding = [] } = app.pageData.rules[name];
      Object.assign(this, { name, app, title, encoding });
      this.surfaceCanvas = make("canvas", { class: "surface", tabindex: "0", role: "img" });
      this.networkCanvas = make("canvas", { class: "network", tabindex: "0", role: "application", "aria-label": `Network of ${title}: arrow keys go from unit to unit` });
      this.toggle = make("span", { class: "choices small", role: "radiogroup", "aria-label": `Lines of ${title}`, "data-name": `lines-${name}` });
      this.scores = ["loss", "accuracy", "angle"].map((word) => [make("dt", {}, word), make("dd", {}, "–")]);
      this.problem = make("p", { class: "problem", hidden: true });
      this.element = make("article", { class: "card", "data-rule": name, "aria-label": title },
        Dom.swatch(name, "band"),
        make("h2", { title: source ? `${title}: ${source}` : title }, title),
        make("div", { class: "about" }, make("p", { class: "summary", tabindex: "0", role: "note", "aria-label": `About ${title}` }, summary)),
        make("div", { class: "pictures" },
          make("div", { class: "frame" }, this.surfaceCanvas, this.problem),
          make("div", { class: "side" },
            make("dl", { class: "scores" }, ...this.scores.map((pair) => make("div", {}, ...pair))),
            make("div", { class: "lines" }, this.toggle),
            this.networkCanvas)),
        ...Object.keys(forced).length ? [make("p", { class: "hint forced" }, forcedWords(forced))] : [],
        this.inputs = make("p", { class: "hint encoded", hidden: true }));
      this.surface = new Surface.Surface(this.surfaceCanvas, { redraw: () => app.redraw(this.surface), add: app.addPoint, remove: app.removePoint });
      this.network = new Network.Network(this.networkCanvas, {
        redraw: () => app.redraw(this.network),
        told: (told, event) => Dom.tip(told, event, this.networkCanvas),
        dragged: (matrix, values, place) => {
          this.learner.setFeedback(matrix, Float32Array.from(values));
          app.drag([name, matrix, place].join(":"), values[place]);
        },
      });
    }

    // The rule's runs in a new session.
    begin(run) {
      this.run = run;
      this.learner = run.learners[0] ?? null;
      this.problem.hidden = !run.problem;
      this.problem.textContent = run.problem;
      this.inputs.hidden = !this.encoding.length;
      if (this.encoding.length) this.inputs.textContent = encodedWords(Features.names(this.app.session.plan.inputs, this.app.session.data.columns, this.encoding));
      this.element.classList.toggle("empty", !this.learner);
      const feedback = this.learner ? this.app.session.read(this.learner).feedback : [];
      if (!feedback.length) this.network.shows = "weights";
      const shown = [{ value: "weights", label: "Weights" }, { value: "feedback", label: "Feedback", disabled: !feedback.length, title: feedback.length ? "The weights that carry the error back: drag one" : "This rule has no feedback weights" }];
      Dom.radios(this.toggle, shown, this.network.shows, (value) => {
        this.network.shows = value;
        this.network.choose(null);
      });
      this.surface.drawing = this.app.settings.data === "drawn";
      this.surfaceCanvas.classList.toggle("pen", this.surface.drawing);
      this.network.chosen = null;
      this.readAt = null;
    }

    drawSurface(fine) {
      const { data } = this.app.session;
      this.surface.draw(this.learner && ((points) => this.learner.predict(this.app.session.inputsAt(points))), data, { fine, test: this.app.settings.test, moment: this.moment() });
    }

    // What tells one state of the learner from another: it is asked only when it has changed.
    moment() {
      return `${this.app.session.number} ${this.app.session.steps}`;
    }

    drawNetwork() {
      const { session } = this.app;
      if (!this.learner || !session.probe.targets.length) return this.network.sheet.clear();
      if (this.readAt !== this.moment()) {
        this.readAt = this.moment();
        this.reading = session.read(this.learner);
        this.answers = this.learner.units?.(session.inputsAt(Network.places)) ?? null;
      }
      this.network.draw(this.reading, this.answers, Features.names(session.plan.inputs, session.data.columns, this.app.pageData.rules[this.name].encoding));
      return null;
    }

    tell(layer) {
      const record = this.app.session.history.last(this.name);
      const diverged = this.run.diverged[0];
      const words = record ? [loss(record.testLoss), percent(record.accuracy), degrees(record.angles[layer])] : ["–", "–", "–"];
      this.scores.forEach(([, value], place) => (value.textContent = words[place]));
      this.scores[2][0].textContent = `angle${"₁₂₃₄₅₆₇₈₉"[layer]}`;
      this.scores[2][0].title = `To the gradient, in layer ${layer + 1}: the curve below has a choice of layers`;
      if (diverged !== null && diverged !== undefined) {
        this.problem.hidden = false;
        this.problem.textContent = `Diverged at step ${diverged}: try a smaller learning rate.`;
      }
      this.surfaceCanvas.setAttribute("aria-label", `Decision surface of ${this.title}: loss ${words[0]}, accuracy ${words[1]}`);
    }

    sentence() {
      const record = this.app.session.history.last(this.name);
      return record ? `${this.title}: loss ${loss(record.testLoss)}, accuracy ${percent(record.accuracy)}.` : "";
    }
  }

  return { Card, percent, loss, degrees };
})();
