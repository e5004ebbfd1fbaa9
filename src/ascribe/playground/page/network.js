"use strict";

// Network: a network as units and lines. A line is a weight, or a feedback weight, which can be dragged; its width and color
// are its value. A unit's square is what the unit answers in the plane; one that is the same everywhere is crossed out.

const Network = (() => {
  const SIDE = 10; // places in each direction of a unit's square
  const LEVELS = 8; // widths of lines that are told apart
  const DENSE = 500; // lines of a layer from which on only the larger ones are drawn
  const REACH = 7;
  const CONSTANT = 1e-6;

  const places = (() => {
    const points = new Float32Array(2 * SIDE * SIDE), at = (place) => Datasets.EXTENT * ((2 * place + 1) / SIDE - 1);
    for (let row = 0; row < SIDE; row++) for (let column = 0; column < SIDE; column++) points.set([at(column), -at(row)], 2 * (row * SIDE + column));
    return points;
  })();

  // Which hidden layer's units receive by a feedback matrix (0 is the first), whether straight from the outputs, and whether its
  // rows are the senders. A matrix in place of a layer's weights is called as the layer is; it carries to the layer below.
  function placeOf({ name, layer, shape, direct = false, transposed = false }, layers) {
    if (layer !== undefined) return { layer, direct, transposed };
    const place = layers.findIndex((one) => one.name === name);
    return { layer: Math.max(0, place - 1), direct: shape[0] !== layers[Math.max(1, place)].shape[0], transposed: true };
  }

  const rootMeanSquare = (values) => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);

  const number = (value) => {
    if (!Number.isFinite(value)) return "–";
    const size = Math.abs(value);
    return (size !== 0 && (size < 1e-3 || size >= 1e4) ? value.toExponential(1) : value.toFixed(3)).replaceAll("-", "−");
  };

  class Network {
    // `told(text, event)`: of what is under the pointer or chosen by keys (empty text: nothing is);
    // `dragged(name, values, place)`: a feedback matrix got another value at a place.
    constructor(canvas, { redraw, told, dragged }) {
      this.sheet = new Canvas.Sheet(canvas, redraw);
      Object.assign(this, { redraw, told, dragged, shows: "weights", chosen: null, reading: null, pictures: new Map() });
      canvas.addEventListener("pointermove", (event) => this.move(event));
      canvas.addEventListener("pointerleave", () => !this.drag && this.choose(null));
      canvas.addEventListener("pointerdown", (event) => this.press(event));
      for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, () => (this.drag = null));
      canvas.addEventListener("keydown", (event) => this.key(event));
      canvas.addEventListener("blur", () => this.choose(null));
    }

    // `reading`: what a learner's `read` tells; `answers`: its `units` at `places`, or null; `inputs`: their names.
    draw(reading, answers, inputs) {
      Object.assign(this, { reading, answers, inputs });
      const context = this.sheet.clear();
      if (!context || !reading) return;
      const { width, height } = this.sheet, { layers } = reading, palette = Palette.now();
      this.widths = [layers[0].shape[1], ...layers.map((layer) => layer.shape[0])];
      this.layout = Wiring.columns(this.widths, width, height);
      this.lines = this.shows === "weights" ? this.weightLines() : this.feedbackLines();
      this.drawLines(context, palette);
      this.drawUnits(context, palette);
      if (this.chosen) this.mark(context, palette);
    }

    weightLines() {
      return this.reading.layers.flatMap(({ weights, shape: [rows, inputs] }, layer) => {
        const scale = Math.sqrt(inputs) / 2;
        return Array.from(weights, (value, place) => {
          const target = Math.floor(place / inputs), source = place % inputs;
          return { kind: "weight", layer, place, source, target, value, size: value * scale, ends: Wiring.ends(this.layout, layer, layer + 1, source, target) };
        });
      });
    }

    // From the units above, or from the outputs, to the units of a hidden layer.
    feedbackLines() {
      return this.reading.feedback.flatMap((matrix) => {
        const { name, values, shape } = matrix, { layer, direct, transposed } = placeOf(matrix, this.reading.layers);
        const column = layer + 1, above = direct ? this.widths.length - 1 : column + 1;
        const scale = 0.6 / (rootMeanSquare(values) || 1);
        return Array.from(values, (value, place) => {
          const pair = [Math.floor(place / shape[1]), place % shape[1]];
          const [receiver, sender] = transposed ? pair.reverse() : pair;
          return { kind: "feedback", name, layer, place, source: receiver, target: sender, above, value, size: value * scale, ends: Wiring.ends(this.layout, column, above, receiver, sender) };
        });
      });
    }

    drawLines(context, palette) {
      const buckets = Array.from({ length: 2 * LEVELS }, () => []), count = new Map();
      for (const { layer } of this.lines) count.set(layer, (count.get(layer) ?? 0) + 1);
      for (const line of this.lines) {
        const dense = count.get(line.layer) > DENSE;
        const level = Math.min(LEVELS - 1, Math.floor(Math.abs(line.size) * (dense ? 2 : 3)));
        if (dense && level === 0) continue; // what is near zero would only be a haze
        buckets[(line.value < 0 ? 0 : LEVELS) + level].push(line.ends);
      }
      const crowded = this.lines.length > 200 ? 0.72 : 1;
      context.setLineDash(this.shows === "weights" ? [] : [4, 2]);
      // Thick lines come last, so that they are on top.
      for (let level = 0; level < LEVELS; level++) {
        for (const sign of [0, 1]) {
          const bucket = buckets[sign * LEVELS + level];
          if (!bucket.length) continue;
          context.beginPath();
          for (const ends of bucket) Wiring.draw(context, ends);
          context.strokeStyle = palette.signs[sign];
          context.globalAlpha = Math.min(0.95, 0.16 + 0.13 * level + (crowded === 1 ? 0.12 : 0));
          context.lineWidth = crowded * (0.5 + 0.62 * level);
          context.stroke();
        }
      }
      context.globalAlpha = 1;
      context.setLineDash([]);
    }

    drawUnits(context, palette) {
      const last = this.layout.length - 1;
      this.layout.forEach(({ x, size, ys }, column) => {
        const square = column > 0 && column < last ? this.squares(column - 1, palette) : null;
        ys.forEach((y, unit) => {
          const box = [x - size / 2, y - size / 2, size, size];
          context.fillStyle = palette.paper;
          context.fillRect(...box);
          if (square) {
            context.imageSmoothingEnabled = true;
            context.drawImage(square.picture, 0, unit * SIDE, SIDE, SIDE, ...box);
          } else if (column > 0 && column < last) {
            context.globalAlpha = 0.1 + 0.9 * (this.reading.layers[column - 1].activity?.[unit] ?? 0);
            context.fillStyle = palette.ink;
            context.fillRect(...box);
            context.globalAlpha = 1;
          }
          const dead = column > 0 && column < last && this.isConstant(column - 1, unit);
          context.lineWidth = size > 9 ? 1.2 : 0.8;
          context.strokeStyle = dead ? palette.soft : palette.ink;
          context.beginPath();
          if (column === 0 || column === last) {
            context.arc(x, y, size / 2, 0, 2 * Math.PI);
            context.fillStyle = palette.paper;
            context.fill();
          } else context.rect(...box);
          if (dead) {
            context.moveTo(box[0], box[1]);
            context.lineTo(box[0] + size, box[1] + size);
            context.moveTo(box[0] + size, box[1]);
            context.lineTo(box[0], box[1] + size);
          }
          context.stroke();
          if (size >= 13 && (column === 0 || column === last)) this.letter(context, column === 0 ? this.inputs[unit].sign : "p", x, y, palette);
        });
      });
    }

    letter(context, text, x, y, palette) {
      context.fillStyle = palette.ink;
      context.font = `${text === "p" ? "italic " : ""}${text.length > 3 ? 7 : text.length > 2 ? 8 : 10}px ${Canvas.FONT}`;
      context.textAlign = "center";
      context.textBaseline = "middle";
      context.fillText(text, x, y + 0.5);
    }

    isConstant(layer, unit) {
      if (!this.answers) return false;
      const values = this.answers[layer], count = values.length / (SIDE * SIDE);
      for (let place = 1; place < SIDE * SIDE; place++) if (Math.abs(values[place * count + unit] - values[unit]) > CONSTANT) return false;
      return true;
    }

    // One picture with the squares of a layer's units below one another, in shares of each unit's largest answer.
    squares(layer, palette) {
      if (!this.answers) return null;
      const values = this.answers[layer], units = values.length / (SIDE * SIDE);
      const known = this.pictures.get(layer);
      if (known?.units !== units) {
        const picture = Canvas.hidden(SIDE, SIDE * units);
        this.pictures.set(layer, { units, picture, image: picture.getContext("2d").createImageData(SIDE, SIDE * units) });
      }
      const square = this.pictures.get(layer), pixels = new Uint32Array(square.image.data.buffer);
      const half = (Palette.SHADES - 1) / 2;
      for (let unit = 0; unit < units; unit++) {
        let largest = 1e-9;
        for (let place = unit; place < values.length; place += units) largest = Math.max(largest, Math.abs(values[place]));
        for (let place = 0; place < SIDE * SIDE; place++) {
          pixels[unit * SIDE * SIDE + place] = palette.surface[(half + (half * values[place * units + unit]) / largest + 0.5) | 0] ?? palette.surface[0];
        }
      }
      square.picture.getContext("2d").putImageData(square.image, 0, 0);
      return square;
    }

    mark(context, palette) {
      context.strokeStyle = palette.ink;
      if (this.chosen.kind === "unit") {
        const { x, size, ys } = this.layout[this.chosen.column];
        context.lineWidth = 2.4;
        context.strokeRect(x - size / 2 - 2, ys[this.chosen.unit] - size / 2 - 2, size + 4, size + 4);
        return;
      }
      const line = this.find(this.chosen);
      if (!line) return;
      for (const [style, width] of [[palette.paper, 7], [palette.ink, 4.5], [palette.signs[Number(line.value >= 0)], 2.5]]) {
        context.beginPath();
        Wiring.draw(context, line.ends);
        context.strokeStyle = style;
        context.lineWidth = width;
        context.stroke();
      }
    }

    find({ kind, layer, place, name }) {
      return this.lines?.find((line) => line.kind === kind && line.layer === layer && line.place === place && line.name === name);
    }

    choose(chosen, event = null) {
      this.chosen = chosen;
      this.told(chosen ? this.sentence() : "", event);
      this.redraw();
    }

    // What is chosen, in words: [what it is, [name, value]...].
    sentence() {
      const { chosen, reading, layout } = this;
      if (chosen.kind === "unit") return this.unitSentence(chosen);
      const line = this.find(chosen);
      if (!line) return null;
      const unit = (column, place) => (column === 0 ? `input ${this.inputs[place].name}` : column === layout.length - 1 ? "the output" : `unit ${place + 1} of layer ${column}`);
      if (line.kind === "feedback") {
        return [`Feedback weight from ${unit(line.above, line.target)} to ${unit(line.layer + 1, line.source)}`, ["value", number(line.value)], ["", "Drag up or down to change it."]];
      }
      const { credit, backpropagation } = reading.layers[line.layer];
      return [
        `Weight from ${unit(line.layer, line.source)} to ${unit(line.layer + 1, line.target)}`,
        ["value", number(line.value)],
        ["credit here", number(credit[line.place])],
        ["backpropagation would say", number(backpropagation[line.place])],
      ];
    }

    unitSentence({ column, unit }) {
      const { reading, layout } = this;
      if (column === 0) return [`Input ${this.inputs[unit].name}`];
      const { activity, bias } = reading.layers[column - 1], told = bias?.length > unit ? [["bias", number(bias[unit])]] : [];
      if (column === layout.length - 1) return ["The output: the probability of class 1", ...told];
      const active = activity?.[unit];
      const same = this.isConstant(column - 1, unit) ? [["", "The same answer everywhere: it can learn nothing by a slope."]] : [];
      return [`Unit ${unit + 1} of layer ${column}`, ...(active === undefined ? [] : [["active on", `${Math.round(100 * active)} % of points`]]), ...told, ...same];
    }

    move(event) {
      if (!this.layout) return;
      if (this.drag) return this.turn(this.drag.value + ((this.drag.from - event.clientY) / 40) * this.drag.unit, event);
      const [x, y] = this.sheet.place(event);
      const unit = Wiring.nearestUnit(this.layout, x, y);
      const line = unit ? null : Wiring.nearestLine(this.lines, x, y, REACH);
      this.sheet.canvas.classList.toggle("grab", line?.kind === "feedback");
      if (unit) return this.choose({ kind: "unit", ...unit }, event);
      const chosen = line && { kind: line.kind, layer: line.layer, place: line.place, name: line.name };
      if (chosen || this.chosen) this.choose(chosen, event);
    }

    press(event) {
      const line = this.chosen && this.chosen.kind === "feedback" ? this.find(this.chosen) : null;
      if (event.pointerType !== "mouse" && !line) this.move(event);
      if (!line) return;
      event.preventDefault();
      this.sheet.canvas.setPointerCapture(event.pointerId);
      // What 40 pixels stand for: enough for a large weight too to reach the other side of zero.
      this.drag = { from: event.clientY, value: line.value, unit: Math.max(this.unitOf(line), 1.2 * Math.abs(line.value)) };
    }

    // How much of a feedback weight a key stands for, five times: half of what its matrix usually has.
    unitOf({ name }) {
      return 0.5 * (rootMeanSquare(this.reading.feedback.find((one) => one.name === name).values) || 1);
    }

    turn(value, event = null) {
      const matrix = this.reading.feedback.find((one) => one.name === this.chosen.name);
      matrix.values[this.chosen.place] = value;
      this.find(this.chosen).value = value; // the line is drawn with it, and told so now
      this.dragged(matrix.name, matrix.values, this.chosen.place);
      this.choose(this.chosen, event);
    }

    key(event) {
      if (!this.layout || event.ctrlKey || event.metaKey || event.altKey) return;
      const { layout } = this, line = this.chosen && this.chosen.kind !== "unit" ? this.find(this.chosen) : null;
      const step = { ArrowLeft: [-1, 0, 0], ArrowRight: [1, 0, 0], ArrowUp: [0, -1, 0], ArrowDown: [0, 1, 0], PageUp: [0, 0, -1], PageDown: [0, 0, 1] }[event.key];
      if (line?.kind === "feedback" && ["+", "=", "-"].includes(event.key)) {
        event.preventDefault();
        return this.turn(line.value + (event.key === "-" ? -1 : 1) * 0.2 * this.unitOf(line));
      }
      if (event.key === "Escape") return this.choose(null);
      if (!step) return;
      event.preventDefault();
      const wrap = (value, count) => ((value % count) + count) % count;
      const at = this.keyed ?? { column: 1, unit: 0, input: -1 };
      const column = Math.max(0, Math.min(layout.length - 1, at.column + (this.chosen ? step[0] : 0)));
      const unit = wrap(at.unit + (this.chosen ? step[1] : 0), layout[column].ys.length);
      const incoming = this.lines.filter((one) => (one.kind === "weight" ? one.layer + 1 === column && one.target === unit : one.layer + 1 === column && one.source === unit));
      const input = step[2] && incoming.length ? wrap(Math.max(at.input, step[2] > 0 ? -1 : 0) + step[2], incoming.length) : -1;
      this.keyed = { column, unit, input };
      const one = incoming[input];
      this.choose(one ? { kind: one.kind, layer: one.layer, place: one.place, name: one.name } : { kind: "unit", column, unit }, event);
    }
  }

  return { Network, places, number };
})();
