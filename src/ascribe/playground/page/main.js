"use strict";

// Main: reads the page's data, makes the engine and the app, and listens to buttons and keys.

const main = (() => {
  const { byId } = Dom;

  // The data points that came with the page.
  function withPoints(data) {
    if (!data.data?.table) return data;
    const { table, name } = data.data;
    return { ...data, data: { name, points: Datasets.ofTable(table), note: table.note ?? "" } };
  }

  function listen(app) {
    const themeWords = (name) => (byId("theme-told").textContent = { auto: "Auto", light: "Light", dark: "Dark" }[name]);
    const actions = {
      play: () => app.play(!app.loop.playing),
      step: () => app.advance(1),
      epoch: () => app.advance(app.session.stepsInEpoch - app.session.place),
      restart: () => app.restart(),
      link: () => app.copyLink(),
      picture: () => Saving.save("picture", app),
      table: () => Saving.save("table", app),
      theme: () => { themeWords(Palette.next()); repaint(app); },
      keys: () => byId("help").showModal(),
    };
    for (const [id, act] of Object.entries(actions)) byId(id).addEventListener("click", act);
    themeWords(document.documentElement.dataset.theme);
    const keys = { " ": actions.play, s: actions.step, e: actions.epoch, r: actions.restart, n: () => app.reseed() };
    addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open || !byId("shortcuts").checked) return;
      const typing = event.target.closest?.("input, select, textarea, button, summary, a");
      const act = keys[event.key.toLowerCase()];
      if (!act || (typing && (event.key === " " || typing.matches("select, [type=number]")))) return;
      event.preventDefault();
      act();
    });
    addEventListener("hashchange", () => app.follow(location.hash));
  }

  function repaint(app) {
    Dom.repaint();
    app.loop.touchAll();
    Controls.show(app);
  }

  async function begin() {
    try {
      const data = withPoints(await PageData.read());
      let app = null;
      Palette.begin(data.theme, () => app && repaint(app));
      app = new App.App(await Ascribe.load(data), data);
      listen(app);
      main.app = app;
      document.body.classList.add("ready");
      performance.mark("ready");
    } catch (error) {
      Dom.notice(`The page cannot begin: ${error.message}.`);
      throw error;
    }
  }

  return { begin, app: null };
})();

if (typeof document !== "undefined") main.begin();
