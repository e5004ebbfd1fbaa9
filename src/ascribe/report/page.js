"use strict";

// The page is whole without this script. It adds filters, values at the pointer and by arrow keys, tables of the figures'
// values, pictures to download, and sorting. Names reach the page as text only.

const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const element = (tag, text = "", parent = null) => {
  const made = document.createElement(tag);
  made.textContent = text;
  if (parent) parent.append(made);
  return made;
};

// Filters: what is not chosen gets the class "off". The choice is in the page's address, so that it can be sent.
const boxes = all(".filters input");
const KINDS = { rules: "rule", data: "set" };

function filter() {
  for (const [kind, attribute] of Object.entries(KINDS)) {
    const left = new Set(boxes.filter((box) => box.name === kind && !box.checked).map((box) => box.value));
    for (const one of all(`[data-${attribute}]`)) one.classList.toggle("off", left.has(one.dataset[attribute]));
  }
  const parts = Object.keys(KINDS).map((kind) => [kind, boxes.filter((box) => box.name === kind)]).filter(([, of]) => of.length);
  for (const state of all(".filters .state")) {
    state.textContent = parts.map(([kind, of]) => {
      const chosen = of.filter((box) => box.checked).length;
      return `${chosen === of.length ? "all" : chosen + " of"} ${of.length} ${kind === "data" ? "data sets" : kind}`;
    }).join(", ");
  }
  const chosen = parts.filter(([, of]) => !of.every((box) => box.checked)).map(([kind, of]) =>
    kind + "=" + of.filter((box) => box.checked).map((box) => encodeURIComponent(box.dataset.name)).join(","));
  if (chosen.length || isChoice(location.hash)) history.replaceState(null, "", "#" + chosen.join("&"));
}

function isChoice(hash) {
  return /^#(rules|data)=/.test(hash);
}

function choose(kind, wanted) {
  for (const box of boxes) if (box.name === kind) box.checked = wanted(box);
  filter();
}

function fromAddress() {
  if (!isChoice(location.hash)) return;
  for (const part of location.hash.slice(1).split("&")) {
    const [kind, names = ""] = part.split("=");
    const wanted = new Set(names.split(",").map(decodeURIComponent));
    for (const box of boxes) if (box.name === kind) box.checked = wanted.has(box.dataset.name);
  }
}

for (const nav of all(".filters")) {
  nav.hidden = false;
  nav.addEventListener("change", filter);
  nav.addEventListener("click", ({ target }) => {
    if (target.dataset.all) choose(target.dataset.all, () => true);
    if (target.dataset.none) choose(target.dataset.none, () => false);
  });
}
addEventListener("hashchange", () => { fromAddress(); filter(); });
fromAddress();
filter();

// Downloads: the links hold the tables. A long one goes through a blob, since browsers limit the length of an address.
const texts = new WeakMap();

function textOf(link) {
  if (!texts.has(link)) texts.set(link, decodeURIComponent(link.getAttribute("href").replace(/^[^,]*,/, "")));
  return texts.get(link);
}

for (const link of all(".downloads a")) {
  link.addEventListener("click", () => {
    if (link.href.startsWith("data:")) link.href = URL.createObjectURL(new Blob([textOf(link)], { type: "text/csv" }));
  });
}

for (const figure of all("figure")) {
  offer(figure, "SVG", async () => picture(figure));
  offer(figure, "PNG", async () => {
    const shown = arranged(figure);
    const { width, height } = shown.viewBox.baseVal;
    const image = new Image(2 * width, 2 * height);
    image.src = URL.createObjectURL(written(shown));
    await image.decode();
    const canvas = element("canvas");
    [canvas.width, canvas.height] = [image.width, image.height];
    canvas.getContext("2d").drawImage(image, 0, 0, image.width, image.height);
    return new Promise((resolve) => { canvas.toBlob(resolve, "image/png"); });
  });
}

const SVG = "http://www.w3.org/2000/svg";
const written = (drawing) => new Blob([new XMLSerializer().serializeToString(drawing)], { type: "image/svg+xml" });
const picture = (figure) => written(arranged(figure));
const isSeen = (one) => one.getClientRects().length > 0;

