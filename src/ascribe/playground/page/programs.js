// Programs as data become functions on arrays that are made once (emitter.py says what is in a program).

const NUMBERS = {
  "+": (a, b) => a + b,
  "-": (a, b) => a - b,
  "*": (a, b) => a * b,
  "^": (a, b) => a ** b,
  "//": (a, b) => Math.floor(a / b),
  "%": (a, b) => ((a % b) + b) % b,
  max: Math.max,
  min: Math.min,
};

// A size of a program, with numbers in place of its symbols.
function sized(size, sizes) {
  if (typeof size === "number") return size;
  if (typeof size === "string") {
    if (!(size in sizes)) throw new Error(`the size ${size} is not known`);
    return sizes[size];
  }
  return NUMBERS[size[0]](...size.slice(1).map((one) => sized(one, sizes)));
}

// A program for these sizes: {inputs, outputs, run}, both lists of {array, shape, letter}. `run` makes the outputs of the inputs.
function instance(program, sizes) {
  const { types, values } = program;
  const shapes = types.map(([letter, shape]) => ({ letter, shape: shape.map((one) => sized(one, sizes)) }));
  const root = (number) => (Array.isArray(values[number]) ? root(values[number][1]) : number);
  const kind = (number) => shapes[Array.isArray(values[number]) ? values[number][0] : values[number]];
  const last = lastUses(program, root), free = new Map(), arrays = new Map(), made = new Map();
  const value = (number) => {
    if (!made.has(number)) {
      const { letter, shape } = kind(number), own = root(number), from = arrays.get(own);
      const array = letter === kind(own).letter ? from : new ARRAYS[letter](from.buffer, from.byteOffset, from.length);
      made.set(number, { array, shape, letter });
    }
    return made.get(number);
  };
  const allocate = (number) => {
    const { letter, shape } = kind(number), count = product(shape), stock = free.get(letter + count);
    arrays.set(number, stock && stock.length ? stock.pop() : new ARRAYS[letter](count));
  };
  for (const number of program.inputs) allocate(number);
  for (const [number, content] of Object.entries(program.constants)) {
    allocate(Number(number));
    arrays.get(Number(number)).set(content.map(Number));
  }
  const make = (body) => instance(body, sizes), steps = [];
  program.operations.forEach(([name, outputs, inputs, parameters], place) => {
    outputs.forEach(allocate);
    const parts = [outputs.map(value), inputs.map(value)];
    steps.push(name in KERNELS ? elementwise(name, ...parts) : OPERATIONS[name](...parts, numbered(parameters || {}, sizes), make));
    for (const number of last[place]) {
      const { letter } = kind(number), array = arrays.get(number), key = letter + array.length;
      if (!free.has(key)) free.set(key, []);
      free.get(key).push(array);
    }
  });
  const run = () => { for (let i = 0; i < steps.length; i++) steps[i](); };
  return { inputs: program.inputs.map(value), outputs: program.outputs.map(value), run };
}

function elementwise(name, [out], inputs) {
  const n = out.array.length, given = inputs.flatMap(({ array }) => [array, array.length === 1 ? 0 : 1]);
  const { letter } = inputs.at(name === "select_n" ? -1 : 0);
  return KERNELS[name][FLOATS.includes(letter) ? "f" : "w"](out.array, n, ...given);
}

// The values that no operation after this one needs, for each: their arrays can serve again.
function lastUses({ operations, inputs, outputs, constants }, root) {
  const kept = new Set([...inputs, ...outputs.map(root), ...Object.keys(constants).map(Number)]), seen = new Set(), found = [];
  for (const [, made, given] of [...operations].reverse()) {
    const ended = [...new Set([...made, ...given].map(root))].filter((number) => !kept.has(number) && !seen.has(number));
    ended.forEach((number) => seen.add(number));
    found.push(ended);
  }
  return found.reverse();
}

const PROGRAMS = new Set(["body", "condition", "branches"]);
const WORDS = new Set(["kind", "mode", "fill"]);

// Parameters with numbers in place of the symbols of sizes.
function numbered(parameters, sizes) {
  const known = (one) => (Array.isArray(one) ? (one[0] in NUMBERS ? sized(one, sizes) : one.map(known)) : typeof one === "string" ? sized(one, sizes) : one);
  const pairs = Object.entries(parameters).map(([name, one]) => [name, PROGRAMS.has(name) || WORDS.has(name) ? one : known(one)]);
  return Object.fromEntries(pairs);
}
