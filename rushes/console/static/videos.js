// The gallery: tiles that play, the player over it, and marks. Without it a video opens as a page of its own.
"use strict";
(() => {
  const $ = (selector, within = document) => [...within.querySelectorAll(selector)];
  const wantsStill = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
  const tileOf = (event) => event.target.closest?.("[data-film]");
  const RESTS_MS = 150; // a mouse that only crosses a tile starts nothing

  // A tile plays, without sound, while the mouse rests on it or it has the focus.
  let preview = null;
  let soon = 0;
  const stop = () => {
    clearTimeout(soon);
    if (!preview) return;
    preview.remove();
    preview.removeAttribute("src"); // and what is being fetched of it ends
    preview.load();
    preview = null;
  };
  const start = (tile) => {
    stop();
    const video = document.createElement("video");
    Object.assign(video, { muted: true, loop: true, playsInline: true, tabIndex: -1, src: tile.dataset.film });
    video.setAttribute("aria-hidden", "true");
    video.addEventListener("error", () => {
      if (preview !== video) return;
      tile.classList.add("fails");
      stop();
    });
    preview = video;
    tile.querySelector(".frame").append(video);
    video.play().catch(() => {}); // taken away before it began
  };
  const startSoon = (event) => {
    const tile = tileOf(event);
    if (!tile || wantsStill() || tile.contains(preview)) return;
    stop();
    soon = setTimeout(start, RESTS_MS, tile);
  };
  const leave = (event) => {
    if (tileOf(event) && !tileOf(event).contains(event.relatedTarget)) stop();
  };
  document.addEventListener("mouseover", startSoon);
  document.addEventListener("focusin", startSoon);
  document.addEventListener("mouseout", leave);
  document.addEventListener("focusout", leave);

  // A poster that the bucket does not give.
  document.addEventListener("error", (event) => event.target.matches?.(".poster") && event.target.parentElement.classList.add("bare"), true);

  // The player shows what the page of each video shows.
  const [dialog] = $("[data-player]");
  const [place] = $("[data-shown]", dialog);
  const tiles = () => $("[data-film]");
  let shown = null; // the tile whose video the player has
  const open = async (tile) => {
    stop();
    shown = tile;
    const said = await fetch(tile.href).then((answer) => answer.text()).catch(() => "");
    const page = new DOMParser().parseFromString(said, "text/html").getElementById("shown");
    if (!page) return location.assign(tile.href); // signed out, gone, or nobody answers: the page itself says so
    if (shown !== tile) return; // another was asked for meanwhile
    place.replaceChildren(page);
    if (!dialog.open) dialog.showModal();
    const all = tiles();
    for (const button of $("[data-step]", dialog)) button.disabled = !all[all.indexOf(tile) + Number(button.dataset.step)];
    const [video] = $("video", place);
    video?.focus();
    if (!wantsStill()) video?.play().catch(() => {}); // what cannot be played says so beside it
  };
  const step = (by) => {
    const next = tiles()[tiles().indexOf(shown) + by];
    if (next) open(next);
  };
  const toggle = (video) => (video.paused ? video.play().catch(() => {}) : video.pause());
  dialog.addEventListener("close", () => {
    place.replaceChildren();
    shown?.focus();
    shown = null;
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
    else if (event.target.closest("[data-step]")) step(Number(event.target.closest("[data-step]").dataset.step));
  });
  dialog.addEventListener("keydown", (event) => {
    const [video] = $("video", place);
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "j" || event.key === "k") step(event.key === "j" ? 1 : -1);
    else if (event.key === " " && video && !event.target.closest("button, a, video")) toggle(video);
    else return;
    event.preventDefault();
    event.stopPropagation(); // the gallery behind it does not step
  });

  document.addEventListener("click", (event) => {
    const tile = tileOf(event);
    if (!tile || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    open(tile);
  });
  document.addEventListener("keydown", (event) => {
    const tile = tileOf(event);
    if (!tile || event.ctrlKey || event.metaKey || event.altKey || !(event.key === " " || event.key === "c")) return;
    event.preventDefault();
    if (event.key === "c") $(".pick input", tile.parentElement)[0].click();
    else if (tile.contains(preview)) toggle(preview);
    else start(tile);
  });

  const count = () => {
    const marked = $(".pick :checked").length;
    $("[data-marked]")[0].textContent = marked ? `${marked} marked${marked < 2 ? "; mark another" : ""}` : "";
  };
  document.addEventListener("change", count);
  addEventListener("pageshow", count); // a browser that goes back keeps the marks
})();
