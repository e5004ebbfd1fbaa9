"use strict";

// Controls: the settings beside the networks. A control tells what it stands for to `app.change`, and `show` sets all controls
// by the settings.

const Controls = (() => {
  const { byId, make } = Dom;
  const SPEEDS = [2, 10, 30, 60, 240, Infinity];
  const { speedWords, rateWords, rateAt, showRates } = Dials;
  const OWN = { drawn: "Draw", file: "CSV file" };

  const depthOf = (architecture) => architecture.split("-").length - 2;
  const widthOf = (architecture) => architecture.split("-").slice(1, -1).join("-");
  const batches = (pageData) => pageData.batches ?? [1, 4, 8, 16, 32, 64];

  function build(app) {
    const { pageData } = app;
    const live = (id, read) => byId(id).addEventListener("input", () => app.change(read(byId(id))));
    live("noise", (one) => ({ noise: Number(one.value) }));
    live("points", (one) => ({ points: Number(one.value) }));
    live("speed", (one) => ({ speed: Number(one.value) }));
    live("rate", (one) => ({ rate: rateAt(one.value) }));
    live("batch", (one) => ({ batch: batches(pageData)[one.value] }));
    live("seeds", (one) => ({ seeds: Number(one.value) }));
    byId("test").addEventListener("change", ({ target }) => app.change({ test: target.checked }));
    byId("redraw").addEventListener("click", () => app.change({ dataSeed: app.settings.dataSeed + 1 }));
    byId("reseed").addEventListener("click", () => app.reseed());
    byId("undrag").addEventListener("click", () => app.change({ dragged: {} }));
    byId("clear").addEventListener("click", () => app.change({ drawn: [] }));
    byId("file").addEventListener("change", ({ target }) => target.files[0] && app.readFile(target.files[0]));
    byId("activation").addEventListener("change", ({ target }) => app.change({ activation: target.value }));
    byId("optimizer").addEventListener("change", ({ target }) => app.change({ optimizer: target.value, rate: pageData.rates?.[target.value] ?? app.settings.rate, rates: {} }));
    byId("own-rates").addEventListener("change", ({ target }) =>
      app.change({ rates: target.checked ? Object.fromEntries(app.chosen().map((name) => [name, app.settings.rate])) : {} }));
    Dom.options(byId("activation"), pageData.activations, app.settings.activation);
    Dom.options(byId("optimizer"), pageData.optimizers, app.settings.optimizer);
    byId("batch").max = batches(pageData).length - 1;
    byId("settings").addEventListener("submit", (event) => event.preventDefault());
    const narrow = matchMedia("(max-width: 56rem)");
    if (narrow.matches) document.querySelectorAll("#settings details").forEach((one) => (one.open = false));
    buildRules(app);
  }

  // A row for each rule, the control last, with the rule's options below it.
  function buildRules(app) {
    const { rules, control } = app.pageData;
    const row = (name, input, title) => make("label", { class: "check", title: rules[name].summary }, input, Dom.swatch(name), make("span", {}, title));
    const rows = Object.keys(rules).filter((name) => name !== control).flatMap((name) => {
      const input = make("input", { type: "checkbox", value: name, "data-choice": "rule", change: () => {
        const chosen = [...byId("rules").querySelectorAll("[data-choice=rule]:checked")].map((one) => one.value);
        app.change({ rules: chosen });
      } });
      const options = Object.entries(rules[name].hyperparameters ?? {});
      return options.length ? optionsOf(app, name, options, row(name, input, rules[name].title)) : [row(name, input, rules[name].title)];
    });
    if (control) {
      const input = make("input", { type: "checkbox", "data-choice": "control", change: ({ target }) => app.change({ control: target.checked }) });
      const label = row(control, input, "Control: only the last layer learns");
      label.classList.add("control");
      rows.push(label);
    }
    byId("rules").replaceChildren(...rows);
  }

  // The rule's row with a button that shows its options below.
  function optionsOf(app, name, options, row) {
    const panel = make("div", { class: "options", hidden: true });
    const more = make("button", { type: "button", class: "more", "aria-expanded": "false", "aria-label": `Options of ${app.pageData.rules[name].title}`, click: () => {
      panel.hidden = !panel.hidden;
      more.setAttribute("aria-expanded", String(!panel.hidden));
    } }, "⋯");
    panel.append(...options.map(([option, usual]) => {
        const key = `${name}.${option}`;
        const input = make("input", { type: "number", step: "any", value: String(usual), "data-option": key, "data-usual": String(usual), change: ({ target }) => {
          const value = Number(target.value), { [key]: _, ...others } = app.settings.options;
          if (target.value === "" || !Number.isFinite(value) || Math.abs(value) > 1e6) target.value = String(app.settings.options[key] ?? usual);
          else app.change({ options: value === usual ? others : { ...others, [key]: value } });
        } });
        return make("label", { class: "field" }, make("span", {}, option.replaceAll("_", " ")), input);
      }));
    return [make("div", { class: "row" }, row, more), panel];
  }

  function show(app) {
    const { settings, pageData, session } = app;
    const { set } = Dials;
    set("noise", settings.noise, settings.noise.toFixed(2));
    set("points", settings.points, String(settings.points));
    set("speed", settings.speed, speedWords(SPEEDS[settings.speed]));
    const own = Object.keys(settings.rates).length > 0;
    set("rate", Math.log10(settings.rate), own ? "by rule" : rateWords(settings.rate));
    set("batch", batches(pageData).indexOf(settings.batch), String(settings.batch));
    set("seeds", settings.seeds, String(settings.seeds));
    byId("rate").disabled = own;
    byId("own-rates").checked = own;
    byId("test").checked = settings.test;
    byId("test").parentElement.hidden = !session.apart;
    byId("seed-told").textContent = settings.seeds > 1 ? `${settings.seed} to ${settings.seed + settings.seeds - 1}` : String(settings.seed);
    byId("activation").value = settings.activation;
    byId("optimizer").value = settings.optimizer;
    for (const box of byId("rules").querySelectorAll("[data-choice]")) {
      box.checked = box.dataset.choice === "control" ? settings.control : settings.rules.includes(box.value);
    }
    for (const input of byId("rules").querySelectorAll("[data-option]")) {
      if (input !== document.activeElement) input.value = settings.options[input.dataset.option] ?? input.dataset.usual;
    }
    showRates(app, own);
    showInputs(app);
    showArchitecture(app);
    showData(app);
    byId("data-told").textContent = session ? dataWords(session.data, app) : "";
  }

  function dataWords(data, app) {
    const test = data.targets.length - data.training, kept = test ? `${data.training} points train, ${test} test.` : `${data.training} points, all for training.`;
    const named = app.settings.data === "file" ? ` ${data.columns[0]} and ${data.columns[1]}, standardized; class 0 is ${data.classes[0]}, class 1 is ${data.classes[1]}. ${app.file.note}` : "";
    return kept + named;
  }

  // At least one is chosen: the last one stays.
  function showInputs(app) {
    const { inputs } = app.settings, known = Object.entries(Features.KNOWN), { columns } = app.session.data;
    const options = known.map(([value, { label, name }]) => ({ value, label, title: name(...columns), disabled: inputs.length === 1 && inputs[0] === value }));
    Dom.radios(byId("inputs"), options, inputs, (changed) => app.change({ inputs: known.map(([name]) => name).filter((name) => inputs.includes(name) !== (name === changed)) }), true);
  }

  function showArchitecture(app) {
    const { architectures } = app.pageData, now = app.settings.architecture;
    const depths = [...new Set(architectures.map(depthOf))].sort((a, b) => a - b);
    Dom.radios(byId("depth"), depths.map((depth) => ({ value: depth, label: String(depth) })), depthOf(now), (depth) => {
      const those = architectures.filter((one) => depthOf(one) === depth);
      const of = (architecture) => those.find((one) => widthOf(one).split("-")[0] === widthOf(architecture).split("-")[0]);
      app.change({ architecture: of(now) ?? of(app.usual.architecture) ?? those[those.length - 1] });
    });
    const those = architectures.filter((one) => depthOf(one) === depthOf(now));
    const label = (architecture) => (depthOf(architecture) ? [...new Set(widthOf(architecture).split("-"))].join("-") : "none");
    Dom.radios(byId("width"), those.map((one) => ({ value: one, label: label(one) })), now, (architecture) => app.change({ architecture }));
  }

  function showData(app) {
    const { settings } = app, made = Object.hasOwn(Datasets.MADE, settings.data);
    byId("made").hidden = !made;
    byId("drawing").hidden = settings.data !== "drawn";
    Dom.radios(byId("pen"), [0, 1].map((label) => ({ value: label, label: `Class ${label}`, content: [thumbnail(() => Datasets.drawn([[0, 0, label]]), 1)] })), app.pen, (label) => (app.pen = label));
    const tile = (name) => (Object.hasOwn(Datasets.MADE, name) ? Datasets.MADE[name].title : name === "file" && app.file?.name ? app.file.name : OWN[name]);
    const names = [...Object.keys(Datasets.MADE), "drawn", "file"];
    if (byId("datasets").dataset.drawnFor === `${settings.data} ${Palette.now().dark} ${app.file?.name}`) return;
    byId("datasets").dataset.drawnFor = `${settings.data} ${Palette.now().dark} ${app.file?.name}`;
    Dom.radios(byId("datasets"), names.map((name) => ({ value: name, label: tile(name), content: [tilePicture(name)] })), settings.data, (name) => app.chooseData(name));
  }

  function tilePicture(name) {
    if (Object.hasOwn(Datasets.MADE, name)) return thumbnail(() => Datasets.make(name, { count: 90, noise: Datasets.MADE[name].noise * 0.6, seed: 3 }), 0.8);
    return make("span", { class: "sign", "aria-hidden": "true" }, name === "drawn" ? "✎" : "⇪");
  }

  function thumbnail(points, size) {
    const canvas = Canvas.hidden(88, 88), context = canvas.getContext("2d"), { inputs, targets } = points(), palette = Palette.now();
    canvas.setAttribute("aria-hidden", "true");
    targets.forEach((label, row) => {
      context.beginPath();
      Surface.mark(context, label, (inputs[2 * row] / 2.7 + 1) * 44, (1 - inputs[2 * row + 1] / 2.7) * 44, targets.length === 1 ? 30 * size : 4.4 * size);
      context.fillStyle = palette.classes[label];
      context.fill();
    });
    return canvas;
  }

  return { build, show, SPEEDS, batches, depthOf };
})();
