"use strict";

// Weights: those of the first layer as small images, and of every layer how they are distributed.

const Weights = (() => {
  const GAP = 4;

  const bytesOf = (text) => Uint8Array.from(atob(text), (one) => one.charCodeAt(0));

  // As many images beside one another as make them largest.
  function grid({ count, width, height }, wide, high) {
    let best = { scale: 0, across: 1 };
    for (let across = 1; across <= count; across++) {
      const down = Math.ceil(count / across);
      const scale = Math.min((wide + GAP) / across - GAP, (((high + GAP) / down - GAP) * width) / height) / width;
      if (scale > best.scale) best = { scale, across };
    }
    return best;
  }

  // `images`: bytes in base64, 128 for a weight of zero; of three channels they are colors.
  function drawImages(sheet, images) {
    const context = sheet.clear();
    if (!context || !images) return;
    const { count, width, height, channels } = images, bytes = bytesOf(images.bytes), shades = Palette.now().surface;
    const { scale, across } = grid(images, sheet.width, sheet.height);
    const picture = Canvas.hidden(width, height), inner = picture.getContext("2d");
    const pixels = inner.createImageData(width, height), words = new Uint32Array(pixels.data.buffer);
    context.imageSmoothingEnabled = false;
    for (let unit = 0; unit < count; unit++) {
      const from = unit * width * height * channels;
      for (let pixel = 0; pixel < width * height; pixel++) {
        if (channels === 1) words[pixel] = shades[bytes[from + pixel]];
        else pixels.data.set([...bytes.subarray(from + 3 * pixel, from + 3 * pixel + 3), 255], 4 * pixel);
      }
      inner.putImageData(pixels, 0, 0);
      const x = (unit % across) * (width * scale + GAP), y = Math.floor(unit / across) * (height * scale + GAP);
      context.drawImage(picture, x, y, width * scale, height * scale);
    }
  }

  // A row for each layer, from `-scale` to `scale` of its own; `names` where there is room.
  function drawHistograms(sheet, histograms, names) {
    const context = sheet.clear();
    if (!context || !histograms) return;
    const palette = Palette.now(), row = Math.min(34, sheet.height / histograms.length), left = row >= 13 ? 58 : 0, right = row >= 13 ? 44 : 0;
    const wide = sheet.width - left - right;
    context.font = `11px ${Canvas.FONT}`;
    context.textBaseline = "alphabetic";
    histograms.forEach(({ scale, counts }, layer) => {
      const base = (layer + 1) * row - 1, bin = wide / counts.length;
      counts.forEach((share, place) => {
        const high = share * (row - 2);
        context.fillStyle = palette.signs[place < counts.length / 2 ? 0 : 1];
        context.fillRect(left + place * bin, base - high, Math.max(1, bin - 0.5), high);
      });
      context.fillStyle = palette.line;
      context.fillRect(left, base, wide, 1);
      if (!left) return;
      context.fillStyle = palette.soft;
      context.textAlign = "left";
      context.fillText(names[layer].slice(-9), 0, base - 1, left - 4);
      context.textAlign = "right";
      context.fillText(`±${Number(scale.toPrecision(2))}`, sheet.width, base - 1, right - 4);
    });
  }

  return { drawImages, drawHistograms, grid };
})();
