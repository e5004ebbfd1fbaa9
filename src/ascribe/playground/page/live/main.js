"use strict";

// Main: reads the page's data, makes the app, and listens to buttons and keys.

const main = (() => {
  const { byId } = Dom;

  function listen(app) {
    const themeWords = (name) => (byId("theme-told").textContent = { auto: "Auto", light: "Light", dark: "Dark" }[name]);
    const actions = {
      play: () => app.do(app.playing ? "pause" : "play"),
      step: () => app.do("step"),
      epoch: () => app.do("epoch"),
      restart: () => app.do("restart"),
      reseed: () => app.reseed(),
      again: () => location.reload(),
      picture: () => LiveSaving.save("picture", app),
      table: () => LiveSaving.save("table", app),
      theme: () => { themeWords(Palette.next()); repaint(app); },
      keys: () => byId("help").showModal(),
    };
    for (const [id, act] of Object.entries(actions)) byId(id).addEventListener("click", act);
    themeWords(document.documentElement.dataset.theme);
    byId("rate").addEventListener("input", ({ target }) => app.change({ rate: Dials.rateAt(target.value) }));
    byId("speed").addEventListener("input", ({ target }) => app.change({ speed: Number(target.value) }));
    byId("own-rates").addEventListener("change", ({ target }) => app.change({ rates: target.checked ? Object.fromEntries(app.chosen().map((name) => [name, app.rateOf(name)])) : {} }));
    byId("settings").addEventListener("submit", (event) => event.preventDefault());
    const keys = { " ": actions.play, s: actions.step, e: actions.epoch, r: actions.restart, n: actions.reseed };
    addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open || !byId("shortcuts").checked) return;
      const typing = event.target.closest?.("input, select, textarea, button, summary, a");
      const act = keys[event.key.toLowerCase()];
      if (!act || (typing && (event.key === " " || typing.matches("select")))) return;
      event.preventDefault();
      act();
    });
    if (matchMedia("(max-width: 56rem)").matches) document.querySelectorAll("#settings details").forEach((one) => (one.open = false));
  }

  function repaint(app) {
    Dom.repaint();
    app.loop.touchAll();
  }

  async function begin() {
    try {
      const data = await PageData.read();
      let app = null;
      Palette.begin(data.theme, () => app && repaint(app));
      app = new App.App(data);
      listen(app);
      main.app = app;
      document.body.classList.add("ready");
    } catch (error) {
      Dom.notice(`The page cannot begin: ${error.message}.`);
      throw error;
    }
  }

  return { begin, app: null };
})();

if (typeof document !== "undefined") main.begin();
