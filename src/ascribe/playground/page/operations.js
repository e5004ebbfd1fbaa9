// The operations of programs: each is made once, for arrays of known sizes, into a function that runs it.
// KERNELS, of everything that answers for every number alone, is made from Python's table (primitives.py).

const ARRAYS = { f: Float32Array, d: Float64Array, i: Int32Array, u: Uint32Array, b: Uint8Array, c: Int8Array, h: Uint8Array };
const FLOATS = "fd";

const scratch = new Float32Array(1), scratchBits = new Int32Array(scratch.buffer);

// The next number of float32 after x towards y.
function nextAfter(x, y) {
  if (Number.isNaN(x) || Number.isNaN(y)) return NaN;
  if (x === y) return y;
  if (x === 0) { scratchBits[0] = y > 0 ? 1 : -2147483647; return scratch[0]; }
  scratch[0] = x;
  scratchBits[0] += (y > x) === (x > 0) ? 1 : -1;
  return scratch[0];
}

// Exact to float32, and half the price of Math.tanh.
function tanh(x) {
  return Math.abs(x) < 1e-5 ? x : 1 - 2 / (Math.exp(2 * x) + 1);
}

function roundToEven(x) {
  const low = Math.floor(x), rest = x - low;
  const near = rest < 0.5 ? low : rest > 0.5 ? low + 1 : low % 2 ? low + 1 : low;
  return near === 0 && x < 0 ? -0 : near; // whose sign its bits show
}

function bitsSet(x) {
  let count = 0;
  for (; x; x &= x - 1) count++;
  return count;
}

function wholePower(x, y) {
  if (y < 0) return x === 1 ? 1 : x === -1 ? (y % 2 ? -1 : 1) : 0;
  let result = 1;
  for (; y; y = Math.floor(y / 2)) { if (y % 2) result = Math.imul(result, x); x = Math.imul(x, x); }
  return result;
}

// 2/sqrt(pi) times the integral of exp(-t^2) from 0 to x: a series near 0, a continued fraction for its complement beyond 2.
function erf(x) {
  const size = Math.abs(x);
  if (size >= 2) return Math.sign(x) * (1 - tail(size));
  let term = x, sum = x;
  for (let n = 1; n < 60; n++) {
    term *= -x * x / n;
    const more = term / (2 * n + 1);
    sum += more;
    if (Math.abs(more) < 1e-17 * Math.abs(sum)) break;
  }
  return 1.1283791670955126 * sum;
}

function complementaryErf(x) {
  return x >= 2 ? tail(x) : 1 - erf(x);
}

function tail(x) {
  if (x > 27) return 0;
  let fraction = 0;
  for (let n = 60; n > 0; n--) fraction = n / 2 / (x + fraction);
  return Math.exp(-x * x) / ((x + fraction) * 1.7724538509055159);
}

// The polynomials of Giles (2012), which XLA has for float32.
const NEAR = [2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087, -0.00125372503,
  -0.00417768164, 0.246640727, 1.50140941];
const FAR = [-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613, 0.00943887047,
  1.00167406, 2.83297682];

function inverseErf(x) {
  if (Math.abs(x) === 1) return x * Infinity;
  let w = -Math.log1p(-x * x);
  const near = w < 5, terms = near ? NEAR : FAR;
  w = near ? w - 2.5 : Math.sqrt(w) - 3;
  let p = terms[0];
  for (let k = 1; k < 9; k++) p = terms[k] + p * w;
  return p * x;
}

const product = (sizes) => sizes.reduce((a, b) => a * b, 1);

function stridesOf(shape) {
  const strides = new Array(shape.length);
  for (let axis = shape.length - 1, n = 1; axis >= 0; axis--) { strides[axis] = n; n *= shape[axis]; }
  return strides;
}

