"use strict";

// Axes: the frame of a picture, with numbers at even places, and the way from a value to a pixel.

const Axes = (() => {
  const LEFT = 52, RIGHT = 12, TOP = 10, BOTTOM = 34;

  // Draws the frame and gives {x, y, left, right, top, bottom}: x and y place a value. The context is clipped to the frame
  // until `end()`.
  function draw(sheet, { x: [left, right], y: [low, high], across, up, labels = true }) {
    const context = sheet.clear();
    if (!context) return null;
    const { width, height } = sheet, palette = Palette.now();
    const bottom = height - (labels ? BOTTOM : 8), end = width - RIGHT;
    const x = (value) => LEFT + ((end - LEFT) * (value - left)) / (right - left);
    const y = (value) => bottom - ((bottom - TOP) * (value - low)) / (high - low);
    context.font = `11px ${Canvas.FONT}`;
    context.lineWidth = 1;
    context.fillStyle = palette.soft;
    context.strokeStyle = palette.line;
    context.textBaseline = "middle";
    context.textAlign = "right";
    for (const tick of Curves.ticks(low, high, Math.max(1.5, (bottom - TOP) / 42))) {
      line(context, LEFT, Math.round(y(tick)) + 0.5, end, Math.round(y(tick)) + 0.5);
      context.fillText(words(tick), LEFT - 6, y(tick));
    }
    context.textBaseline = "alphabetic";
    if (labels) {
      context.textAlign = "center";
      for (const tick of Curves.ticks(left, right, Math.max(2, (end - LEFT) / 80))) {
        line(context, Math.round(x(tick)) + 0.5, TOP, Math.round(x(tick)) + 0.5, bottom);
        context.fillText(words(tick), x(tick), bottom + 14);
      }
      context.textAlign = "right";
      context.fillText(across, end, height - 5);
    }
    context.save();
    context.translate(11, (TOP + bottom) / 2);
    context.rotate(-Math.PI / 2);
    context.textAlign = "center";
    context.fillText(up, 0, 0);
    context.restore();
    context.save();
    context.beginPath();
    context.rect(LEFT, TOP - 1, end - LEFT, bottom - TOP + 2);
    context.clip();
    return { context, x, y, left: LEFT, right: end, top: TOP, bottom, palette, end: () => context.restore() };
  }

  function line(context, fromX, fromY, toX, toY) {
    context.beginPath();
    context.moveTo(fromX, fromY);
    context.lineTo(toX, toY);
    context.stroke();
  }

  // A line through points that `place(k)` gives as [x, y]; one without a number breaks it.
  function curve({ context, x, y }, count, place) {
    context.beginPath();
    let on = false;
    for (let k = 0; k < count; k++) {
      const [across, up] = place(k);
      if (Number.isFinite(across) && Number.isFinite(up)) context[on ? "lineTo" : "moveTo"](x(across), y(up));
      on = Number.isFinite(across) && Number.isFinite(up);
    }
    context.stroke();
  }

  const words = (value) => String(Number(value.toPrecision(6))).replaceAll("-", "−");

  return { draw, curve, line, words };
})();
