"use strict";

// Link: all settings as text behind the # of the page's address, and back. Nothing of a link is believed: every value must be
// one of those that the page has, or a number in its range; else the link is refused whole, with one sentence.

const Link = (() => {
  const LONGEST = 8000, MOST_DRAGGED = 32;

  // How each setting is read of text, by the choices of the page; `undefined` where it is none.
  const oneOf = (field) => (text, choices) => (choices[field].includes(text) ? text : undefined);
  const number = (from, to, whole = false) => (text) => {
    const value = Number(text);
    const fits = /^-?[0-9.]+(e-?[0-9]+)?$/.test(text) && value >= from && value <= to && (!whole || Number.isInteger(value));
    return fits ? value : undefined;
  };
  const yes = (text) => ({ yes: true, no: false })[text];
  // Items of a list are encoded each, for a rule's name may have a comma.
  const items = (text) => (text === "" ? [] : text.split(","));
  const names = (text, choices) => {
    const found = items(text).map(decodeURIComponent);
    return found.every((name) => choices.rules.includes(name)) && new Set(found).size === found.length ? found : undefined;
  };
  const features = (text) => {
    const found = Object.keys(Features.KNOWN).filter((name) => items(text).includes(name));
    return found.length && found.length === items(text).length ? found : undefined;
  };
  const perRule = (read, known = isOfRule, most = Infinity) => (text, choices) => {
    const found = new Map();
    for (const item of items(text)) {
      const cut = item.lastIndexOf(":");
      const key = decodeURIComponent(item.slice(0, cut)), value = read(item.slice(cut + 1));
      if (!known(key, choices) || value === undefined) return undefined;
      found.set(key, value);
    }
    return found.size <= most ? Object.fromEntries(found) : undefined;
  };
  const points = (text) => {
    if (!/^[A-Za-z0-9_-]{0,2000}$/.test(text)) return undefined;
    try {
      return Datasets.fromText(text);
    } catch {
      return undefined;
    }
  };
  const table = (text) => (text === "" || Datasets.ofText(text) ? text : undefined);

  // A feedback weight by its rule (whose name may have colons), its matrix and its place in that.
  function weightOf(key) {
    const parts = key.split(":");
    return { rule: parts.slice(0, -2).join(":"), matrix: parts.at(-2) ?? "", place: Number(parts.at(-1)) };
  }
  const isWeight = (key, { rules }) => {
    const { rule, matrix, place } = weightOf(key);
    return rules.includes(rule) && /^.{1,60}$/.test(matrix) && Number.isInteger(place) && place >= 0;
  };
  const isOfRule = (key, { keys }) => keys.includes(key);

  const FIELDS = {
    data: oneOf("data"),
    noise: number(0, 1),
    points: number(40, 1000, true),
    test: yes,
    dataSeed: number(0, 1e6, true),
    drawn: points,
    table,
    rules: names,
    control: yes,
    architecture: oneOf("architectures"),
    inputs: features,
    activation: oneOf("activations"),
    optimizer: oneOf("optimizers"),
    rate: number(1e-5, 10),
    rates: perRule(number(1e-5, 10)),
    options: perRule(number(-1e6, 1e6)),
    batch: (text, choices) => choices.batches.find((one) => String(one) === text),
    seed: number(0, 1e6, true),
    seeds: number(1, 8, true),
    speed: number(0, 5, true),
    lesson: oneOf("lessons"),
    compact: yes,
    dragged: perRule(number(-1e6, 1e6), isWeight, MOST_DRAGGED),
  };

  // A number in few digits: 0.30000000000000004 becomes 0.3.
  const short = (value) => String(Number(value.toPrecision(6)));

  function written(name, value) {
    if (name === "drawn") return Datasets.toText(value);
    if (["rates", "options", "dragged"].includes(name)) return Object.entries(value).map(([key, one]) => `${encodeURIComponent(key)}:${short(one)}`).join(",");
    if (Array.isArray(value)) return value.map(encodeURIComponent).join(",");
    if (typeof value === "boolean") return value ? "yes" : "no";
    return typeof value === "number" ? short(value) : value;
  }

  // What a link is compared with: the usual settings, or those of its lesson.
  const begin = (usual, lesson, { presets }) => ({ ...usual, ...(Object.hasOwn(presets, lesson) ? presets[lesson] : {}) });

  // The text of the settings that are other than the usual ones, or than their lesson's; without the #.
  function encode(settings, usual, choices) {
    const base = { ...begin(usual, settings.lesson, choices), lesson: usual.lesson };
    const parts = Object.keys(FIELDS).map((name) => [name, written(name, settings[name]), written(name, base[name])]);
    return parts.filter(([, now, before]) => now !== before).map(([name, now]) => `${name}=${encodeURIComponent(now)}`).join("&");
  }

  // {settings, problem}: `usual`, or its lesson's settings, with what the link says, or as it is with a sentence where the link says something else.
  function decode(hash, usual, choices) {
    const text = hash.replace(/^#/, "");
    if (text === "") return { settings: usual, problem: "" };
    const refuse = (reason) => ({ settings: usual, problem: `The link was not used: ${reason}.` });
    if (text.length > LONGEST) return refuse("it is too long");
    const lesson = text.split("&").find((part) => part.startsWith("lesson="))?.slice("lesson=".length);
    const settings = begin(usual, lesson, choices);
    for (const part of text.split("&")) {
      const cut = part.indexOf("=");
      const name = cut < 0 ? part : part.slice(0, cut);
      if (cut < 0 || !Object.hasOwn(FIELDS, name)) return refuse("it names a setting that this page does not have");
      let value;
      try {
        value = FIELDS[name](decodeURIComponent(part.slice(cut + 1)), choices);
      } catch {
        value = undefined;
      }
      if (value === undefined) return refuse(`its value of “${name}” is none that this page has`);
      settings[name] = value;
    }
    if (settings.data === "file" && !settings.table && !choices.file) return refuse("the points of its CSV file are not in it: too many, or too far out");
    return { settings, problem: "" };
  }

  return { encode, decode, weightOf, FIELDS, MOST_DRAGGED };
})();
