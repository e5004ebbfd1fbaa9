"use strict";

// Surface: what a network answers at every place of the plane, with the line where it is undecided, and the points.

const Surface = (() => {
  const COARSE = 30, FINE = 60; // places in each direction, while training goes on and while it rests
  const grids = new Map();

  // The places, row by row from the top; the outermost are on the picture's edges.
  function grid(count) {
    if (!grids.has(count)) {
      const points = new Float32Array(2 * count * count), at = (place) => Datasets.EXTENT * ((2 * place) / (count - 1) - 1);
      for (let row = 0; row < count; row++) {
        for (let column = 0; column < count; column++) points.set([at(column), -at(row)], 2 * (row * count + column));
      }
      grids.set(count, points);
    }
    return grids.get(count);
  }

  // The line of 1/2 through a grid of probabilities (marching squares): each cell's crossings are joined.
  function contour(context, values, count, size) {
    const step = size / (count - 1);
    context.beginPath();
    for (let row = 0; row < count - 1; row++) {
      for (let column = 0; column < count - 1; column++) {
        const corner = row * count + column;
        const a = values[corner] - 0.5, b = values[corner + 1] - 0.5, c = values[corner + count + 1] - 0.5, d = values[corner + count] - 0.5;
        const above = (a > 0) + (b > 0) + (c > 0) + (d > 0);
        if (above === 0 || above === 4) continue;
        const crossings = [];
        if (a > 0 !== b > 0) crossings.push(column + a / (a - b), row);
        if (b > 0 !== c > 0) crossings.push(column + 1, row + b / (b - c));
        if (d > 0 !== c > 0) crossings.push(column + d / (d - c), row + 1);
        if (a > 0 !== d > 0) crossings.push(column, row + a / (a - d));
        for (let one = 0; one + 3 < crossings.length; one += 4) {
          context.moveTo(crossings[one] * step, crossings[one + 1] * step);
          context.lineTo(crossings[one + 2] * step, crossings[one + 3] * step);
        }
      }
    }
    context.stroke();
  }

  class Surface {
    constructor(canvas, { redraw, add, remove }) {
      this.sheet = new Canvas.Sheet(canvas, redraw);
      Object.assign(this, { redraw, add, remove, cursor: null, drawing: false, pictures: new Map() });
      canvas.addEventListener("pointerdown", (event) => this.point(event));
      canvas.addEventListener("keydown", (event) => this.key(event));
      canvas.addEventListener("blur", () => this.drawing && redraw());
    }

    point(event) {
      if (!this.drawing || event.button > 0) return;
      const [x, y] = this.sheet.place(event), { EXTENT } = Datasets;
      const place = [((2 * x) / this.sheet.width - 1) * EXTENT, (1 - (2 * y) / this.sheet.height) * EXTENT];
      if (event.altKey) this.remove(place);
      else this.add(place);
    }

    key(event) {
      const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      if (!this.drawing || !(move || ["0", "1", "Delete", "Backspace"].includes(event.key))) return;
      event.preventDefault();
      this.cursor ??= [0, 0];
      if (move) this.cursor = this.cursor.map((value, axis) => Math.max(-2.45, Math.min(2.45, value + 0.1 * move[axis] * (event.shiftKey ? 5 : 1))));
      else if (event.key === "0" || event.key === "1") this.add(this.cursor, Number(event.key));
      else this.remove(this.cursor);
      this.redraw();
    }

    // `predict(points)`, or null where the rule cannot learn this; its answers are asked for once for each `moment`.
    draw(predict, data, { fine, test, moment }) {
      const context = this.sheet.clear();
      if (!context) return;
      const palette = Palette.now(), { width: size } = this.sheet, count = fine ? FINE : COARSE;
      if (predict) {
        if (this.moment !== moment || this.values.length !== count * count) Object.assign(this, { moment, values: predict(grid(count)) });
        const { values } = this;
        this.paint(context, values, count, size, palette);
        context.lineWidth = 1.6;
        context.lineCap = "round";
        context.strokeStyle = palette.ink;
        contour(context, values, count, size);
      }
      this.drawPoints(context, data, palette, test);
      if (this.drawing && this.cursor && document.activeElement === this.sheet.canvas) this.drawCursor(context, palette);
    }

    paint(context, values, count, size, palette) {
      if (!this.pictures.has(count)) {
        const picture = Canvas.hidden(count, count);
        this.pictures.set(count, { picture, image: picture.getContext("2d").createImageData(count, count) });
      }
      const { picture, image } = this.pictures.get(count), pixels = new Uint32Array(image.data.buffer), last = Palette.SHADES - 1;
      for (let place = 0; place < pixels.length; place++) pixels[place] = palette.surface[(values[place] * last + 0.5) | 0];
      picture.getContext("2d").putImageData(image, 0, 0);
      context.imageSmoothingEnabled = true;
      context.imageSmoothingQuality = "high";
      context.drawImage(picture, 0.5, 0.5, count - 1, count - 1, 0, 0, size, size);
    }

    // Class 0 is round and class 1 a diamond; test points, where they are shown, are open.
    drawPoints(context, data, palette, test) {
      const { width: size } = this.sheet, count = data.targets.length;
      const radius = Math.max(1.7, Math.min(3.4, size / 70)) * (count > 350 ? 0.8 : 1);
      for (const label of [0, 1]) {
        for (const open of test ? [true, false] : [false]) {
          context.beginPath();
          for (let row = open ? data.training : 0; row < (open ? count : data.training); row++) {
            if (data.targets[row] !== label) continue;
            const x = (data.inputs[2 * row] / Datasets.EXTENT + 1) * 0.5 * size, y = (1 - data.inputs[2 * row + 1] / Datasets.EXTENT) * 0.5 * size;
            mark(context, label, x, y, open ? radius * 0.8 : radius);
          }
          context.lineWidth = open ? 1.2 : 0.9;
          context.strokeStyle = open ? palette.classes[label] : palette.paper;
          context.fillStyle = open ? palette.faint : palette.classes[label];
          context.fill();
          context.stroke();
        }
      }
    }

    drawCursor(context, palette) {
      const { width: size } = this.sheet;
      const [x, y] = [(this.cursor[0] / Datasets.EXTENT + 1) * 0.5 * size, (1 - this.cursor[1] / Datasets.EXTENT) * 0.5 * size];
      context.lineWidth = 1.5;
      context.strokeStyle = palette.ink;
      context.beginPath();
      context.arc(x, y, 7, 0, 2 * Math.PI);
      for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
        context.moveTo(x + 4 * dx, y + 4 * dy);
        context.lineTo(x + 11 * dx, y + 11 * dy);
      }
      context.stroke();
    }
  }

  function mark(context, label, x, y, radius) {
    if (label) {
      const half = radius * 1.25;
      context.moveTo(x, y - half);
      context.lineTo(x + half, y);
      context.lineTo(x, y + half);
      context.lineTo(x - half, y);
      context.closePath();
    } else {
      context.moveTo(x + radius, y);
      context.arc(x, y, radius, 0, 2 * Math.PI);
    }
  }

  return { Surface, mark };
})();