// One drawing of a figure as it is laid out: its panels and legend in their places, and the texts of the page between them.
function arranged(figure) {
  const frame = figure.querySelector(".plot").getBoundingClientRect();
  const whole = document.createElementNS(SVG, "svg");
  const set = (one, values) => { for (const [name, value] of Object.entries(values)) one.setAttribute(name, value); return one; };
  const [width, height] = [Math.ceil(frame.width), Math.ceil(frame.height)];
  set(whole, { xmlns: SVG, width, height, viewBox: `0 0 ${width} ${height}`, "font-family": "Helvetica, Arial, sans-serif" });
  whole.append(set(document.createElementNS(SVG, "rect"), { width, height, fill: "white" }));
  for (const svg of all(".plot svg", figure).filter(isSeen)) {
    const [box, copy] = [svg.getBoundingClientRect(), svg.cloneNode(true)];
    for (const one of all(".off, .spot", copy)) one.remove();
    // Widths of lines and sizes of text are as on the page.
    const scale = svg.viewBox.baseVal.width / box.width;
    const texts = all("text", svg).filter((one) => !one.classList.contains("off"));
    all("text", copy).forEach((one, place) => one.setAttribute("font-size", getComputedStyle(texts[place]).fontSize));
    for (const one of all("[stroke-width]", copy)) one.setAttribute("stroke-width", one.getAttribute("stroke-width") * scale);
    whole.append(set(copy, { x: box.x - frame.x, y: box.y - frame.y, width: box.width, height: box.height }));
  }
  const walker = document.createTreeWalker(figure.querySelector(".plot"), NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode;
    if (!node.data.trim() || node.parentElement.closest("svg")) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const box = range.getBoundingClientRect();
    if (!box.width) continue;
    const made = document.createElementNS(SVG, "text");
    const style = getComputedStyle(node.parentElement);
    made.textContent = node.data.trim();
    const centered = style.textAlign === "center";
    const place = { x: box.x - frame.x + (centered ? box.width / 2 : 0), y: box.y - frame.y + box.height / 2 };
    set(made, { ...place, "text-anchor": centered ? "middle" : "start", "dominant-baseline": "central" });
    set(made, { "font-size": style.fontSize, "font-weight": style.fontWeight });
    whole.append(made);
  }
  return whole;
}

function offer(figure, title, make) {
  const list = figure.querySelector(".downloads");
  if (!list) return;
  const button = element("button", title, list);
  list.append(" ");
  button.type = "button";
  button.addEventListener("click", async () => {
    const link = element("a");
    link.href = URL.createObjectURL(await make());
    link.download = `${figure.id}.${title.toLowerCase()}`;
    link.click();
  });
}

// Class maps during training: a slider shows those of an earlier epoch in the places of the last ones.
const FRAME = 900;

for (const control of all(".epochs")) {
  const [button, slider, output] = ["button", "input", "output"].map((tag) => control.querySelector(tag));
  const epochs = control.dataset.epochs.split(" ").map(Number);
  const maps = all("[data-earlier]", control.parentElement).map((panel) => {
    const image = panel.querySelector("image");
    return [image, [...panel.dataset.earlier.split(" "), image.getAttribute("href")]];
  });
  let playing = null;
  const show = () => {
    const place = Number(slider.value), epoch = epochs[place];
    for (const [image, addresses] of maps) image.setAttribute("href", addresses[place]);
    output.value = epoch === undefined ? "after training" : epoch === 0 ? "before it" : `after epoch ${epoch}`;
    slider.setAttribute("aria-valuetext", output.value);
  };
  const stop = () => {
    clearInterval(playing);
    playing = null;
    button.textContent = "Play";
  };
  const step = () => {
    slider.value = Number(slider.value) + 1;
    show();
    if (Number(slider.value) === epochs.length) stop();
  };
  button.addEventListener("click", () => {
    if (playing) return stop();
    slider.value = Number(slider.value) === epochs.length ? 0 : slider.value;
    show();
    playing = setInterval(step, FRAME);
    button.textContent = "Pause";
  });
  slider.addEventListener("input", () => { stop(); show(); });
  button.hidden = matchMedia("(prefers-reduced-motion: reduce)").matches;
  control.hidden = false;
  show();
}

