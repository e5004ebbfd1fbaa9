"use strict";

// Dials: speeds and learning rates as sliders have them, and in words.

const Dials = (() => {
  const { byId, make } = Dom;
  const speedWords = (speed) => (Number.isFinite(speed) ? `${speed} steps/s` : "no pause");
  const rateWords = (rate) => String(Number(rate.toPrecision(2)));
  const rateAt = (place) => Number((10 ** Number(place)).toPrecision(2));

  // A slider with its value in words.
  function set(id, value, words) {
    byId(id).value = value;
    if (byId(`${id}-told`)) byId(`${id}-told`).textContent = words;
    byId(id).setAttribute("aria-valuetext", words);
  }

  // A slider for each rule, where each has its own rate. Made anew only where the rules are others, so that a slider that is
  // dragged stays. `app`: {pageData, settings, chosen(), rateOf(name), change(changes)}.
  function showRates(app, own) {
    const place = byId("rates"), names = own ? app.chosen() : [];
    if (place.dataset.names !== names.join("\n")) {
      place.dataset.names = names.join("\n");
      place.replaceChildren(...names.map((name) => make("label", { class: "slider" },
        make("span", {}, make("span", {}, Dom.swatch(name), app.pageData.rules[name].title), make("span", { class: "told", "aria-hidden": "true" })),
        make("input", { type: "range", min: "-4", max: "0.5", step: "0.02", "data-name": name, input: ({ target }) =>
          app.change({ rates: { ...app.settings.rates, [name]: rateAt(target.value) } }) }))));
    }
    for (const input of place.querySelectorAll("input")) {
      const rate = app.rateOf(input.dataset.name);
      input.value = Math.log10(rate);
      input.parentElement.querySelector(".told").textContent = rateWords(rate);
      input.setAttribute("aria-valuetext", rateWords(rate));
    }
  }

  return { speedWords, rateWords, rateAt, set, showRates };
})();
