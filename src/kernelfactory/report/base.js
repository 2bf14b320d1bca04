// Elements, figures in words, and the record as rows. Text only ever enters the page as text nodes.
const SVG = "http://www.w3.org/2000/svg";
const VALID = new Set(["improved", "equal", "worse"]);
const COLOURS = 8;

function add(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}
const el = (tag, attributes, ...children) => add(document.createElement(tag), attributes, children);
const svg = (tag, attributes, ...children) => add(document.createElementNS(SVG, tag), attributes, children);

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });
const number = (value) =>
  value === null || value === undefined ? "–" : Number.isInteger(value) || Math.abs(value) >= 1e4 ? whole.format(value) : short.format(value);
const signed = (value) => (value === null ? "–" : (value > 0 ? "+" : value < 0 ? "−" : "±") + number(Math.abs(value)));
const money = (value) => (value === null ? "unknown" : "$" + value.toFixed(2));
function duration(seconds) {
  if (seconds === null) return "–";
  if (seconds < 60) return (seconds >= 10 ? seconds.toFixed(0) : String(+seconds.toFixed(1))) + " s";
  for (const [size, unit, small, smallUnit] of [[86400, "d", 3600, "h"], [3600, "h", 60, "min"], [60, "min", 1, "s"]]) {
    if (seconds < size) continue;
    const rest = Math.floor((seconds % size) / small);
    return Math.floor(seconds / size) + " " + unit + (rest ? " " + rest + " " + smallUnit : "");
  }
}

// One experiment: columns become rows, indices become words, and what follows from them is worked out once.
function read(raw) {
  const worded = new Set(["outcome", "agent", "move", "reason", "fault", "end", "cage"]);
  const names = Object.keys(raw.columns);
  const rows = raw.columns.attempt.map((_, at) => {
    const row = {};
    for (const name of names) row[name] = worded.has(name) ? raw.words[raw.columns[name][at]] : raw.columns[name][at];
    row.valid = row.score !== null && VALID.has(row.outcome);
    return row;
  });
  const e = Object.assign({}, raw, { rows, byAttempt: new Map(rows.map((row) => [row.attempt, row])) });
  e.better = raw.metric.goal === "min" ? (a, b) => a < b : (a, b) => a > b;
  e.landed = rows.filter((row) => row.at !== null).sort((a, b) => a.at - b.at || a.attempt - b.attempt);
  e.landed.forEach((row, order) => (row.order = order + 1));
  e.steps = raw.steps.map(([at, order, attempt, score]) => ({ ...e.byAttempt.get(attempt), at, order, attempt, score }));
  e.islands = [...new Set(rows.map((row) => row.island))].sort((a, b) => a - b);
  return e;
}

function lineage(e, attempt) {
  const line = [];
  const seen = new Set();
  while (e.byAttempt.has(attempt) && !seen.has(attempt)) {
    seen.add(attempt);
    line.push(e.byAttempt.get(attempt));
    attempt = e.byAttempt.get(attempt).parent;
  }
  return line;
}

const colour = (island) => "s" + (((island % COLOURS) + COLOURS) % COLOURS);

// A row of buttons of which one is chosen; arrows move as in any radio group.
function onSwitch(root, group, changed) {
  const host = root.querySelector('[data-switch="' + group + '"]');
  if (!host) return null;
  const buttons = [...host.querySelectorAll("button")];
  const choose = (button, focus) => {
    for (const each of buttons) {
      each.setAttribute("aria-checked", String(each === button));
      each.tabIndex = each === button ? 0 : -1;
    }
    if (focus) button.focus();
    changed(button.dataset.value);
  };
  buttons.forEach((button, at) => {
    button.addEventListener("click", () => choose(button, false));
    button.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      choose(buttons[(at + step + buttons.length) % buttons.length], true);
    });
  });
  return (value) => choose(buttons.find((button) => button.dataset.value === value) || buttons[0], false);
}

// Calls draw(width) now and whenever the width of `host` changes.
function onWidth(host, draw) {
  let width = 0;
  new ResizeObserver(() => {
    const now = Math.floor(host.clientWidth);
    if (now && now !== width) draw((width = now));
  }).observe(host);
}

// Where hover text appears, and which mark is nearest to a pointer.
function tip(host) {
  const box = el("div", { class: "tip", hidden: true, role: "status" });
  host.append(box);
  return {
    show(x, y, title, lines) {
      box.replaceChildren(el("b", null, title), ...lines.filter(Boolean).map((line) => el("div", null, line)));
      box.hidden = false;
      const left = Math.min(Math.max(0, x + 14), host.clientWidth - box.offsetWidth);
      const above = y - box.offsetHeight - 12;
      box.style.left = (x + 14 + box.offsetWidth > host.clientWidth ? Math.max(0, x - 14 - box.offsetWidth) : left) + "px";
      box.style.top = (above < 0 ? y + 16 : above) + "px";
    },
    hide: () => (box.hidden = true),
  };
}
function nearest(marks, x, y, reach) {
  let found = null;
  let least = reach * reach;
  for (const mark of marks) {
    const far = (mark.x - x) ** 2 + (mark.y - y) ** 2;
    if (far < least) [found, least] = [mark, far];
  }
  return found;
}

function describe(e, row) {
  const unit = e.metric.unit || e.metric.name;
  const score = row.score === null ? "" : number(row.score) + " " + unit + (row.delta ? " (" + signed(row.delta) + ")" : "");
  return ["island " + row.island + ", " + row.outcome + (row.agent ? ", " + row.agent : ""), score, row.at === null ? "no result yet" : "after " + duration(row.at)];
}
