// Films side by side: one set of controls, and one time for all of them. Without it each film has its own.
"use strict";
(() => {
  const NEAR_S = 0.03; // less than a frame: nobody sees it
  const FAR_S = 0.15; // more than a small change of speed makes good soon
  const films = [...document.querySelectorAll(".side video")];
  const [bar, play, place, time] = ["controls", "play", "place", "time"].map((name) => document.querySelector(`[data-${name}]`));
  if (films.length === 0) return;

  const good = () => films.filter((film) => !film.error);
  const length = (film) => (Number.isFinite(film.duration) ? film.duration : 0);
  // The longest leads; a shorter one waits on its last picture.
  const lead = () => good().reduce((found, film) => (found && length(found) >= length(film) ? found : film), null);
  let runs = false;

  const show = () => {
    const first = lead();
    const [at, whole] = first ? [first.currentTime, length(first)] : [0, 0];
    const said = `${at.toFixed(1)} s of ${whole.toFixed(1)} s`;
    play.textContent = runs ? "Pause" : "Play";
    place.max = whole || 1;
    place.value = at;
    place.setAttribute("aria-valuetext", said);
    time.textContent = said;
  };
  const seek = (to) => {
    for (const film of good()) film.currentTime = Math.min(to, length(film));
    show();
  };
  // One that has to fetch holds up the others, so that none runs ahead.
  const keepStep = () => {
    const first = lead();
    if (!runs || !first || first.ended) {
      runs = false;
      good().forEach((film) => film.pause());
      return show();
    }
    const canRun = good().every((film) => film.ended || film.readyState >= HTMLMediaElement.HAVE_FUTURE_DATA);
    for (const film of good().filter((each) => !each.ended)) {
      const behind = first.currentTime - film.currentTime;
      if (film.paused === canRun) canRun ? film.play().catch(() => {}) : film.pause();
      if (film === first || film.seeking) continue;
      film.playbackRate = Math.abs(behind) < NEAR_S ? 1 : behind > 0 ? 1.1 : 0.9;
      if (Math.abs(behind) > FAR_S) film.currentTime = Math.min(first.currentTime, length(film));
    }
    show();
    requestAnimationFrame(keepStep);
  };
  const toggle = () => {
    runs = !runs && lead() !== null;
    if (!runs) return good().forEach((film) => film.pause()), show();
    if (lead().ended) seek(0);
    good().forEach((film) => film.play().catch(() => {})); // by the person's own press, which some browsers ask for
    requestAnimationFrame(keepStep);
  };

  for (const film of films) {
    film.controls = false;
    film.addEventListener("loadedmetadata", show);
    film.addEventListener("seeked", show);
    film.addEventListener("click", toggle);
  }
  play.addEventListener("click", toggle);
  place.addEventListener("input", () => seek(Number(place.value)));
  document.addEventListener("keydown", (event) => {
    if (event.key !== " " || event.target.closest("button, a, summary")) return;
    event.preventDefault();
    toggle();
  });
  bar.hidden = false;
  show();
})();
