"use strict";

// Main: begins the neuron page, and listens to buttons and keys.

const neuronMain = (() => {
  const { byId } = Dom;

  function listen(app) {
    const themeWords = (name) => (byId("theme-told").textContent = { auto: "Auto", light: "Light", dark: "Dark" }[name]);
    const actions = {
      play: () => app.play(!app.loop.playing),
      step: () => app.advance(0.001),
      restart: () => app.restart(),
      link: () => app.copyLink(),
      picture: () => app.picture().toBlob((blob) => Saving.download(blob, `ascribe-${app.name}.png`)),
      table: () => Saving.download(new Blob([app.table()], { type: "text/csv" }), `ascribe-${app.name}.csv`),
      theme: () => { themeWords(Palette.next()); app.loop.touchAll(); },
    };
    for (const [id, act] of Object.entries(actions)) byId(id).addEventListener("click", act);
    themeWords(document.documentElement.dataset.theme);
    const keys = { " ": actions.play, s: actions.step, r: actions.restart };
    addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const typing = event.target.closest?.("input, select, button, a"), act = keys[event.key.toLowerCase()];
      if (!act || (typing && (event.key === " " || typing.matches("select")))) return;
      event.preventDefault();
      act();
    });
    addEventListener("hashchange", () => Dom.notice(app.follow(location.hash)));
  }

  async function begin() {
    try {
      const data = await PageData.read();
      let app = null;
      Palette.begin(data.theme, () => app && app.loop.touchAll());
      app = new NeuronApp.App(data);
      neuronMain.app = app;
      listen(app);
      document.body.classList.add("ready");
      if (!matchMedia("(prefers-reduced-motion: reduce)").matches) app.play(true);
    } catch (error) {
      Dom.notice(`The page cannot begin: ${error.message}.`);
      throw error;
    }
  }

  return { begin, app: null };
})();

if (typeof document !== "undefined") neuronMain.begin();