// The places offset + sum_k i_k strides_k of all indices i of a shape, the last index running fastest.
function places(shape, strides, offset = 0) {
  const count = product(shape), found = new Int32Array(count), index = new Array(shape.length).fill(0);
  let place = offset;
  for (let n = 0; n < count; n++) {
    found[n] = place;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      place += strides[axis];
      if (++index[axis] < shape[axis]) break;
      place -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
  return found;
}

function take(out, given, from) {
  const n = from.length;
  return () => { for (let i = 0; i < n; i++) out[i] = given[from[i]]; };
}

const pick = (list, axes) => axes.map((axis) => list[axis]);
const others = (rank, ...taken) => Array.from({ length: rank }, (_, axis) => axis).filter((axis) => !taken.some((one) => one.includes(axis)));

// Two numbers of 32 bits, enciphered by a key of two: Threefry-2x32 with 20 rounds (Salmon et al. 2011).
const ROTATIONS = [13, 15, 26, 6, 17, 29, 16, 24];
const pair = new Uint32Array(2);

function threefry(first, second, x, y) {
  const keys = [first, second, first ^ second ^ 0x1bd11bda];
  x = (x + first) | 0;
  y = (y + second) | 0;
  for (let group = 0; group < 5; group++) {
    for (let round = 0; round < 4; round++) {
      const turn = ROTATIONS[(group % 2) * 4 + round];
      x = (x + y) | 0;
      y = ((y << turn) | (y >>> (32 - turn))) ^ x;
    }
    x = (x + keys[(group + 1) % 3]) | 0;
    y = (y + keys[(group + 2) % 3] + group + 1) | 0;
  }
  pair[0] = x;
  pair[1] = y;
}

// How two numbers become one, where more than one of them comes to a place, and what they begin with.
const JOINED = { sum: (a, b) => a + b, product: (a, b) => a * b, max: (a, b) => Math.max(a, b), min: (a, b) => Math.min(a, b), set: (a, b) => b };
const EMPTY = { sum: 0, product: 1, max: -Infinity, min: Infinity };

const LOWEST = { i: -2147483648, u: 0, b: 0, c: -128, h: 0 }, HIGHEST = { i: 2147483647, u: 4294967295, b: 1, c: 127, h: 255 };

function start(kind, letter) {
  const value = EMPTY[kind];
  return FLOATS.includes(letter) || Number.isFinite(value) ? value : value < 0 ? LOWEST[letter] : HIGHEST[letter];
}

// Every operation: of its outputs and inputs, each {array, shape, letter}, and its parameters, the function that runs it.
const OPERATIONS = {
  convert([out], [given]) {
    const o = out.array, a = given.array, n = o.length, s = a.length === 1 ? 0 : 1;
    if (out.letter === "b") return () => { for (let i = 0; i < n; i++) o[i] = a[i * s] !== 0 ? 1 : 0; };
    if (FLOATS.includes(given.letter) && !FLOATS.includes(out.letter)) {
      const low = LOWEST[out.letter], high = HIGHEST[out.letter];
      return () => { for (let i = 0; i < n; i++) o[i] = Math.min(Math.max(Math.trunc(a[i * s]), low), high); };
    }
    return () => { for (let i = 0; i < n; i++) o[i] = a[i * s]; };
  },

  broadcast([out], [given], { axes }) {
    const own = stridesOf(given.shape), strides = new Array(out.shape.length).fill(0);
    axes.forEach((axis, k) => { strides[axis] = given.shape[k] === 1 ? 0 : own[k]; });
    if (given.array.length === 1) {
      const o = out.array, a = given.array;
      return () => { o.fill(a[0]); };
    }
    return take(out.array, given.array, places(out.shape, strides));
  },

  transpose([out], [given], { axes }) {
    return take(out.array, given.array, places(out.shape, pick(stridesOf(given.shape), axes)));
  },

  slice([out], [given], { starts, steps }) {
    const strides = stridesOf(given.shape), offset = starts.reduce((sum, one, k) => sum + one * strides[k], 0);
    return take(out.array, given.array, places(out.shape, strides.map((one, k) => one * steps[k]), offset));
  },

  reverse([out], [given], { axes }) {
    const strides = stridesOf(given.shape);
    let offset = 0;
    for (const axis of axes) { offset += strides[axis] * (given.shape[axis] - 1); strides[axis] *= -1; }
    return take(out.array, given.array, places(out.shape, strides, offset));
  },

  pad([out], [given, filling], { low, inner }) {
    const strides = stridesOf(out.shape), o = out.array, a = given.array, f = filling.array;
    const inside = new Uint8Array(a.length).fill(1), to = new Int32Array(a.length);
    given.shape.forEach((_, axis) => {
      const along = places(given.shape, given.shape.map((_, k) => (k === axis ? 1 : 0)));
      along.forEach((index, n) => {
        const place = low[axis] + index * (inner[axis] + 1);
        if (place < 0 || place >= out.shape[axis]) inside[n] = 0;
        to[n] += place * strides[axis];
      });
    });
    return () => { o.fill(f[0]); for (let i = 0; i < to.length; i++) if (inside[i]) o[to[i]] = a[i]; };
  },

  concatenate([out], inputs, { axis }) {
    const strides = stridesOf(out.shape), o = out.array;
    let offset = 0;
    const parts = inputs.map((one) => {
      const to = places(one.shape, strides, offset * strides[axis]), a = one.array;
      offset += one.shape[axis];
      return () => { for (let i = 0; i < to.length; i++) o[to[i]] = a[i]; };
    });
    return () => { for (const part of parts) part(); };
  },

  iota([out], _, { axis }) {
    const along = places(out.shape, out.shape.map((_, k) => (k === axis ? 1 : 0)));
    return () => { out.array.set(along); };
  },

  dimension([out], _, { size }) {
    return () => { out.array[0] = size; };
  },

  reduce([out], [given], { kind, axes }) {
    const kept = others(given.shape.length, axes), strides = stridesOf(given.shape), order = [...kept, ...axes];
    const from = places(pick(given.shape, order), pick(strides, order)), o = out.array, a = given.array;
    const n = o.length, m = n ? from.length / n : 0, empty = start(kind, out.letter);
    if (kind === "sum") {
      return () => {
        for (let i = 0, k = 0; i < n; i++) { let sum = 0; for (let j = 0; j < m; j++) sum += a[from[k++]]; o[i] = sum; }
      };
    }
    const join = JOINED[kind];
    return () => {
      for (let i = 0, k = 0; i < n; i++) { let all = empty; for (let j = 0; j < m; j++) all = join(all, a[from[k++]]); o[i] = all; }
    };
  },

  argmax: (outputs, inputs, { axis }) => extreme(outputs, inputs, axis, (a, b) => a > b),
  argmin: (outputs, inputs, { axis }) => extreme(outputs, inputs, axis, (a, b) => a < b),

  cumulate([out], [given], { kind, axis, reverse }) {
    const strides = stridesOf(given.shape), kept = others(given.shape.length, [axis]), step = reverse ? -strides[axis] : strides[axis];
    const n = given.shape[axis], begins = places(pick(given.shape, kept), pick(strides, kept), reverse ? (n - 1) * strides[axis] : 0);
    const o = out.array, a = given.array, join = JOINED[kind], empty = start(kind, out.letter);
    return () => {
      for (const begin of begins) {
        let all = empty;
        for (let j = 0, p = begin; j < n; j++, p += step) { all = join(all, a[p]); o[p] = all; }
      }
    };
  },

  dot([out], [left, right], { contracted, batched }) {
    const [ls, rs] = [stridesOf(left.shape), stridesOf(right.shape)];
    const lf = others(left.shape.length, contracted[0], batched[0]), rf = others(right.shape.length, contracted[1], batched[1]);
    const batchSizes = pick(left.shape, batched[0]), innerSizes = pick(left.shape, contracted[0]);
    const lb = places(batchSizes, pick(ls, batched[0])), rb = places(batchSizes, pick(rs, batched[1]));
    const li = places(pick(left.shape, lf), pick(ls, lf)), ri = places(pick(right.shape, rf), pick(rs, rf));
    const lk = places(innerSizes, pick(ls, contracted[0])), rk = places(innerSizes, pick(rs, contracted[1]));
    const o = out.array, a = left.array, b = right.array;
    const [batches, rows, columns, inner] = [lb.length, li.length, ri.length, lk.length];
    const la = inner > 1 ? lk[1] : 0, ra = inner > 1 ? rk[1] : 0;
    if (contracted[0].length < 2) {
      // The longer side of the two is taken four numbers at a time, so that four sums grow side by side.
      const size = rows * columns, sizes = { a, b, ab: lb, bb: rb, ai: li, bi: ri, as: la, bs: ra, as_: columns, bs_: 1 };
      const turned = { a: b, b: a, ab: rb, bb: lb, ai: ri, bi: li, as: ra, bs: la, as_: 1, bs_: columns };
      return blocked(o, inner, size, columns < 4 && rows > columns ? turned : sizes);
    }
    return () => {
      for (let p = 0, k = 0; p < batches; p++) for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) {
        let sum = 0;
        const x = lb[p] + li[i], y = rb[p] + ri[j];
        for (let q = 0; q < inner; q++) sum += a[x + lk[q]] * b[y + rk[q]];
        o[k++] = sum;
      }
    };
  },

  gather([out], [given, indices], parameters) {
    const { window, sizes, fill } = parameters, strides = stridesOf(out.shape), outer = others(out.shape.length, window);
    const found = windows(given.shape, indices, parameters, sizes);
    const to = places(pick(out.shape, outer), pick(strides, outer)), inner = found.kept;
    const toInner = places(pick(out.shape, window), pick(strides, window));
    const o = out.array, a = given.array, filling = Number(fill);
    return () => {
      for (let p = 0; p < to.length; p++) {
        const begin = found.begin(p);
        for (let q = 0; q < inner.length; q++) o[to[p] + toInner[q]] = begin < 0 ? filling : a[begin + inner[q]];
      }
    };
  },

  scatter([out], [given, indices, updates], parameters) {
    const { window, kind } = parameters, strides = stridesOf(updates.shape), outer = others(updates.shape.length, window);
    const taken = [...parameters.collapsed, ...parameters.batching[0]], own = pick(updates.shape, window);
    let k = 0;
    const sizes = given.shape.map((_, axis) => (taken.includes(axis) ? 1 : own[k++]));
    const found = windows(given.shape, indices, parameters, sizes), inner = found.kept;
    const from = places(pick(updates.shape, outer), pick(strides, outer)), fromInner = places(own, pick(strides, window));
    const o = out.array, a = given.array, u = updates.array, join = JOINED[kind];
    return () => {
      o.set(a);
      for (let p = 0; p < from.length; p++) {
        const begin = found.begin(p);
        if (begin < 0) continue;
        for (let q = 0; q < inner.length; q++) o[begin + inner[q]] = join(o[begin + inner[q]], u[from[p] + fromInner[q]]);
      }
    };
  },

  dynamic_slice([out], [given, ...starts]) {
    const strides = stridesOf(given.shape), from = places(out.shape, strides), o = out.array, a = given.array;
    const most = given.shape.map((size, axis) => size - out.shape[axis]);
    return () => {
      const begin = clamped(starts, most, strides);
      for (let i = 0; i < from.length; i++) o[i] = a[begin + from[i]];
    };
  },

  dynamic_update_slice([out], [given, update, ...starts]) {
    const strides = stridesOf(given.shape), to = places(update.shape, strides), o = out.array, a = given.array, u = update.array;
    const most = given.shape.map((size, axis) => size - update.shape[axis]);
    return () => {
      const begin = clamped(starts, most, strides);
      o.set(a);
      for (let i = 0; i < to.length; i++) o[begin + to[i]] = u[i];
    };
  },

  sort(outputs, inputs, { axis, keys }) {
    const shape = inputs[0].shape, strides = stridesOf(shape), kept = others(shape.length, [axis]);
    const begins = places(pick(shape, kept), pick(strides, kept)), n = shape[axis], step = strides[axis], order = new Array(n);
    const compare = (begin) => (i, j) => {
      for (let k = 0; k < keys; k++) {
        const x = inputs[k].array[begin + i * step], y = inputs[k].array[begin + j * step];
        if (x < y || (Number.isNaN(y) && !Number.isNaN(x))) return -1;
        if (x > y || (Number.isNaN(x) && !Number.isNaN(y))) return 1;
      }
      return i - j;
    };
    return () => {
      for (const begin of begins) {
        for (let i = 0; i < n; i++) order[i] = i;
        order.sort(compare(begin));
        outputs.forEach((out, k) => { for (let i = 0; i < n; i++) out.array[begin + i * step] = inputs[k].array[begin + order[i] * step]; });
      }
    };
  },

  random_seed([out], [seed]) {
    const o = out.array, a = seed.array;
    return () => { for (let i = 0; i < a.length; i++) { o[2 * i] = 0; o[2 * i + 1] = a[i]; } };
  },

  random_fold_in([out], [key, data]) {
    const o = out.array, k = key.array, a = data.array, ks = k.length === 2 ? 0 : 2, as = a.length === 1 ? 0 : 1;
    return () => {
      for (let i = 0; i < o.length / 2; i++) {
        threefry(k[i * ks], k[i * ks + 1], 0, a[i * as]);
        o[2 * i] = pair[0];
        o[2 * i + 1] = pair[1];
      }
    };
  },

  random_split([out], [key]) {
    const o = out.array, k = key.array, count = o.length / k.length;
    return () => {
      for (let i = 0; i < k.length; i += 2) for (let n = 0; n < count; n++) {
        threefry(k[i], k[i + 1], 0, n);
        o[i * count + 2 * n] = pair[0];
        o[i * count + 2 * n + 1] = pair[1];
      }
    };
  },

  random_bits([out], [key]) {
    const o = out.array, k = key.array, count = o.length / (k.length / 2);
    return () => {
      for (let i = 0; i < k.length / 2; i++) for (let n = 0; n < count; n++) {
        threefry(k[2 * i], k[2 * i + 1], 0, n);
        o[i * count + n] = pair[0] ^ pair[1];
      }
    };
  },

  scan(outputs, inputs, { body, constants, carried, length, reverse }, make) {
    const inner = make(body), given = inner.inputs.map((one) => one.array), found = inner.outputs.map((one) => one.array);
    const state = outputs.slice(0, carried).map((one) => one.array), rows = outputs.slice(carried).map((one) => one.array);
    const sources = inputs.map((one) => one.array);
    return () => {
      for (let k = 0; k < constants; k++) given[k].set(sources[k]);
      for (let k = 0; k < carried; k++) state[k].set(sources[constants + k]);
      for (let step = 0; step < length; step++) {
        const row = reverse ? length - 1 - step : step;
        for (let k = 0; k < carried; k++) given[constants + k].set(state[k]);
        for (let k = constants + carried; k < given.length; k++) copyRow(given[k], 0, sources[k], row * given[k].length, given[k].length);
        inner.run();
        for (let k = 0; k < carried; k++) state[k].set(found[k]);
        for (let k = carried; k < found.length; k++) copyRow(rows[k - carried], row * found[k].length, found[k], 0, found[k].length);
      }
    };
  },

  while(outputs, inputs, { condition, body, constants: [before, own] }, make) {
    const test = make(condition), inner = make(body), state = outputs.map((one) => one.array), sources = inputs.map((one) => one.array);
    return () => {
      for (let k = 0; k < before; k++) test.inputs[k].array.set(sources[k]);
      for (let k = 0; k < own; k++) inner.inputs[k].array.set(sources[before + k]);
      state.forEach((one, k) => one.set(sources[before + own + k]));
      for (;;) {
        state.forEach((one, k) => test.inputs[before + k].array.set(one));
        test.run();
        if (!test.outputs[0].array[0]) return;
        state.forEach((one, k) => inner.inputs[own + k].array.set(one));
        inner.run();
        state.forEach((one, k) => one.set(inner.outputs[k].array));
      }
    };
  },

  cond(outputs, [index, ...inputs], { branches }, make) {
    const all = branches.map(make);
    return () => {
      const chosen = all[Math.min(Math.max(index.array[0], 0), all.length - 1)];
      inputs.forEach((one, k) => chosen.inputs[k].array.set(one.array));
      chosen.run();
      outputs.forEach((one, k) => one.array.set(chosen.outputs[k].array));
    };
  },
};

