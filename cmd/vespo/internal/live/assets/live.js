// Reloads the page when a build has had another result than the one that the page shows. Pages that do not
// say which one they show are not reloaded. Scripts of vespo dev get the events as "vespo-dev" of the document.
(() => {
  "use strict";
  const script = document.currentScript;
  const shown = script.dataset.results;
  const events = script.dataset.events || "/__vespo/events";
  const remembered = "vespo dev: reloaded for";
  let source = null;
  let retry = 0;

  // A page from a cache shows an old result even after a reload. So it is reloaded once for each result.
  function first(results) {
    try {
      if (sessionStorage.getItem(remembered) === results) return false;
      sessionStorage.setItem(remembered, results);
      return true;
    } catch {
      return false; // without storage, a page could reload for ever
    }
  }

  function received(message) {
    const state = JSON.parse(message.data);
    document.dispatchEvent(new CustomEvent("vespo-dev", { detail: state }));
    if (shown && state.results !== shown && first(state.results)) location.reload();
  }

  // Browsers open six HTTP/1 connections to a server, all tabs together. So a tab that is not visible closes its stream.
  function connect() {
    clearTimeout(retry);
    if (source || document.visibilityState === "hidden") return;
    source = new EventSource(events);
    source.onmessage = received;
    source.onerror = () => {
      if (source && source.readyState === EventSource.CLOSED) {
        disconnect();
        retry = setTimeout(connect, 1000);
      }
    };
  }

  function disconnect() {
    if (source) source.close();
    source = null;
  }

  document.addEventListener("visibilitychange", () => (document.visibilityState === "hidden" ? disconnect() : connect()));
  addEventListener("pagehide", disconnect);
  addEventListener("pageshow", connect);
  connect();
})();
