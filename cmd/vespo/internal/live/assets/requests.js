// Replaces the content of the page when there are new requests, log lines or results of builds.
(() => {
  "use strict";
  let seen = "";
  let wanted = "";
  let busy = false;

  async function update() {
    if (busy) return;
    busy = true;
    try {
      while (seen !== wanted) {
        const next = wanted;
        const response = await fetch(location.pathname, { headers: { Accept: "text/html" } });
        const page = new DOMParser().parseFromString(await response.text(), "text/html");
        document.querySelector("main").replaceWith(page.querySelector("main"));
        seen = next;
      }
    } catch {
      // The server has ended. Another one announces itself with other results.
    } finally {
      busy = false;
    }
  }

  document.addEventListener("vespo-dev", (event) => {
    wanted = event.detail.results + " " + event.detail.entries + " " + Boolean(event.detail.building);
    update();
  });
})();