// o[p, i, j] = sum_q a[p, i, q] b[p, j, q]: `ab`, `bb` are where a batch begins, `ai`, `bi` where a row, `as`, `bs` the steps of
// q, and `as_`, `bs_` those of i and j in what comes out.
function blocked(o, inner, size, { a, b, ab, bb, ai, bi, as, bs, as_, bs_ }) {
  const batches = ab.length, rows = ai.length, columns = bi.length, whole = columns - (columns % 4);
  return () => {
    for (let p = 0; p < batches; p++) for (let i = 0; i < rows; i++) {
      const begin = ab[p] + ai[i], to = p * size + i * as_;
      let j = 0;
      for (; j < whole; j += 4) {
        let s0 = 0, s1 = 0, s2 = 0, s3 = 0;
        let y0 = bb[p] + bi[j], y1 = bb[p] + bi[j + 1], y2 = bb[p] + bi[j + 2], y3 = bb[p] + bi[j + 3];
        for (let q = 0, x = begin; q < inner; q++) {
          const one = a[x];
          s0 += one * b[y0];
          s1 += one * b[y1];
          s2 += one * b[y2];
          s3 += one * b[y3];
          x += as;
          y0 += bs;
          y1 += bs;
          y2 += bs;
          y3 += bs;
        }
        o[to + j * bs_] = s0;
        o[to + (j + 1) * bs_] = s1;
        o[to + (j + 2) * bs_] = s2;
        o[to + (j + 3) * bs_] = s3;
      }
      for (; j < columns; j++) {
        let sum = 0;
        for (let q = 0, x = begin, y = bb[p] + bi[j]; q < inner; q++, x += as, y += bs) sum += a[x] * b[y];
        o[to + j * bs_] = sum;
      }
    }
  };
}

