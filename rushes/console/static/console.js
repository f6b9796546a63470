// What pages do in the browser beside htmx: renew what is seen, keys, charts, copying. No page needs it to be read.
"use strict";
(() => {
  const $ = (selector, within = document) => [...within.querySelectorAll(selector)];

  // Renewing. It stops while nobody looks, and leaves alone what somebody is at: an unfolded form, a mark, a film, a text.
  const isBusy = (region) =>
    document.hidden ||
    document.querySelector("dialog[open]") !== null ||
    region.querySelector(".action[open], .pick :checked, .film video") !== null ||
    (document.getSelection()?.toString() && region.contains(document.getSelection().anchorNode));
  const renew = (region) => {
    if (region.isConnected && !isBusy(region)) htmx.trigger(region, "live");
  };
  const renewAll = () => $("[data-live]").forEach(renew);
  const tick = (region) => {
    const again = () => {
      const now = document.getElementById(region.id);
      if (now) renew(now);
    };
    setInterval(again, Number(region.dataset.live) * 1000);
  };

  // Morphing keeps focus and scroll by keeping the elements; what a person has unfolded or typed is theirs.
  if (window.Idiomorph) {
    const kept = (name, node) =>
      (name === "open" && node.tagName === "DETAILS") ||
      (name === "checked" && node.closest?.(".pick")) ||
      (name === "hidden" && node.matches?.("[data-unplayable]")) ||
      (name === "class" && node.closest?.(".chart, .films"));
    Object.assign(Idiomorph.defaults.callbacks, {
      beforeAttributeUpdated: (name, node) => !kept(name, node),
      beforeNodeMorphed: (old) => !(old.matches?.("video, .body") && old.id),
    });
  }

  // A row that moves down for a new one loses the focus in some browsers: it is given back, and nothing scrolls.
  let focused = null;
  document.addEventListener("htmx:beforeSwap", () => {
    const at = document.activeElement;
    const link = at?.getAttribute?.("href");
    focused = at?.id ? `#${CSS.escape(at.id)}` : link ? `a[href="${CSS.escape(link)}"]` : null;
  });
  document.addEventListener("htmx:afterSwap", () => {
    if (focused && document.activeElement === document.body) document.querySelector(focused)?.focus({ preventScroll: true });
  });

  // Charts: counts by time, or dollars by day (which are UTC), one bar over the other.
  const color = (tone) => getComputedStyle(document.documentElement).getPropertyValue(`--${tone === "quiet" ? "dim" : tone}`).trim();
  const draw = (place) => {
    if (!window.uPlot || place.dataset.drawn === place.dataset.chart) return;
    place.dataset.drawn = place.dataset.chart;
    const { times, rows, isMoney } = JSON.parse(place.dataset.chart);
    const zone = isMoney ? { timeZone: "UTC" } : {};
    const sums = rows.map((_, i) => times.map((_, at) => rows.slice(0, rows.length - i).reduce((sum, row) => sum + row.counts[at], 0)));
    const shown = [...rows].reverse();
    const wide = times[1] - times[0];
    const format = wide * times.length > 2 * 86400 ? { weekday: "short", day: "numeric" } : { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
    const when = (at) => new Intl.DateTimeFormat(undefined, { ...format, ...zone }).format(at * 1000);
    const bars = uPlot.paths.bars({ size: [0.8, 40], align: 1 });
    place.replaceChildren();
    new uPlot(
      {
        width: place.clientWidth,
        height: 180,
        ...(isMoney && { tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC") }),
        legend: { show: true, live: false },
        cursor: { show: false },
        scales: { x: { range: () => [times[0], times[times.length - 1] + wide] }, y: { range: (_, low, high) => [0, Math.max(high, isMoney ? 0.1 : 1)] } },
        axes: [
          { stroke: color("dim"), grid: { show: false }, ticks: { show: false }, size: 28, space: 70, values: (_, at) => at.map(when) },
          { stroke: color("dim"), grid: { stroke: color("edge"), width: 1 }, ticks: { show: false },
            ...(isMoney
              ? { size: 58, values: (_, at) => at.map((usd) => `$${usd.toLocaleString("en-US")}`) }
              : { size: 36, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] }) },
        ],
        series: [{}, ...shown.map((row) => ({ label: row.name, stroke: color(row.tone), fill: color(row.tone), width: 0, paths: bars, points: { show: false } }))],
      },
      [times, ...sums],
      place,
    );
  };
  const drawAll = () => $("[data-chart]").forEach(draw);

  // Keys, unless somebody types.
  const rows = () => $("[data-rows] tbody th a, [data-films] .film");
  const step = (by) => {
    const all = rows();
    const at = all.findIndex((each) => each.closest("tr, li").contains(document.activeElement));
    all[Math.min(Math.max(at + by, 0), all.length - 1)]?.focus();
  };
  const keys = {
    j: () => step(1),
    k: () => step(-1),
    "/": () => $("[data-search]")[0]?.focus(),
  };
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.closest?.("input:not([type=checkbox]), textarea, select, [contenteditable]");
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey || !(event.key in keys)) return;
    event.preventDefault();
    keys[event.key]();
  });

  // Copying: where a page may not (plain http elsewhere than on this machine), the text is selected instead.
  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("[data-copy]");
    if (!button) return;
    const said = button.textContent;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = "Copied";
    } catch {
      window.prompt("Copy it from here:", button.dataset.copy);
    }
    setTimeout(() => (button.textContent = said), 1500);
  });

  // A video that cannot be played says so, and where to fetch it.
  const tell = (video) => {
    const told = video.matches?.("video") && video.error && video.parentElement?.querySelector("[data-unplayable]");
    if (told) told.hidden = false;
  };
  document.addEventListener("error", (event) => tell(event.target), true);

  document.addEventListener("DOMContentLoaded", () => {
    $("video").forEach(tell);
    $("[data-live]").forEach(tick);
    $(".top [aria-current]")[0]?.scrollIntoView({ block: "nearest", inline: "nearest" }); // of a menu wider than a telephone
    $("[data-said]")[0]?.focus();
    drawAll();
  });
  document.addEventListener("htmx:afterSettle", drawAll);
  document.addEventListener("visibilitychange", () => document.hidden || renewAll());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    $("[data-chart]").forEach((place) => delete place.dataset.drawn);
    drawAll();
  });
})();
