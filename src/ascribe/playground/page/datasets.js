"use strict";

// Datasets: points of two classes in the plane, made here, drawn by hand or read from a file; cut into training and test points.
//
// A data set is {inputs: Float32Array (2 n), targets: Float32Array (n) of 0 and 1, training, columns, classes}: its first
// `training` points are for training, the others for testing.

const Datasets = (() => {
  const EXTENT = 2.5; // what is drawn of the plane: -EXTENT to EXTENT in both directions
  const TEST_SHARE = 1 / 3;
  const FEWEST_TO_CUT = 30;

  // Each `place` tells where the middle of a point's cloud is, of its class and a uniform number; the curves are those of
  // ascribe's own data sets, moved and scaled to fill the picture. `noise` is the usual standard deviation around it.
  const MADE = {
    moons: {
      title: "Moons",
      noise: 0.24,
      place: (label, uniform) => {
        const angle = Math.PI * uniform;
        return label ? [1.35 * (0.5 - Math.cos(angle)), 1.35 * (0.25 - Math.sin(angle))] : [1.35 * (Math.cos(angle) - 0.5), 1.35 * (Math.sin(angle) - 0.25)];
      },
    },
    circles: {
      title: "Circles",
      noise: 0.2,
      place: (label, uniform) => {
        const angle = 2 * Math.PI * uniform, radius = label ? 0.75 : 1.85;
        return [radius * Math.cos(angle), radius * Math.sin(angle)];
      },
    },
    xor: {
      title: "XOR",
      noise: 0.34,
      place: (label, uniform) => {
        const first = uniform < 0.5 ? -1 : 1;
        return [1.1 * first, 1.1 * (label ? -first : first)];
      },
    },
    spirals: {
      title: "Spirals",
      noise: 0.06,
      place: (label, uniform) => {
        const radius = 0.1 + 0.9 * uniform, angle = 2 * Math.PI * (radius + label / 2);
        return [2.15 * radius * Math.cos(angle), 2.15 * radius * Math.sin(angle)];
      },
    },
    gaussians: {
      title: "Gaussians",
      noise: 0.7,
      place: (label) => (label ? [-1.05, -1.05] : [1.05, 1.05]),
    },
  };

  // Points of a data set that is made here: half of each class, in random order.
  function make(name, { count, noise, seed }) {
    const random = Random.generator(Random.derive(seed, 0));
    const inputs = new Float32Array(2 * count), targets = new Float32Array(count);
    Random.permutation(random, count).forEach((place, number) => {
      const label = number % 2;
      const [x, y] = MADE[name].place(label, random());
      inputs[2 * place] = x + noise * Random.normal(random);
      inputs[2 * place + 1] = y + noise * Random.normal(random);
      targets[place] = label;
    });
    return cut(inputs, targets, { columns: ["x1", "x2"], classes: ["0", "1"] });
  }

  // Points that were drawn: [x, y, class] each. All are trained on, for they are few.
  function drawn(points) {
    return {
      inputs: Float32Array.from(points.flatMap(([x, y]) => [x, y])),
      targets: Float32Array.from(points.map((point) => point[2])),
      training: points.length,
      columns: ["x1", "x2"],
      classes: ["0", "1"],
    };
  }

  // The rows of a table, {inputs, targets, columns, classes} in its own units, standardized; in random order.
  function ofTable(table) {
    const count = table.targets.length;
    const order = Random.permutation(Random.generator(1), count);
    const inputs = new Float32Array(2 * count), targets = new Float32Array(count), scales = [];
    for (const column of [0, 1]) {
      const values = Array.from({ length: count }, (_, row) => table.inputs[2 * row + column]);
      const mean = values.reduce((sum, value) => sum + value, 0) / count;
      const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / count) || 1;
      scales.push({ mean, deviation });
      order.forEach((row, place) => (inputs[2 * place + column] = (values[row] - mean) / deviation));
    }
    order.forEach((row, place) => (targets[place] = table.targets[row]));
    return { ...cut(inputs, targets, table), scales };
  }

  // Points of a table as text for the link, three bytes each: 12 bits for the first number, 11 for the second, from -FAR to FAR,
  // and one for the class. Empty where there are too many, or one is farther out.
  const FAR = 6, MOST_IN_LINK = 400;

  function textOf({ inputs, targets }) {
    if (targets.length > MOST_IN_LINK || inputs.some((one) => Math.abs(one) > FAR)) return "";
    const whole = (value, most) => Math.round(((value + FAR) / (2 * FAR)) * most);
    return packed(Array.from(targets).flatMap((label, row) => {
      const x = whole(inputs[2 * row], 4095), y = (whole(inputs[2 * row + 1], 2047) << 1) | label;
      return [x >> 4, ((x & 15) << 4) | (y >> 8), y & 255];
    }));
  }

  // The points of such a text, or null where it is none.
  function ofText(text) {
    if (!/^[A-Za-z0-9_-]+$/.test(text) || text.length % 4 || text.length > 4 * MOST_IN_LINK) return null;
    const bytes = unpacked(text), count = bytes.length / 3, inputs = new Float32Array(2 * count), targets = new Float32Array(count);
    const place = (value, most) => (value / most) * 2 * FAR - FAR;
    for (let row = 0; row < count; row++) {
      const [a, b, c] = bytes.subarray(3 * row, 3 * row + 3), y = ((b & 15) << 8) | c;
      inputs.set([place((a << 4) | (b >> 4), 4095), place(y >> 1, 2047)], 2 * row);
      targets[row] = y & 1;
    }
    return cut(inputs, targets, { columns: ["x1", "x2"], classes: ["0", "1"] });
  }

  function cut(inputs, targets, { columns, classes }) {
    const count = targets.length;
    const training = count < FEWEST_TO_CUT ? count : count - Math.round(count * TEST_SHARE);
    return { inputs, targets, training, columns, classes };
  }

  // Training points and test points as {inputs, targets}; where none were kept apart, the test points are the training points.
  function parts(data) {
    const whole = data.training === data.targets.length;
    const part = (from, to) => ({ inputs: data.inputs.subarray(2 * from, 2 * to), targets: data.targets.subarray(from, to) });
    const training = part(0, data.training);
    return { training, test: whole ? training : part(data.training, data.targets.length), apart: !whole };
  }

  // Drawn points as text for the link: two bytes for the place and a bit for the class, in base64url.
  function toText(points) {
    const byte = (value) => Math.max(0, Math.min(255, Math.round(((value + EXTENT) / (2 * EXTENT)) * 255)));
    const bytes = points.flatMap(([x, y, label]) => [byte(x), (byte(y) & 0xfe) | label]);
    return packed(bytes);
  }

  const packed = (bytes) => btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const unpacked = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (one) => one.charCodeAt(0));

  function fromText(text) {
    const bytes = unpacked(text);
    const place = (byte) => (byte / 255) * 2 * EXTENT - EXTENT;
    return Array.from({ length: bytes.length >> 1 }, (_, point) => {
      const [x, y] = [bytes[2 * point], bytes[2 * point + 1]];
      return [place(x), place(y & 0xfe), y & 1];
    });
  }

  return { EXTENT, MADE, make, drawn, ofTable, parts, toText, fromText, textOf, ofText, MOST_IN_LINK };
})();
