// Puts the page together: colours, charts, tables, and the panel that shows one attempt.
const page = JSON.parse(document.getElementById("data").textContent);
const experiments = page.experiments.map(read);
const views = [];

function store(value) {
  try {
    if (value === undefined) return localStorage.getItem("kf-colours");
    localStorage.setItem("kf-colours", value);
  } catch (error) {
    return null; // pages opened from a file may have no storage; the choice then lasts as long as the page
  }
  return value;
}
const colours = onSwitch(document, "theme", (value) => {
  if (value === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = value;
  store(value);
});
colours(store() || "auto");

const panel = document.getElementById("detail");
function openDetail(at, attempt) {
  const e = experiments[at];
  const row = e.byAttempt.get(attempt);
  for (const chart of views[at]) chart.choose(attempt);
  if (!row) return;
  const unit = e.metric.unit || e.metric.name;
  const go = (n) => (n && e.byAttempt.has(n) ? el("button", { type: "button", class: "link", click: () => openDetail(at, n) }, String(n)) : n === 0 ? "seed" : String(n ?? "–"));
  const fact = (label, ...value) => el("div", { class: "fact" }, el("dt", null, label), el("dd", null, ...value));
  const line = lineage(e, attempt).reverse();
  const kids = e.rows.filter((other) => other.parent === attempt);
  const some = (list) => [...list.slice(0, 40).map((other) => go(other.attempt)), list.length > 40 ? "and " + number(list.length - 40) + " more" : ""];
  const part = (title, node) => (node ? [el("h3", null, title), node] : []);
  panel.replaceChildren(
    el("header", null, el("h2", { id: "detail-h" }, "Attempt " + attempt), el("button", { type: "button", class: "close", click: () => panel.close() }, "Close")),
    el("dl", { class: "facts" },
      fact("Outcome", el("span", { class: row.outcome }, row.outcome), row.confirmed ? el("small", null, "confirmed on fresh inputs") : ""),
      fact("Score", number(row.score), row.score === null ? "" : el("small", null, unit)),
      fact("Change to parent", signed(row.delta)), fact("Parent", go(row.parent)),
      fact("Island", el("i", { class: "key " + colour(row.island) }), String(row.island)), fact("Move", row.move || "–"),
      fact("Agent", row.agent || "unnamed"), fact("End", row.end || "–"),
      fact("Took", duration(row.seconds)), fact("Result after", duration(row.at)),
      fact("Measurements", number(row.measurements), el("small", null, duration(row.judged) + " judge time")),
      fact("Spent", money(row.dollars), el("small", null, number(row.tokens) + " tokens")),
      fact("Cage", row.cage || "–"), fact("Commit", el("code", null, row.commit || "–")),
      row.flags ? fact("Tripwires", String(row.flags)) : null),
    ...part("What was wrong", row.fault ? el("p", null, row.fault) : null),
    ...part("Why this parent", row.reason ? el("p", null, row.reason) : null),
    ...part("Lineage, from the seed", el("p", { class: "chain" }, "seed", ...line.slice(0, -1).slice(-60).map((other) => go(other.attempt)), el("b", null, String(attempt)))),
    ...part("Built upon by", kids.length ? el("p", { class: "chain" }, ...some(kids)) : null),
    ...part("Notes the agent left", e.notes[attempt] ? el("pre", { class: "quote", tabindex: 0 }, e.notes[attempt]) : null));
  panel.scrollTop = 0;
  if (!panel.open) panel.showModal();
}
panel.addEventListener("click", (event) => event.target === panel && panel.close());

function legend(host, e, chart) {
  if (!e.rows.length) return;
  host.append(el("span", null, el("i", { class: "key line-key" }), "best so far"));
  for (const island of e.islands) {
    const button = el("button", { type: "button", "aria-pressed": "true" }, el("i", { class: "key " + colour(island) }), "island " + island);
    button.addEventListener("click", () => {
      const shown = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(shown));
      chart.hide("island " + island, !shown);
    });
    host.append(button);
  }
  if (e.rows.some((row) => row.outcome === "rejected")) host.append(el("span", null, el("i", { class: "key bar-key" }), "rejected"));
}

function axes(root, chart) {
  onSwitch(root, "x", (value) => chart.set({ x: value }));
  onSwitch(root, "y", (value) => chart.set({ log: value === "log" }));
  onSwitch(root, "references", (value) => chart.set({ all: value === "all" }));
}

function spoken(e) {
  const best = e.best ? " Best " + number(e.best.score) + " by attempt " + e.best.attempt + "." : "";
  return "Scores of " + e.rows.length + " attempts in " + duration(e.elapsed) + "." + best + " The table of attempts holds the same figures. Left and right arrows walk through the results, Enter opens one.";
}

experiments.forEach((e, at) => {
  const root = document.getElementById("e" + at);
  const open = (attempt) => openDetail(at, attempt);
  const whose = { elapsed: e.elapsed, results: e.landed.length };
  const series = e.islands.map((island) => {
    const mine = e.landed.filter((row) => row.island === island);
    return { name: "island " + island, colour: colour(island), steps: [], dots: mine.filter((row) => row.valid), rejected: mine.filter((row) => row.outcome === "rejected"), ...whose };
  });
  series.push({ name: "best", colour: "", steps: e.steps, dots: [], rejected: [], ...whose });
  const scores = scoreChart(root.querySelector('[data-chart="scores"]'), {
    series, references: e.references, goal: e.metric.goal, label: spoken(e), many: false,
    describe: (mark) => describe(e, mark.row), open: (mark) => open(mark.row.attempt),
  });
  axes(root, scores);
  legend(root.querySelector("[data-legend]"), e, scores);
  const tree = lineageChart(root.querySelector('[data-chart="lineage"]'), e, root.querySelector("[data-hidden]"), open);
  onSwitch(root, "lineage", (value) => tree.set(value));
  views.push([scores, tree]);
  if (e.rows.length) attemptTable(root.querySelector("[data-table]"), root.querySelector("[data-filters]"), e, open);
  noteList(root.querySelector("[data-notes]"), e, open);
  for (const button of root.querySelectorAll("button[data-attempt]")) button.addEventListener("click", () => open(Number(button.dataset.attempt)));
});

const together = document.getElementById("compare");
if (together) {
  const times = (e) => (score) => (page.comparable ? score : e.metric.goal === "min" ? e.baseline / score : score / e.baseline);
  const series = experiments.map((e, at) => {
    const usable = page.comparable || e.baseline > 0;
    const steps = usable ? e.steps.map((row) => ({ at: row.at, order: row.order, attempt: row.attempt, score: times(e)(row.score) })) : [];
    return { name: e.name, colour: "s" + (at % COLOURS), steps: steps.filter((row) => Number.isFinite(row.score)), dots: [], rejected: [], elapsed: e.elapsed, results: e.landed.length, at };
  });
  const chart = scoreChart(together.querySelector('[data-chart="compare"]'), {
    series, references: page.comparable ? experiments[0].references : [], goal: page.comparable ? experiments[0].metric.goal : "max", many: true,
    label: "Best so far of " + experiments.length + " experiments: " + experiments.map((e) => e.name + " " + (e.best ? number(e.best.score) : "none")).join(", "),
    describe: (mark) => [number(mark.row.score) + (page.comparable ? " " + (experiments[0].metric.unit || experiments[0].metric.name) : "× its seed"), "after " + duration(mark.row.at)],
    open: (mark) => openDetail(mark.one.at, mark.row.attempt),
  });
  axes(together, chart);
}
