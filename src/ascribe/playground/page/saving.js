"use strict";

// Saving: what is seen as a picture, and what was measured as a table.

const Saving = (() => {
  function download(blob, name) {
    const address = URL.createObjectURL(blob);
    Dom.make("a", { href: address, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(address), 10_000);
  }

  // A cell as CSV; one that a spreadsheet would take for a formula gets an apostrophe before it.
  function cell(value) {
    const text = typeof value === "number" ? (Number.isFinite(value) ? String(Number(value.toPrecision(7))) : "") : /^[=+\-@\t\r']/.test(value) ? `'${value}` : value;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }

  // A row for every record of every run.
  function table(session, titles) {
    const { history, plan, stepsInEpoch, apart } = session; // without test points there are no scores of them
    const layers = Math.max(0, ...[...history.runs.values()].flatMap((seeds) => seeds.flatMap((records) => records.map((one) => one.angles.length))));
    const rows = [["rule", "seed", "step", "epoch", "training loss", ...(apart ? ["test loss", "test accuracy"] : ["training accuracy"]), ...Array.from({ length: layers }, (_, layer) => `angle of layer ${layer + 1} (degrees)`)]];
    for (const [name, seeds] of history.runs) {
      seeds.forEach((records, seed) => records.forEach((record, place) => {
        const angles = Array.from({ length: layers }, (_, layer) => record.angles[layer] ?? NaN);
        rows.push([titles[name], plan.seed + seed, history.steps[place], history.steps[place] / stepsInEpoch, record.trainLoss, ...(apart ? [record.testLoss] : []), record.accuracy, ...angles]);
      }));
    }
    return rows.map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
  }

  // The cards and curves as one canvas, with the settings below.
  function picture(app) {
    const scale = 2, gap = 24, side = 260, palette = Palette.now();
    const cards = app.cards.filter((card) => card.learner), across = Math.max(1, Math.min(4, cards.length));
    const width = Math.max(3 * 300, across * (side + gap)) + gap, rows = Math.ceil(cards.length / across);
    const rowHeight = 2 * side + 60, curveHeight = 190, height = 64 + rows * rowHeight + curveHeight + 96;
    const canvas = Canvas.hidden(width * scale, height * scale), context = canvas.getContext("2d");
    context.scale(scale, scale);
    context.fillStyle = palette.paper;
    context.fillRect(0, 0, width, height);
    const write = (text, x, y, size, color = palette.ink, weight = 400) => {
      context.fillStyle = color;
      context.font = `${weight} ${size}px ${Canvas.FONT}`;
      context.fillText(text, x, y);
    };
    write(`${app.dataTitle()}, epoch ${app.session.epochs}`, gap, 38, 20, palette.ink, 600);
    cards.forEach((card, number) => {
      const x = gap + (number % across) * (side + gap), y = 64 + Math.floor(number / across) * rowHeight;
      context.strokeStyle = palette.rule(card.name);
      context.lineWidth = 3;
      context.setLineDash(palette.dash(card.name));
      context.beginPath();
      context.moveTo(x, y + 8);
      context.lineTo(x + 26, y + 8);
      context.stroke();
      context.setLineDash([]);
      write(card.title, x + 34, y + 13, 14, palette.ink, 600);
      write(card.scores.map(([name, value]) => `${name.textContent} ${value.textContent}`).join("   "), x, y + 34, 12, palette.soft);
      fit(context, card.surfaceCanvas, x, y + 44, side, side);
      fit(context, card.networkCanvas, x, y + 50 + side, side, side - 30);
    });
    const y = 64 + rows * rowHeight, each = (width - 2 * gap) / app.curves.length;
    app.curves.forEach((curve, number) => {
      write(curve.canvas.parentElement.querySelector("figcaption span").textContent, gap + number * each, y + 14, 13, palette.ink, 600);
      fit(context, curve.canvas, gap + number * each, y + 22, each - gap / 2, curveHeight);
    });
    write(app.summary(), gap, height - 34, 12, palette.soft);
    return canvas;
  }

  // A canvas into a box, as large as it can be without being stretched.
  function fit(context, canvas, x, y, width, height) {
    if (!canvas.width || !canvas.height) return;
    const scale = Math.min(width / canvas.width, height / canvas.height);
    context.drawImage(canvas, x, y, canvas.width * scale, canvas.height * scale);
  }

  function save(kind, app) {
    const name = `ascribe-play-${app.settings.data}`;
    if (kind === "picture") picture(app).toBlob((blob) => download(blob, `${name}.png`));
    else {
      const titles = Object.fromEntries(Object.entries(app.pageData.rules).map(([rule, { title }]) => [rule, title]));
      download(new Blob([table(app.session, titles)], { type: "text/csv" }), `${name}.csv`);
    }
  }

  return { save, table, picture, download, cell, fit };
})();
