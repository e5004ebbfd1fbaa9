"use strict";

// Plane: the path of the state through two of its numbers, with the lines on which one of them stands still.

const Plane = (() => {
  class Plane {
    // `across`, `up`: {ring, range, title}; `lines()`: curves [{points: [[x, y]…], title, dash}] to draw below the path.
    constructor(canvas, session, { across, up, lines }) {
      Object.assign(this, { session, across, up, lines });
      this.sheet = new Canvas.Sheet(canvas, () => session.touch());
    }

    draw() {
      const { session, across, up } = this, horizontal = session.rings[across.ring], vertical = session.rings[up.ring];
      const frame = Axes.draw(this.sheet, { x: across.range, y: up.range, across: across.title, up: up.title });
      if (!frame) return;
      const { context, palette } = frame;
      for (const { points, title, dash, color } of this.lines()) {
        context.strokeStyle = palette.classes[color];
        context.lineWidth = 1.6;
        context.setLineDash(dash);
        Axes.curve(frame, points.length, (k) => points[k]);
        context.setLineDash([]);
        this.name(frame, points, title, palette.classes[color]);
      }
      const count = Math.min(horizontal.count, vertical.count);
      context.strokeStyle = palette.ink;
      context.lineWidth = 1.4;
      context.globalAlpha = 0.75;
      Axes.curve(frame, count, (age) => [horizontal.back(age), vertical.back(age)]);
      context.globalAlpha = 1;
      if (count) {
        context.beginPath();
        context.arc(frame.x(horizontal.back(0)), frame.y(vertical.back(0)), 5, 0, 2 * Math.PI);
        context.fillStyle = palette.ink;
        context.strokeStyle = palette.paper;
        context.lineWidth = 2;
        context.fill();
        context.stroke();
      }
      frame.end();
    }

    // The title of a line stands at its last point that is inside.
    name(frame, points, title, color) {
      const { context, x, y, left, right, top, bottom } = frame;
      const inside = points.filter(([across, up]) => x(across) < right - 8 && x(across) > left && y(up) > top + 32 && y(up) < bottom - 8);
      if (!inside.length) return;
      const [across, up] = inside.at(-1);
      context.font = `12px ${Canvas.FONT}`;
      context.textAlign = "right";
      context.textBaseline = "alphabetic";
      context.fillStyle = color;
      context.fillText(title, Math.min(x(across), right - 6), y(up) - 14);
    }
  }

  return { Plane };
})();
