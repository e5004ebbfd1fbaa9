"use strict";

// Panels: the curves, and what they are of.

const Panels = (() => {
  const { byId } = Dom;
  const short = (tick) => String(Number(tick.toPrecision(3)));
  const ratio = (power) => (Number.isFinite(power) ? String(Number((10 ** power).toPrecision(2))) : "–");
  const LOSSES = { validationLoss: "Validation", sampleLoss: "Training", batches: "Batches" };
  const SCORES = { validationScore: "Validation", sampleScore: "Training" };

  class Panels {
    // `app`: {pageData, history, scoreWords, redraw(of)}.
    constructor(app) {
      Object.assign(this, { app, lossOf: "validationLoss", scoreOf: "validationScore", along: "layers", layer: 0 });
      const { rules } = app.pageData;
      this.hidden = Object.fromEntries(Object.entries(rules).map(([name, { hidden }]) => [name, hidden]));
      this.layers = Object.values(rules).map(({ layers }) => layers).reduce((most, one) => (one.length > most.length ? one : most), []);
      this.axis = { name: "", from: 0.7, least: this.layers.length + 0.3, whole: true, heading: (step) => this.layers[step - 1] ?? `layer ${step}` };
      this.loss = this.make("loss-curve", { measure: (one) => one[this.lossOf], show: Words.loss, label: short, range: lossRange });
      const score = app.isShare ? { label: (tick) => `${Math.round(100 * tick)} %`, range: () => [0, 1] } : { label: short, range: lossRange };
      this.score = this.make("score-curve", { measure: (one) => one[this.scoreOf], show: app.scoreWords, ...score });
      const of = (kind, kinds) => (one) => (this.along === "layers" ? one[kind] : one[kinds][this.layer]);
      this.byLayer = [
        this.make("angle-curve", { measure: of("angle", "angles"), show: Words.degrees, label: (tick) => `${tick}°`, range: (values) => [0, Math.max(100, ...values)], lines: [90] }),
        this.make("ratio-curve", { measure: (one) => Math.log10(of("ratio", "ratios")(one)), show: ratio, label: ratio, range: (values) => [Math.min(-1, ...values), Math.max(1, ...values)], lines: [0] }),
        this.make("active-curve", { measure: (one) => (this.along === "layers" ? one.active : one.active[this.activation(one)]), show: Words.percent, label: (tick) => `${Math.round(100 * tick)} %`, range: () => [0, 1] }),
      ];
      Dom.options(byId("layer"), this.layers.map((_, layer) => layer), 0, (layer) => this.layers[layer]);
      byId("layer").addEventListener("change", ({ target }) => this.choose({ layer: Number(target.value) }));
      this.choose({});
    }

    // The place of the chosen layer's activation among the hidden ones; all rules have the same where their networks are.
    activation() {
      return Object.values(this.hidden)[0].indexOf(this.layer);
    }

    make(id, options) {
      const canvas = byId(id), { rules } = this.app.pageData;
      const told = (rows, event) => Dom.tip(rows && rows.map((row, place) => (place ? [rules[row[0]].title, row[1], row[0]] : row)), event, canvas);
      const curve = new Curves.Curves(canvas, { ...options, redraw: () => this.app.redraw(curve), told });
      return curve;
    }

    get all() {
      return [this.loss, this.score, ...this.byLayer];
    }

    draw(curve) {
      const { history, pageData } = this.app, now = this.along === "layers" && this.byLayer.includes(curve);
      curve.axis = now ? this.axis : Curves.EPOCHS;
      curve.draw(now ? Frames.byLayer(history, this.hidden) : history, now ? 1 : pageData.stepsInEpoch);
    }

    choose(changes) {
      Object.assign(this, changes);
      const radios = (id, table, chosen, name) => Dom.radios(byId(id), Object.entries(table).map(([value, label]) => ({ value, label })), chosen, (value) => this.choose({ [name]: value }));
      radios("loss-of", LOSSES, this.lossOf, "lossOf");
      radios("score-of", SCORES, this.scoreOf, "scoreOf");
      radios("along", { layers: "Now, by layer", epochs: "Over the epochs" }, this.along, "along");
      byId("layer-field").hidden = this.along === "layers";
      for (const curve of this.all) {
        curve.at = null;
        this.app.redraw(curve);
      }
    }
  }

  // All of it, but for what is far above most.
  function lossRange(values, last) {
    const middle = [...values].sort((a, b) => a - b)[values.length >> 1] ?? 1;
    return [0, 1.05 * Math.max(0.1, ...last, Math.min(Math.max(4, 3 * middle), Math.max(0, ...values)))];
  }

  return { Panels };
})();
