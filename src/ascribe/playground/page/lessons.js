"use strict";

// Lessons: presets with three sentences and a question. A lesson whose rules are not in the page cannot be chosen.

const Lessons = (() => {
  const { byId } = Dom;
  const FREE = {
    id: "free",
    title: "Free play",
    text: ["Each network learns by its own rule, from one start and on the same batches.", "Press play, then change what you like.", "Point at a line to read a weight, its credit, and what backpropagation would have said."],
    question: "Which rule needs the fewest epochs, and is it the same one with other seeds?",
    settings: {},
  };

  const all = (pageData) => [FREE, ...(pageData.lessons ?? [])];
  const missing = (lesson, pageData) => (lesson.settings.rules ?? []).filter((name) => !Object.hasOwn(pageData.rules, name));

  const open = (pageData) => all(pageData).filter((lesson) => !missing(lesson, pageData).length);

  function build(app) {
    const lessons = all(app.pageData);
    Dom.options(byId("lesson"), lessons.map((one) => one.id), app.settings.lesson, (id) => {
      const place = lessons.findIndex((one) => one.id === id), lesson = lessons[place], needs = missing(lesson, app.pageData);
      return `${place ? `${place}. ` : ""}${lesson.title}${needs.length ? ` (needs ${needs.join(", ")})` : ""}`;
    });
    for (const option of byId("lesson").options) option.disabled = missing(lessons.find((one) => one.id === option.value), app.pageData).length > 0;
    byId("lesson").addEventListener("change", ({ target }) => app.choose(lessons.find((one) => one.id === target.value)));
    const move = (by) => {
      const those = open(app.pageData), place = those.findIndex((one) => one.id === app.settings.lesson);
      app.choose(those[(place + by + those.length) % those.length]);
    };
    byId("lesson-before").addEventListener("click", () => move(-1));
    byId("lesson-next").addEventListener("click", () => move(1));
  }

  function show(app) {
    const lesson = all(app.pageData).find((one) => one.id === app.settings.lesson) ?? FREE;
    byId("lesson").value = lesson.id;
    byId("lesson-text").textContent = lesson.text.join(" ");
    byId("lesson-question").textContent = lesson.question;
  }

  return { all, open, build, show };
})();
