"use strict";

// LiveSaving: what was measured as a table, and what is seen as a picture.

const LiveSaving = (() => {
  // A row for every frame of every rule.
  function table({ history, pageData, seed }) {
    const { rules, stepsInEpoch, score } = pageData, layers = Math.max(...Object.values(rules).map((one) => one.layers.length));
    const numbered = (words) => Array.from({ length: layers }, (_, layer) => `${words} of layer ${layer + 1}`);
    const rows = [["rule", "seed", "step", "epoch", "loss of batches", "training loss", `training ${score}`, "validation loss", `validation ${score}`, ...numbered("angle (degrees)"), ...numbered("norm ratio"), ...numbered("active share")]];
    for (const [name, [records]] of history.runs) {
      records.forEach((one, place) => rows.push([
        rules[name].title, seed, history.steps[place], history.steps[place] / stepsInEpoch,
        one.batches, one.sampleLoss, one.sampleScore, one.validationLoss, one.validationScore,
        ...Array.from({ length: layers }, (_, layer) => one.angles[layer] ?? NaN),
        ...Array.from({ length: layers }, (_, layer) => one.ratios[layer] ?? NaN),
        ...Array.from({ length: layers }, (_, layer) => one.active[rules[name].hidden.indexOf(layer)] ?? NaN),
      ]));
    }
    return rows.map((row) => row.map(Saving.cell).join(",")).join("\r\n") + "\r\n";
  }

  function picture(app) {
    const scale = 2, gap = 24, side = 280, palette = Palette.now(), { cards, panels } = app;
    const across = Math.max(1, Math.min(4, cards.length)), down = Math.ceil(cards.length / across), cardHigh = 370;
    const width = Math.max(3 * 320, across * (side + gap)) + gap, height = 64 + down * cardHigh + 2 * 230 + 40;
    const canvas = Canvas.hidden(width * scale, height * scale), context = canvas.getContext("2d");
    context.scale(scale, scale);
    context.fillStyle = palette.paper;
    context.fillRect(0, 0, width, height);
    const write = (text, x, y, size, color = palette.ink, weight = 400) => {
      context.fillStyle = color;
      context.font = `${weight} ${size}px ${Canvas.FONT}`;
      context.fillText(text, x, y, width - x - 8);
    };
    write(`${app.pageData.data.title}, epoch ${app.epoch}`, gap, 38, 20, palette.ink, 600);
    cards.forEach((card, number) => {
      const x = gap + (number % across) * (side + gap), y = 64 + Math.floor(number / across) * cardHigh;
      context.fillStyle = palette.rule(card.name);
      context.fillRect(x, y + 6, 26, 3);
      write(card.title, x + 34, y + 13, 14, palette.ink, 600);
      write(card.scores.map(([name, value]) => `${name.textContent} ${value.textContent}`).join("   "), x, y + 34, 12, palette.soft);
      Saving.fit(context, card.units, x, y + 46, side, 190);
      Saving.fit(context, card.spread, x, y + 246, side, 110);
    });
    panels.all.forEach((curve, number) => {
      const [row, place, of] = number < 2 ? [0, number, 2] : [1, number - 2, 3], each = (width - 2 * gap) / of;
      const x = gap + place * each, y = 64 + down * cardHigh + row * 230;
      write(curve.canvas.parentElement.querySelector("figcaption span").textContent, x, y + 14, 13, palette.ink, 600);
      Saving.fit(context, curve.canvas, x, y + 22, each - gap / 2, 190);
    });
    write(app.summary(), gap, height - 16, 12, palette.soft);
    return canvas;
  }

  function save(kind, app) {
    const name = `ascribe-play-${app.pageData.data.name.replaceAll(/[^A-Za-z0-9_-]+/g, "-")}`;
    if (kind === "picture") picture(app).toBlob((blob) => Saving.download(blob, `${name}.png`));
    else Saving.download(new Blob([table(app)], { type: "text/csv" }), `${name}.csv`);
  }

  return { save, table, picture };
})();
