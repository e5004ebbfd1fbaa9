"use strict";

// PageData: what Python wrote into the page.

const PageData = (() => {
  // JSON, or JSON that is packed by gzip and written in base64.
  async function read() {
    const element = document.getElementById("page-data");
    if (element.dataset.form === "json") return JSON.parse(element.textContent);
    const bytes = Uint8Array.from(atob(element.textContent), (one) => one.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
  }

  return { read };
})();
