"use strict";

// Curves: one measure of all rules over the epochs. The first seed of a rule is a thick line in the rule's color and dashes, its
// other seeds are thin lines.

const Curves = (() => {
  const LEFT = 44, RIGHT = 10, TOP = 8, BOTTOM = 22;

  // What curves go along: its name, its begin and least end, whether there are places between whole ones (else values are marked
  // by points), and a place of it in words.
  const EPOCHS = { name: "epoch", from: 0, least: 10, whole: false, heading: (step, inEpoch) => `Epoch ${(step / inEpoch).toFixed(1)}, step ${step}` };

  // Even numbers between two ends, about `count` of them.
  function ticks(from, to, count) {
    const rough = (to - from) / count, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= rough);
    const found = [];
    for (let place = Math.ceil(from / step - 1e-9); place * step <= to + step * 1e-9; place++) found.push(place * step);
    return found;
  }

  class Curves {
    // `measure(record)` is the number that is drawn; `range(values, last)` gives [from, to], of all
    // values and of the last one of each run; `show(value)` is a value in words; `axis`
    // is what the curves go along, by default `EPOCHS`.
    constructor(canvas, { measure, range, show, label, lines = [], axis = EPOCHS, redraw, told }) {
      this.sheet = new Canvas.Sheet(canvas, redraw);
      Object.assign(this, { canvas, measure, range, show, label, lines, axis, redraw, told, at: null, front: null });
      canvas.addEventListener("pointermove", (event) => this.read(this.placeOf(this.sheet.place(event)[0]), event));
      canvas.addEventListener("pointerleave", () => this.read(null));
      canvas.addEventListener("blur", () => this.read(null));
      canvas.addEventListener("keydown", (event) => {
        const step = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
        if (!step || !this.history) return;
        event.preventDefault();
        const last = this.history.steps.length - 1;
        this.read(Math.max(0, Math.min(last, (this.at ?? last) + step)), event);
      });
    }

    draw(history, stepsInEpoch) {
      Object.assign(this, { history, stepsInEpoch });
      const context = this.sheet.clear();
      if (!context || !history) return;
      const { width, height } = this.sheet, palette = Palette.now();
      const until = Math.max(history.steps[history.steps.length - 1] ?? 0, this.axis.least);
      const values = [...history.runs.values()].flatMap((seeds) => seeds.flatMap((records) => records.map(this.measure))).filter(Number.isFinite);
      const last = [...history.runs.values()].flatMap((seeds) => seeds.map((records) => (records.length ? this.measure(records[records.length - 1]) : NaN)));
      const [low, high] = this.range(values, last.filter(Number.isFinite));
      const { from } = this.axis;
      this.x = (step) => LEFT + ((width - LEFT - RIGHT) * (step - from)) / (until - from);
      this.y = (value) => TOP + (height - TOP - BOTTOM) * (1 - (value - low) / (high - low)); // what is outside leaves the frame
      this.axes(context, palette, { until: until / stepsInEpoch, low, high });
      context.save();
      context.beginPath();
      context.rect(LEFT, TOP - 3, width - LEFT, height - TOP - BOTTOM + 6);
      context.clip();
      // Thin lines first, then the thick ones.
      for (const thick of [false, true]) {
        for (const [name, seeds] of history.runs) seeds.forEach((records, seed) => (seed === 0) === thick && this.line(context, palette, name, records, thick));
      }
      if (this.at !== null) this.cross(context, palette);
      context.restore();
    }

    axes(context, palette, { until, low, high }) {
      const { width, height } = this.sheet;
      context.font = `11px ${Canvas.FONT}`;
      context.lineWidth = 1;
      context.textBaseline = "middle";
      context.textAlign = "right";
      for (const tick of ticks(low, high, Math.max(2, height / 48))) {
        const y = Math.round(this.y(tick)) + 0.5;
        context.strokeStyle = palette.line;
        context.beginPath();
        context.moveTo(LEFT, y);
        context.lineTo(width - RIGHT, y);
        context.stroke();
        context.fillStyle = palette.soft;
        context.fillText(this.label(tick), LEFT - 6, y);
      }
      context.textAlign = "center";
      context.textBaseline = "alphabetic";
      for (const tick of ticks(this.axis.from, until, Math.max(2, width / 90))) {
        if (this.axis.whole && !Number.isInteger(tick)) continue;
        const words = Number(tick.toPrecision(3)).toLocaleString("en"), x = this.x(tick * this.stepsInEpoch);
        const end = x + context.measureText(words).width / 2, left = width - RIGHT - context.measureText(this.axis.name).width;
        if (end < left - 6 || tick === 0 || !this.axis.name) context.fillText(words, x, height - 6);
      }
      context.textAlign = "right";
      context.fillText(this.axis.name, width - RIGHT, height - 6);
      context.setLineDash([2, 3]);
      context.strokeStyle = palette.soft;
      for (const line of this.lines) {
        context.beginPath();
        context.moveTo(LEFT, Math.round(this.y(line)) + 0.5);
        context.lineTo(width - RIGHT, Math.round(this.y(line)) + 0.5);
        context.stroke();
      }
      context.setLineDash([]);
    }

    line(context, palette, name, records, thick) {
      context.beginPath();
      let on = false;
      records.forEach((record, place) => {
        const value = this.measure(record);
        if (Number.isFinite(value)) context[on ? "lineTo" : "moveTo"](this.x(this.history.steps[place]), this.y(value));
        on = Number.isFinite(value);
      });
      context.strokeStyle = palette.rule(name);
      context.lineJoin = "round";
      context.lineWidth = thick ? (this.front === name ? 3 : 2) : 1;
      context.globalAlpha = (thick ? 1 : 0.38) * (this.front && this.front !== name ? 0.18 : 1);
      context.setLineDash(thick ? palette.dash(name) : []);
      context.stroke();
      context.setLineDash([]);
      context.fillStyle = palette.rule(name);
      if (this.axis.whole) records.forEach((record, place) => Number.isFinite(this.measure(record)) && this.point(context, this.x(this.history.steps[place]), this.y(this.measure(record)), 2.5));
      context.globalAlpha = 1;
    }

    point(context, x, y, size) {
      context.beginPath();
      context.arc(x, y, size, 0, 2 * Math.PI);
      context.fill();
    }

    cross(context, palette) {
      const x = this.x(this.history.steps[this.at]);
      context.strokeStyle = palette.soft;
      context.lineWidth = 1;
      context.beginPath();
      context.moveTo(x, TOP);
      context.lineTo(x, this.sheet.height - BOTTOM);
      context.stroke();
      for (const [name, [records]] of this.history.runs) {
        const value = this.measure(records[this.at]);
        if (!Number.isFinite(value)) continue;
        context.fillStyle = palette.rule(name);
        context.strokeStyle = palette.paper;
        this.point(context, x, this.y(value), 3.5);
        context.stroke();
      }
    }

    // The record nearest to a place from the left edge.
    placeOf(x) {
      if (!this.history?.steps.length || !this.x) return null;
      let found = 0;
      this.history.steps.forEach((step, place) => {
        if (Math.abs(this.x(step) - x) < Math.abs(this.x(this.history.steps[found]) - x)) found = place;
      });
      return found;
    }

    read(at, event = null) {
      this.at = at;
      const rows = at === null ? [] : [...this.history.runs].map(([name, [records]]) => [name, this.show(this.measure(records[at]))]);
      const step = at === null ? 0 : this.history.steps[at];
      this.told(at === null ? "" : [this.axis.heading(step, this.stepsInEpoch), ...rows], event);
      this.redraw();
    }
  }

  return { Curves, ticks, EPOCHS };
})();
