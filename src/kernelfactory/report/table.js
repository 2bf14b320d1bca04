// The table of attempts: sorted, filtered and paged here, one page of rows in the document at a time.
const PAGE = 25;
const COLUMNS = [
  ["attempt", "Attempt", "n", (row) => number(row.attempt)],
  ["outcome", "Outcome", "", (row) => el("span", { class: row.outcome }, row.outcome)],
  ["island", "Island", "", (row) => [el("i", { class: "key " + colour(row.island) }), String(row.island)]],
  ["parent", "Parent", "n", (row) => (row.parent === null ? "–" : row.parent ? number(row.parent) : "seed")],
  ["score", "Score", "n", (row) => number(row.score)],
  ["delta", "Change", "n", (row) => signed(row.delta)],
  ["agent", "Agent", "", (row) => row.agent || "–"],
  ["at", "Result after", "n", (row) => duration(row.at)],
  ["seconds", "Took", "n", (row) => duration(row.seconds)],
  ["words", "Reason", "words", (row) => el("span", { title: row.words }, row.words)],
  ["end", "End", "", (row) => row.end || "–"],
  ["cage", "Cage", "", (row) => row.cage || "–"],
];

function attemptTable(host, filters, e, open) {
  for (const row of e.rows) row.words = row.fault || row.reason;
  const state = { by: "attempt", down: true, page: 0, text: "", outcome: "", island: "" };
  const body = el("tbody");
  const pager = el("div", { class: "pager" });
  const heads = COLUMNS.map(([key, label, kind]) =>
    el("th", { class: kind === "n" ? "n" : null, scope: "col" }, el("button", { type: "button", click: () => sort(key) }, label)));
  const table = el("table", { class: "attempts" }, el("thead", null, el("tr", null, ...heads)), body);
  host.replaceChildren(el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Attempts" }, table), pager);

  function sort(key) {
    state.down = state.by === key ? !state.down : ["attempt", "at", "seconds"].includes(key);
    state.by = key;
    state.page = 0;
    show();
  }
  function compare(a, b) {
    const [x, y] = [a[state.by], b[state.by]];
    if (x === y) return a.attempt - b.attempt;
    if (x === null || x === "") return 1;
    if (y === null || y === "") return -1;
    return (x < y ? -1 : 1) * (state.down ? -1 : 1);
  }
  function matching() {
    const words = state.text.toLowerCase().split(/\s+/).filter(Boolean);
    return e.rows.filter((row) => {
      if (state.outcome && row.outcome !== state.outcome) return false;
      if (state.island !== "" && String(row.island) !== state.island) return false;
      if (!words.length) return true;
      const all = (row.attempt + " " + row.outcome + " " + row.agent + " " + row.words + " " + row.move + " " + row.end + " " + (row.commit || "")).toLowerCase();
      return words.every((word) => all.includes(word));
    });
  }
  function show() {
    const rows = matching().sort(compare);
    const pages = Math.max(1, Math.ceil(rows.length / PAGE));
    state.page = Math.min(state.page, pages - 1);
    heads.forEach((head, at) => {
      if (COLUMNS[at][0] === state.by) head.setAttribute("aria-sort", state.down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    body.replaceChildren(...rows.slice(state.page * PAGE, (state.page + 1) * PAGE).map(line));
    if (!rows.length) body.append(el("tr", null, el("td", { colspan: COLUMNS.length, class: "quiet" }, "No attempt matches.")));
    const turn = (by) => () => ((state.page += by), show());
    const from = state.page * PAGE;
    pager.replaceChildren(
      el("button", { type: "button", disabled: state.page === 0, click: turn(-1) }, "Previous"),
      el("span", { "aria-live": "polite" }, rows.length ? number(from + 1) + " to " + number(Math.min(rows.length, from + PAGE)) + " of " + number(rows.length) : "0"),
      el("button", { type: "button", disabled: state.page >= pages - 1, click: turn(1) }, "Next"));
    if (e.rows_hidden) pager.append(el("span", null, number(e.rows_hidden) + " older attempts are left out here: kf attempts lists them."));
    pager.hidden = pages === 1 && rows.length === e.rows.length && !e.rows_hidden;
  }
  function line(row) {
    return el("tr", { click: () => open(row.attempt) }, ...COLUMNS.map(([key, , kind, cell]) => {
      const content = key === "attempt" ? el("button", { type: "button", class: "link", "aria-label": "Attempt " + row.attempt }, cell(row)) : cell(row);
      return el("td", { class: kind || null }, ...[content].flat());
    }));
  }

  filters.hidden = e.rows.length < 2;
  filters.querySelector("input").addEventListener("input", (event) => {
    Object.assign(state, { text: event.target.value, page: 0 });
    show();
  });
  for (const [name, all, values] of [["outcome", "All outcomes", [...new Set(e.rows.map((row) => row.outcome))].sort()], ["island", "All islands", e.islands]]) {
    const select = filters.querySelector('[data-filter="' + name + '"]');
    select.append(el("option", { value: "" }, all), ...values.map((v) => el("option", { value: String(v) }, name === "island" ? "Island " + v : v)));
    select.hidden = values.length < 2;
    select.addEventListener("change", () => {
      Object.assign(state, { [name]: select.value, page: 0 });
      show();
    });
  }
  show();
}

// Notes: other people's agents' words, quoted, closed until asked for.
function noteList(host, e, open) {
  const numbers = Object.keys(e.notes).map(Number);
  const line = e.best ? lineage(e, e.best.attempt).map((row) => row.attempt) : [];
  const order = [...line.filter((n) => e.notes[n]), ...numbers.filter((n) => !line.includes(n)).sort((a, b) => b - a)];
  if (!order.length) return host.replaceChildren(el("p", { class: "quiet" }, "No notes were left."));
  let shown = 0;
  const more = el("button", { type: "button", class: "more", click: () => grow(30) });
  const rest = el("p", { class: "fine" });
  function grow(by) {
    for (const attempt of order.slice(shown, shown + by)) more.before(note(attempt));
    shown = Math.min(order.length, shown + by);
    more.hidden = shown >= order.length;
    more.textContent = "Show " + Math.min(30, order.length - shown) + " more of " + number(order.length - shown);
    rest.textContent = e.notes_hidden ? number(e.notes_hidden) + " more notes are in the record: kf notes shows them." : "";
  }
  function note(attempt) {
    const row = e.byAttempt.get(attempt);
    const words = row ? (row.score === null ? row.outcome : row.outcome + ", " + number(row.score)) : "";
    return el("details", { class: "note" },
      el("summary", null, "Attempt " + attempt, el("small", null, words + (line.includes(attempt) ? ", in the best's lineage" : ""))),
      el("pre", { class: "quote", tabindex: 0 }, e.notes[attempt]),
      row ? el("p", null, el("button", { type: "button", class: "link", click: () => open(attempt) }, "Open attempt " + attempt)) : null);
  }
  host.replaceChildren(more, rest);
  grow(6);
}