// Tables of values: read from the downloads, made when they are opened.
const MOST_ROWS = 2000;

function parse(text) {
  const rows = [[]];
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\n]*))(,|\n)/g)) {
    rows.at(-1).push((quoted === undefined ? plain : quoted.replaceAll('""', '"')).replace(/^'/, ""));
    if (end === "\n") rows.push([]);
  }
  rows.pop();
  return { titles: rows.shift(), rows };
}

const brief = (cell) => (cell === "" || Number.isNaN(Number(cell)) ? cell : String(Number(Number(cell).toPrecision(5))));

function fill(details) {
  for (const old of all("div", details)) old.remove();
  const numbers = new Map(boxes.filter((box) => box.name === "rules").map((box) => [box.dataset.name, box]));
  for (const link of all(".downloads a", details.parentElement)) {
    const { titles, rows } = parse(textOf(link));
    const place = titles.indexOf("rule");
    const shown = rows.filter((row) => numbers.get(row[place])?.checked ?? true);
    const holder = element("div", "", details);
    holder.className = "scroll";
    holder.tabIndex = 0;
    const table = element("table", "", holder);
    const more = shown.length > MOST_ROWS ? `; the first ${MOST_ROWS} of ${shown.length} rows, the download has all` : "";
    element("caption", `${link.dataset.title}, to five digits${more}`, table);
    const head = element("tr", "", element("thead", "", table));
    for (const title of titles) element("th", title.replaceAll("_", " "), head).scope = "col";
    const body = element("tbody", "", table);
    for (const row of shown.slice(0, MOST_ROWS)) {
      const line = element("tr", "", body);
      row.forEach((cell, column) => {
        const made = element(column ? "td" : "th", brief(cell), line);
        if (!column) made.scope = "row";
      });
    }
  }
}

for (const details of all("details.values")) {
  details.addEventListener("toggle", () => { if (details.open) fill(details); });
  for (const nav of all(".filters")) {
    nav.addEventListener("change", () => { if (details.open) fill(details); });
    nav.addEventListener("click", () => { if (details.open) fill(details); });
  }
}

// Values at the pointer, and by arrow keys: left and right along a line, up and down from line to line.
const REACH = 30;
const tip = element("div", "", document.body);
tip.className = "tip";
tip.hidden = true;
tip.setAttribute("role", "status");

for (const chart of all("figure .chart")) {
  const link = chart.closest("figure").querySelector(".downloads [data-points]");
  const plot = chart.parentElement;
  if (!link || !chart.querySelector("svg")) continue;
  let lines = null, table = null, at = null;
  const spot = document.createElementNS(SVG, "circle");
  spot.setAttribute("class", "spot");
  spot.setAttribute("r", "6");

  const prepare = () => {
    table ??= parse(textOf(link));
    lines ??= new Map();
    for (const svg of all("svg", chart).filter(isSeen)) {
      if (lines.has(svg)) continue;
      const back = svg.getScreenCTM().inverse();
      lines.set(svg, all("[data-row]", svg).map((mark) => (
        { svg, mark, first: Number(mark.dataset.row), points: vertices(mark, back) })));
    }
  };
  const seen = () => [...lines].filter(([svg]) => isSeen(svg)).flatMap(([, of]) => of).filter((line) => !isOff(line.mark));
  const hide = () => {
    if (at) at.line.mark.classList.remove("at");
    at = null;
    tip.hidden = true;
    spot.remove();
    focusOn(plot, null);
  };
  const show = (line, index) => {
    if (at && at.line === line && at.index === index) return;
    if (at) at.line.mark.classList.remove("at");
    at = { line, index };
    line.mark.classList.add("at");
    focusOn(plot, line.mark.dataset.rule ?? null);
    const [x, y] = line.points[index];
    spot.setAttribute("cx", x);
    spot.setAttribute("cy", y);
    line.svg.append(spot);
    tell(table, line.first + index);
    const place = new DOMPoint(x, y).matrixTransform(line.svg.getScreenCTM());
    const right = place.x + 16 + tip.offsetWidth > document.documentElement.clientWidth;
    tip.style.left = Math.max(4, right ? place.x - 16 - tip.offsetWidth : place.x + 16) + "px";
    tip.style.top = Math.max(4, Math.min(place.y + 12, innerHeight - tip.offsetHeight - 8)) + "px";
  };
  chart.addEventListener("pointermove", (event) => {
    prepare();
    let best = REACH * REACH, found = null;
    const places = new Map();
    for (const line of seen()) {
      if (!places.has(line.svg)) {
        const matrix = line.svg.getScreenCTM();
        places.set(line.svg, [new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse()), matrix.a]);
      }
      const [{ x, y }, scale] = places.get(line.svg);
      line.points.forEach((point, index) => {
        const distance = ((point[0] - x) ** 2 + (point[1] - y) ** 2) * scale ** 2;
        if (distance < best) [best, found] = [distance, [line, index]];
      });
    }
    if (found) show(...found); else hide();
  });
  chart.addEventListener("pointerleave", hide);
  chart.addEventListener("blur", hide);
  chart.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (event.key === "Escape") hide();
    if (!step || event.ctrlKey || event.altKey || event.metaKey) return;
    prepare();
    const shown = seen();
    if (!shown.length) return;
    event.preventDefault();
    const place = at ? Math.max(0, shown.indexOf(at.line)) : 0;
    const line = shown[(place + (at ? step[0] : 0) + shown.length) % shown.length];
    const index = at ? at.index + step[1] : 0;
    show(line, Math.max(0, Math.min(index, line.points.length - 1)));
  });
}

