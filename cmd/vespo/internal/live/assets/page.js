// Shows how long a build has been running.
(() => {
  "use strict";
  const clock = document.querySelector("[data-elapsed]");
  const bar = document.querySelector("[data-building]");
  const text = document.querySelector("[data-building-text]");
  const idle = text && text.textContent;
  let began = clock ? performance.now() - Number(clock.dataset.elapsed) : 0;

  function tick() {
    const seconds = ((performance.now() - began) / 1000).toFixed(1) + " s";
    if (clock) clock.textContent = seconds;
    if (text && began) text.textContent = "Building again for " + seconds + ".";
  }

  document.addEventListener("vespo-dev", (event) => {
    const building = event.detail.building;
    began = building ? performance.now() - building : 0;
    if (bar) bar.hidden = !building;
    if (text && !building) text.textContent = idle;
  });
  setInterval(() => began && tick(), 100);
})();
