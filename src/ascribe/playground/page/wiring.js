"use strict";

// Wiring: where a network's units and lines are in its picture, and which of them is near the pointer.

const Wiring = (() => {
  const SAMPLES = 10; // places along a line that the pointer is compared with

  // Columns of units, inputs first: [{x, size, ys}].
  function columns(widths, width, height) {
    const margin = Math.min(26, width * 0.09);
    return widths.map((count, column) => {
      const gap = Math.min(34, (height - 10) / count);
      const size = Math.max(2.5, Math.min(column === 0 || column === widths.length - 1 ? 15 : 22, gap * 0.82, (width / widths.length) * 0.5));
      const top = height / 2 - (gap * (count - 1)) / 2;
      return {
        x: margin + ((width - 2 * margin) * column) / (widths.length - 1),
        size,
        ys: Array.from({ length: count }, (_, unit) => top + gap * unit),
      };
    });
  }

  // The ends of a line between two units, from the left one's edge to the right one's.
  function ends(layout, from, to, source, target) {
    const a = layout[from], b = layout[to];
    return [a.x + a.size / 2, a.ys[source], b.x - b.size / 2, b.ys[target]];
  }

  function draw(context, [x0, y0, x1, y1]) {
    const bend = (x1 - x0) * 0.45;
    context.moveTo(x0, y0);
    context.bezierCurveTo(x0 + bend, y0, x1 - bend, y1, x1, y1);
  }

  // The point at `t` (0 to 1) of the same curve.
  function along([x0, y0, x1, y1], t) {
    const bend = (x1 - x0) * 0.45, s = 1 - t;
    const weights = [s * s * s, 3 * s * s * t, 3 * s * t * t, t * t * t];
    return [
      weights[0] * x0 + weights[1] * (x0 + bend) + weights[2] * (x1 - bend) + weights[3] * x1,
      (weights[0] + weights[1]) * y0 + (weights[2] + weights[3]) * y1,
    ];
  }

  // The line nearest to a place, of [{ends, ...}], if it is within `reach` pixels.
  function nearestLine(lines, x, y, reach) {
    let found = null, least = reach * reach;
    for (const line of lines) {
      if (x < line.ends[0] - reach || x > line.ends[2] + reach) continue;
      for (let sample = 0; sample < SAMPLES; sample++) {
        // Compared where the curve is at the pointer's own height and width, between two samples.
        const [ax, ay] = along(line.ends, sample / SAMPLES), [bx, by] = along(line.ends, (sample + 1) / SAMPLES);
        const dx = bx - ax, dy = by - ay;
        const t = Math.max(0, Math.min(1, ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy || 1)));
        const distance = (ax + t * dx - x) ** 2 + (ay + t * dy - y) ** 2;
        if (distance < least) [found, least] = [line, distance];
      }
    }
    return found;
  }

  function nearestUnit(layout, x, y) {
    for (let column = 0; column < layout.length; column++) {
      const { x: middle, size, ys } = layout[column], reach = size / 2 + 2;
      if (Math.abs(x - middle) > reach) continue;
      const unit = ys.findIndex((place) => Math.abs(y - place) <= reach);
      if (unit >= 0) return { column, unit };
    }
    return null;
  }

  return { columns, ends, draw, nearestLine, nearestUnit };
})();