function copyRow(to, start, from, begin, count) {
  for (let i = 0; i < count; i++) to[start + i] = from[begin + i];
}

function extreme([out], [given], axis, better) {
  const strides = stridesOf(given.shape), kept = others(given.shape.length, [axis]), n = given.shape[axis], step = strides[axis];
  const begins = places(pick(given.shape, kept), pick(strides, kept)), o = out.array, a = given.array;
  return () => {
    for (let i = 0; i < begins.length; i++) {
      let best = 0, value = a[begins[i]];
      for (let j = 1; j < n && !Number.isNaN(value); j++) {
        const one = a[begins[i] + j * step];
        if (better(one, value) || Number.isNaN(one)) { best = j; value = one; }
      }
      o[i] = best;
    }
  };
}

function clamped(starts, most, strides) {
  let begin = 0;
  for (let axis = 0; axis < most.length; axis++) begin += Math.min(Math.max(starts[axis].array[0], 0), most[axis]) * strides[axis];
  return begin;
}

// Where the windows begin that indices, one vector of them for every position, point at; below 0 for one to be left out.
function windows(shape, indices, { collapsed, mapped, batching, mode }, sizes) {
  const strides = stridesOf(shape), rank = indices.shape.length - 1, own = stridesOf(indices.shape), list = indices.array;
  const positions = indices.shape.slice(0, rank), from = places(positions, own.slice(0, rank));
  const batch = positions.map((_, axis) => (batching[1].includes(axis) ? strides[batching[0][batching[1].indexOf(axis)]] : 0));
  const base = places(positions, batch), most = mapped.map((axis) => shape[axis] - sizes[axis]), steps = pick(strides, mapped);
  const kept = others(shape.length, collapsed, batching[0]);
  const begin = (position) => {
    let place = base[position];
    for (let k = 0; k < mapped.length; k++) {
      let index = list[from[position] + k];
      if (index < 0 || index > most[k]) {
        if (mode === "drop") return -1;
        index = Math.min(Math.max(index, 0), most[k]);
      }
      place += index * steps[k];
    }
    return place;
  };
  return { begin, kept: places(pick(sizes, kept), pick(strides, kept)) };
}
