"use strict";

// Charts: each figure's specification waits as JSON in the page; its CSV tables double as the downloads.
for (const figure of document.querySelectorAll("figure[data-name]")) {
  const holder = figure.querySelector(".chart > div");
  const specification = JSON.parse(figure.querySelector("script").textContent);
  const options = { renderer: "svg", actions: false, tooltip: { theme: "light" }, downloadFileName: figure.dataset.name };
  vegaEmbed(holder, specification, options).then(
    (result) => offer(figure, result.view),
    (error) => { holder.textContent = "This figure could not be drawn: " + error.message; });
  const tables = Object.entries(specification.datasets);
  for (const [name, text] of tables) {
    const title = tables.length > 1 ? "CSV " + name.replace("table", "") : "CSV";
    addLink(figure, title, figure.dataset.name + (tables.length > 1 ? "-" + name : "") + ".csv",
      () => "data:text/csv;charset=utf-8," + encodeURIComponent(text));
  }
}

function offer(figure, view) {
  addLink(figure, "SVG", figure.dataset.name + ".svg", null, () => view.toSVG().then(
    (text) => "data:image/svg+xml;charset=utf-8," + encodeURIComponent(text)));
  addLink(figure, "PNG", figure.dataset.name + ".png", null, () => view.toImageURL("png", 2));
}

// The address is made when it is asked for, so that the page does not hold every table twice.
function addLink(figure, title, file, address, promise) {
  const link = document.createElement("a");
  link.textContent = title;
  link.href = "#" + figure.id;
  link.download = file;
  link.addEventListener("click", (event) => {
    if (address) { link.href = address(); return; }
    if (link.href.startsWith("data:")) return;
    event.preventDefault();
    promise().then((made) => { link.href = made; link.click(); });
  });
  const list = figure.querySelector(".downloads");
  list.hidden = false;
  list.append(link);
}

// Sorting: a click on a column title sorts by it, a second click turns the order around; missing values stay last.
for (const button of document.querySelectorAll("thead button")) {
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
