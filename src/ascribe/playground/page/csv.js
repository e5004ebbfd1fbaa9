"use strict";

// Csv: a table of two numeric columns and two classes, read from text. What cannot be read is an Error with one sentence.

const Csv = (() => {
  const LARGEST_TEXT = 5_000_000, MOST_POINTS = 750;
  const CLASS_NAMES = /^(class|label|target|y|species|group|category)$/i;

  // Fields of each line; a field in double quotes may have separators and line ends in it, and "" for a quote.
  function split(text, separator) {
    const rows = [];
    let row = [], field = "", quoted = false;
    for (let place = 0; place < text.length; place++) {
      const one = text[place];
      if (quoted) {
        if (one !== '"') field += one;
        else if (text[place + 1] === '"') { field += one; place++; }
        else quoted = false;
      } else if (one === '"' && field === "") quoted = true;
      else if (one === separator) { row.push(field.trim()); field = ""; }
      else if (one === "\n") { rows.push([...row, field.trim()]); row = []; field = ""; }
      else if (one !== "\r") field += one;
    }
    if (field !== "" || row.length) rows.push([...row, field.trim()]);
    return rows.filter((fields) => fields.some((one) => one !== ""));
  }

  const isNumber = (text) => text !== "" && Number.isFinite(Number(text));

  function separatorOf(text) {
    const line = text.slice(0, 5000).split("\n", 1)[0];
    return [",", ";", "\t"].reduce((best, one) => (line.split(one).length > line.split(best).length ? one : best));
  }

  // {inputs: (2 n), targets: (n), columns: [two], classes: [two], note}: `note` tells what was left out, and is empty where
  // nothing was.
  function read(text) {
    if (text.length > LARGEST_TEXT) throw new Error("The file is larger than 5 MB: choose a smaller one.");
    const rows = split(text.replace(/^\ufeff/, ""), separatorOf(text));
    const width = rows.length ? rows[0].length : 0;
    if (rows.length < 4 || width < 3) {
      throw new Error("A table has two columns of numbers, one of classes, and at least four rows, separated by commas, semicolons or tabs.");
    }
    const named = !rows[0].some(isNumber) || rows[0].every((one, column) => !isNumber(one) || !rows.slice(1).every((row) => isNumber(row[column] || "")));
    const names = named ? rows[0] : rows[0].map((_, column) => `column ${column + 1}`);
    const body = (named ? rows.slice(1) : rows).filter((row) => row.length === width);
    const target = classColumn(names, body);
    const numeric = names.map((_, column) => column).filter((column) => column !== target && body.filter((row) => isNumber(row[column])).length > 0.9 * body.length);
    if (numeric.length < 2) {
      const comma = body.some((row) => row.some((one) => /^[+-]?\d+,\d+$/.test(one)));
      throw new Error(`The table has fewer than two columns of numbers beside its classes${comma ? ": decimals have a point here, as in 1.5, and not a comma" : ""}.`);
    }
    const [first, second] = numeric;
    const whole = body.filter((row) => isNumber(row[first]) && isNumber(row[second]) && row[target] !== "");
    // Of many rows, some from all over the table, which is often sorted by class.
    const kept = whole.length <= MOST_POINTS ? whole : Array.from({ length: MOST_POINTS }, (_, place) => whole[Math.floor((place * whole.length) / MOST_POINTS)]);
    const classes = [...new Set(kept.map((row) => row[target]))].sort();
    if (classes.length !== 2) throw new Error("The rows that can be read are all of one class.");
    const left = (named ? rows.length - 1 : rows.length) - kept.length;
    return {
      inputs: kept.flatMap((row) => [Number(row[first]), Number(row[second])]),
      targets: kept.map((row) => classes.indexOf(row[target])),
      columns: [names[first], names[second]].map(shortened),
      classes: classes.map(shortened),
      note: left ? `${left} rows were left out: ${whole.length > MOST_POINTS ? `${MOST_POINTS} points are enough here` : "they are not whole"}.` : "",
    };
  }

  // The column of the two classes: one that is called so, else the last one with two values.
  function classColumn(names, body) {
    const two = names.map((_, column) => column).filter((column) => new Set(body.map((row) => row[column])).size === 2);
    if (!two.length) throw new Error("The table has no column of exactly two classes.");
    return two.find((column) => CLASS_NAMES.test(names[column])) ?? two[two.length - 1];
  }

  const shortened = (name) => (name.length > 24 ? `${name.slice(0, 22)}…` : name);

  return { read };
})();
