"use strict";

// Dom: small makers of elements. All text reaches the page as text.

const Dom = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  const byId = (id) => document.getElementById(id);

  // An element with attributes (a function is a listener of that event, `class` and `data-…` as in HTML) and children.
  function make(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (typeof value === "function") made.addEventListener(name, value);
      else if (value === true) made.setAttribute(name, "");
      else if (value !== false && value !== null) made.setAttribute(name, value);
    }
    made.append(...children);
    return made;
  }

  // A group of choices of which one is taken, or `several`; `options`: [{value, label, title, disabled}].
  function radios(place, options, chosen, changed, several = false) {
    const focused = place.contains(document.activeElement) ? document.activeElement.value : null;
    place.replaceChildren(...options.map(({ value, label, title = null, disabled = false, content = [] }) => {
      const input = make("input", { type: several ? "checkbox" : "radio", name: place.id || place.dataset.name, value, disabled, change: () => changed(value) });
      input.checked = several ? chosen.includes(value) : String(value) === String(chosen);
      return make("label", { title }, input, make("span", {}, ...content, label));
    }));
    if (focused !== null) [...place.querySelectorAll("input")].find((one) => one.value === focused)?.focus();
  }

  function options(select, values, chosen, label = (value) => value) {
    select.replaceChildren(...values.map((value) => make("option", { value }, label(value))));
    select.value = chosen;
  }

  // The line of a rule as curves draw it; a `band` is as wide as what it stands above.
  function swatch(name, kind = "swatch") {
    const width = kind === "band" ? 2000 : 26;
    const svg = document.createElementNS(SVG, "svg"), line = document.createElementNS(SVG, "line");
    for (const [key, value] of Object.entries({ class: `line ${kind}`, viewBox: `0 0 ${width} 10`, preserveAspectRatio: "xMinYMid slice", "aria-hidden": "true" })) svg.setAttribute(key, value);
    for (const [key, value] of Object.entries({ x1: 1, x2: width - 1, y1: 5, y2: 5 })) line.setAttribute(key, value);
    line.dataset.rule = name;
    svg.append(line);
    paint(line);
    return svg;
  }

  function paint(line) {
    const palette = Palette.now();
    line.setAttribute("stroke", palette.rule(line.dataset.rule));
    line.setAttribute("stroke-dasharray", palette.dash(line.dataset.rule).join(" "));
  }

  const repaint = () => document.querySelectorAll("svg.line line").forEach(paint);

  // What is under the pointer, beside it; or below `anchor`, for keys. `told`: [heading, [name, value, rule]...] or nothing.
  function tip(told, event, anchor) {
    const box = byId("tip");
    box.hidden = !told;
    if (!told) return;
    const [heading, ...rows] = told;
    box.replaceChildren(make("b", {}, heading), ...rows.map(([name, value, rule]) =>
      name === "" ? make("p", {}, value) : make("div", {}, ...(rule ? [swatch(rule)] : []), make("span", {}, name), make("output", {}, value))));
    const area = anchor.getBoundingClientRect(), byPointer = event && event.clientX !== undefined;
    const [x, y] = byPointer ? [event.clientX + 14, event.clientY + 14] : [area.left + 8, area.bottom + 6];
    const { width, height } = box.getBoundingClientRect();
    box.style.left = `${Math.max(6, Math.min(x, innerWidth - width - 8))}px`;
    box.style.top = `${y + height + 8 > innerHeight ? Math.max(6, (byPointer ? event.clientY : area.top) - height - 12) : y}px`;
    if (!byPointer) say([heading, ...rows.map(([name, value]) => `${name} ${value}`)].join(". "));
  }

  function say(text) {
    byId("live").textContent = text;
  }

  function notice(text) {
    byId("notice").textContent = text;
    byId("notice").hidden = !text;
  }

  return { byId, make, radios, options, swatch, repaint, tip, say, notice };
})();
