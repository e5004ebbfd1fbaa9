"use strict";

// Features: what of a point's two numbers networks are given, and what these inputs are called.

const Features = (() => {
  // `sign`: in a unit of the picture; `name`: of the names of the two columns.
  const KNOWN = {
    x1: { label: "x₁", sign: "x₁", name: (a) => a, of: (x) => x },
    x2: { label: "x₂", sign: "x₂", name: (a, b) => b, of: (x, y) => y },
    x1x1: { label: "x₁²", sign: "x₁²", name: (a) => `${a} squared`, of: (x) => x * x },
    x2x2: { label: "x₂²", sign: "x₂²", name: (a, b) => `${b} squared`, of: (x, y) => y * y },
    x1x2: { label: "x₁x₂", sign: "x₁x₂", name: (a, b) => `${a} times ${b}`, of: (x, y) => x * y },
    sinx1: { label: "sin x₁", sign: "s₁", name: (a) => `the sine of ${a}`, of: (x) => Math.sin(x) },
    sinx2: { label: "sin x₂", sign: "s₂", name: (a, b) => `the sine of ${b}`, of: (x, y) => Math.sin(y) },
  };
  const USUAL = ["x1", "x2"];

  // The chosen inputs of points (x, y), row by row.
  function of(points, chosen) {
    if (chosen.join() === USUAL.join()) return points;
    const count = points.length / 2, functions = chosen.map((name) => KNOWN[name].of), found = new Float32Array(count * chosen.length);
    for (let row = 0, place = 0; row < count; row++) for (const one of functions) found[place++] = one(points[2 * row], points[2 * row + 1]);
    return found;
  }

  // What the inputs are called, after what a rule makes of them that wants no negative numbers, or a constant one beside them.
  const ENCODED = {
    "split-signs": (rows) => [["+", ", positive part"], ["−", ", negative part"]].flatMap(([sign, words]) => rows.map((one) => ({ sign: one.sign + sign, name: one.name + words }))),
    "constant-one": (rows) => [...rows, { sign: "1", name: "1" }],
  };

  function names(chosen, columns, encoding = []) {
    return encoding.reduce((rows, one) => ENCODED[one](rows), chosen.map((one) => ({ sign: KNOWN[one].sign, name: KNOWN[one].name(...columns) })));
  }

  return { KNOWN, USUAL, of, names };
})();