// One rule of a figure stands out, the others fade: that of the line at the pointer, or of the legend's entry.
function focusOn(plot, rule) {
  plot.classList.toggle("focus", rule !== null);
  for (const one of all("[data-rule]", plot)) one.classList.toggle("near", one.dataset.rule === rule);
}

for (const entry of all(".legend [data-rule]")) {
  const plot = entry.closest(".plot");
  for (const kind of ["pointerenter", "focusin"]) entry.addEventListener(kind, () => focusOn(plot, entry.dataset.rule));
  for (const kind of ["pointerleave", "focusout"]) entry.addEventListener(kind, () => focusOn(plot, null));
}

const isOff = (mark) => mark.closest(".off") !== null;

// Where the rows of a mark are drawn, in the drawing's own units.
function vertices(mark, back) {
  const matrix = back.multiply(mark.getScreenCTM());
  const found = mark.hasAttribute("transform") ? [["", 0, 0]] : mark.getAttribute("d").matchAll(/[ML]([^,]+),([^A-Za-z]+)/g);
  return Array.from(found, ([, x, y]) => {
    const point = new DOMPoint(Number(x), Number(y)).matrixTransform(matrix);
    return [point.x, point.y];
  });
}

function tell({ titles, rows }, number) {
  tip.replaceChildren();
  titles.forEach((title, column) => {
    const cell = rows[number]?.[column];
    if (cell === undefined || cell === "") return;
    const line = element("div", "", tip);
    element("span", title.replaceAll("_", " ") + " ", line);
    element("b", brief(cell).replaceAll("_", " "), line);
  });
  tip.hidden = false;
}

// A click on a name of a legend singles it out; a second one shows all again.
document.addEventListener("click", ({ target }) => {
  const entry = target.closest(".legend [data-rule]");
  if (!entry) return;
  const rules = boxes.filter((box) => box.name === "rules");
  const alone = rules.every((box) => box.checked === (box.value === entry.dataset.rule));
  choose("rules", (box) => alone || box.value === entry.dataset.rule);
});

// Sorting: a click on a column title sorts by it, a second click turns the order around; missing values stay last.
for (const button of all("thead button")) {
  button.addEventListener("click", () => {
    const title = button.closest("th");
    const table = title.closest("table");
    const column = title.cellIndex;
    const down = title.getAttribute("aria-sort") === "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    title.setAttribute("aria-sort", down ? "descending" : "ascending");
    const value = (row) => row.cells[column].dataset.value;
    const rows = [...table.tBodies[0].rows].sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x === "" || y === "") return (x === "") - (y === "");
      const order = title.dataset.kind === "text" ? x.localeCompare(y) : Number(x) - Number(y);
      return down ? -order : order;
    });
    table.tBodies[0].append(...rows);
  });
}
