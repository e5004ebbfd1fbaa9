"use strict";

// Palette: the colors of the page, light or dark; canvases take theirs from here, everything else from style.css.

const Palette = (() => {
  const CHOICES = ["auto", "light", "dark"];
  const SHADES = 256;
  const prefersDark = matchMedia("(prefers-color-scheme: dark)");
  let theme = null; // {surface: [hex], colors: {rule: hex}, dashes: {rule: [pixels]}} of the page's data
  let current = null;

  const channels = (color) => [1, 3, 5].map((place) => parseInt(color.slice(place, place + 2), 16));
  const hex = (values) => `#${values.map((value) => Math.max(0, Math.min(255, Math.round(value))).toString(16).padStart(2, "0")).join("")}`;

  // Light and dark change places and the hue stays, as style sheets do with invert(.89) hue-rotate(180deg).
  function flipped(color) {
    const [r, g, b] = channels(color).map((value) => 255 * 0.89 - 0.78 * value);
    return hex([-0.574 * r + 1.43 * g + 0.144 * b, 0.426 * r + 0.43 * g + 0.144 * b, 0.426 * r + 1.43 * g - 0.856 * b]);
  }

  // Colors of `SHADES` probabilities from 0 to 1, through evenly spaced stops, as the bytes of a picture.
  function ramp(stops) {
    const colors = stops.map(channels), shades = new Uint32Array(SHADES), bytes = new Uint8ClampedArray(shades.buffer);
    for (let shade = 0; shade < SHADES; shade++) {
      const place = (shade / (SHADES - 1)) * (colors.length - 1), from = Math.min(Math.floor(place), colors.length - 2);
      for (const part of [0, 1, 2]) bytes[4 * shade + part] = colors[from][part] + (place - from) * (colors[from + 1][part] - colors[from][part]);
      bytes[4 * shade + 3] = 255;
    }
    return shades;
  }

  const DARK_SURFACE = ["#2b6fa8", "#265b88", "#22425e", "#20262d", "#54402a", "#86592a", "#b8732a"];

  function remake() {
    const chosen = document.documentElement.dataset.theme;
    const dark = chosen === "dark" || (chosen !== "light" && prefersDark.matches);
    const style = getComputedStyle(document.documentElement);
    const read = (name) => style.getPropertyValue(name).trim();
    current = {
      dark,
      ink: read("--ink"), soft: read("--soft"), line: read("--line"), paper: read("--paper"), faint: read("--faint"),
      classes: [read("--class-0"), read("--class-1")],
      signs: [read("--negative"), read("--positive")],
      surface: ramp(dark ? DARK_SURFACE : theme.surface),
      rule: (name) => (dark ? flipped(theme.colors[name]) : theme.colors[name]),
      dash: (name) => theme.dashes[name],
    };
  }

  function begin(of, changed) {
    theme = of;
    try {
      choose(localStorage.getItem("ascribe-play-theme") ?? "auto");
    } catch {
      choose("auto"); // where a page from disk may keep nothing
    }
    prefersDark.addEventListener("change", () => { remake(); changed(); });
  }

  function choose(name) {
    document.documentElement.dataset.theme = CHOICES.includes(name) ? name : "auto";
    try {
      localStorage.setItem("ascribe-play-theme", document.documentElement.dataset.theme);
    } catch { /* it is asked again next time */ }
    remake();
  }

  // The next of auto, light and dark; returns its name.
  function next() {
    choose(CHOICES[(CHOICES.indexOf(document.documentElement.dataset.theme) + 1) % CHOICES.length]);
    return document.documentElement.dataset.theme;
  }

  return { begin, next, now: () => current, SHADES };
})();
