// Scores over time or attempts: best so far, every result, rejected ones, published references.
function niceTicks(low, high, wanted) {
  if (!(high > low)) return [low];
  const rough = (high - low) / Math.max(1, wanted);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= rough * 0.999);
  const found = [];
  for (let n = Math.ceil(low / step - 1e-9); n <= high / step + 1e-9; n++) found.push(+(n * step).toPrecision(12));
  return found;
}
function logTicks(low, high, wanted) {
  const found = [];
  for (let p = Math.floor(Math.log10(low)); p <= Math.ceil(Math.log10(high)); p++)
    for (const m of [1, 2, 5]) if (m * 10 ** p >= low && m * 10 ** p <= high) found.push(m * 10 ** p);
  return found.length >= 3 ? found : niceTicks(low, high, wanted);
}
const TIME_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400];
function timeTicks(high, wanted) {
  const rough = high / Math.max(1, wanted);
  if (rough < 0.5) return niceTicks(0, high, wanted).map((v) => [v, number(v) + " s"]);
  const step = TIME_STEPS.find((s) => s >= rough) || Math.ceil(rough / 86400) * 86400;
  const found = [];
  for (let v = 0; v <= high * 1.0001; v += step) found.push([v, v ? (v < 60 ? v + " s" : duration(v)) : "start"]);
  return found;
}
function scale(low, high, first, last, log) {
  const f = log ? Math.log : (v) => v;
  const size = f(high) - f(low);
  return (v) => {
    const share = size > 0 ? (f(Math.max(v, log ? 1e-300 : -Infinity)) - f(low)) / size : 0.5;
    return Math.round((first + Math.min(1, Math.max(0, share)) * (last - first)) * 10) / 10;
  };
}

// The range of scores worth showing: best to seed, all but the worst few results, near (or all) references.
function scoreRange(series, references, goal, showAll) {
  const core = [];
  for (const one of series) {
    const scores = one.dots.map((dot) => dot.score).sort((a, b) => (goal === "min" ? a - b : b - a));
    if (scores.length) core.push(scores[0], scores[Math.ceil(0.97 * (scores.length - 1))]);
    core.push(...one.steps.map((step) => step.score));
  }
  if (!core.length) core.push(...references.map((r) => r[1]), 1, 10);
  let low = Math.min(...core);
  let high = Math.max(...core);
  if (showAll) for (const [, v] of references) [low, high] = [Math.min(low, v), Math.max(high, v)];
  if (low <= 0) {
    const room = (high - low) * 0.08 || 1;
    return [low - room, high + room, false];
  }
  const room = high > low * 1.0001 ? (high / low) ** (showAll ? 0.05 : 0.12) : 1.05;
  return [low / room, high * room, true];
}

// host: element; spec: {series: [{name, colour, steps, dots, rejected}], references, goal, unit, elapsed, many, open}
function scoreChart(host, spec) {
  const state = { x: "time", log: true, all: false, width: 0, hidden: new Set(), chosen: null, at: -1, marks: [] };
  const place = (mark) => (state.x === "time" ? mark.at : mark.order);
  const picture = el("div");
  const beyond = el("p", { class: "beyond" });
  host.replaceChildren(picture, beyond);
  const hint = tip(host);
  const total = spec.series.reduce((sum, one) => sum + one.dots.length, 0);

  function grid(root, box, x, y, range, log) {
    const rows = log ? logTicks(range[0], range[1], box.h / 60) : niceTicks(range[0], range[1], box.h / 60);
    for (const v of rows)
      root.append(svg("line", { class: "grid", x1: box.l, x2: box.r, y1: y(v), y2: y(v) }),
        svg("text", { x: box.l - 8, y: y(v) + 4, "text-anchor": "end" }, number(v)));
    const wanted = box.w / 125;
    const columns = state.x === "time" ? timeTicks(box.last, wanted) : niceTicks(0, box.last, wanted).filter(Number.isInteger).map((v) => [v, number(v)]);
    let free = -Infinity; // labels that would touch the one before are left out
    for (const [v, label] of columns) {
      const end = x(v) > box.r - 24;
      const left = x(v) - label.length * 6.2 * (end ? 1 : 0.5);
      if (left < free) continue;
      free = left + label.length * 6.2 + 20;
      root.append(svg("text", { class: "when", x: x(v), y: box.b + 30, "text-anchor": end ? "end" : "middle" }, label));
    }
    root.append(svg("line", { class: "axis", x1: box.l, x2: box.r, y1: box.b + 0.5, y2: box.b + 0.5 }));
  }

  function references(root, box, y, range) {
    const inside = spec.references.filter(([, v]) => v >= range[0] && v <= range[1]).sort((a, b) => y(b[1]) - y(a[1]));
    const outside = spec.references.filter(([, v]) => v < range[0] || v > range[1]);
    for (const [name, v] of inside) {
      root.append(svg("line", { class: "ref", x1: box.l, x2: box.r, y1: y(v), y2: y(v) }));
      const room = Math.floor(box.w / 7);
      const text = name + " " + number(v);
      const label = text.length > room ? text.slice(0, room - 1) + "…" : text;
      const right = freeRight(label, y(v) - 5, box);
      if (right) root.append(svg("text", { class: "halo", x: right, y: y(v) - 5, "text-anchor": "end" }, label));
    }
    const far = state.marks.filter(({ row }) => row.score < range[0] || row.score > range[1]).length;
    const worse = far > 1 ? " results lie beyond the axis and are drawn at its edge. " : " result lies beyond the axis and is drawn at its edge. ";
    beyond.replaceChildren(far ? number(far) + worse : "");
    if (!outside.length) return;
    outside.sort((a, b) => (spec.goal === "min" ? b[1] - a[1] : a[1] - b[1]));
    if (!outside.length) return;
    const items = outside.flatMap(([name, v], at) => [at ? " · " : "", el("span", null, name + " ", el("b", null, number(v)))]);
    beyond.append("Published, beyond this range: ", ...items.filter(Boolean));
  }

  // The right end for a label at this height that covers no other one, as far right as there is room; 0: no room.
  function freeRight(label, at, box) {
    const width = label.length * 6.9;
    let right = box.r - 4;
    for (let other; right - width > box.l; right = other.left - 14) {
      other = state.labels.find((l) => Math.abs(l.at - at) < 14 && l.left < right && l.right > right - width);
      if (!other) return state.labels.push({ at, left: right - width, right }) && right;
    }
    return 0;
  }

  function results(root, box, x, y) {
    for (const one of spec.series) {
      if (state.hidden.has(one.name)) continue;
      if (one.rejected.length)
        root.append(svg("path", { class: "rug" + (total > 1500 ? " many" : ""), d: one.rejected.map((row) => "M" + x(place(row)) + " " + (box.b + 4) + "v8").join("") }));
      if (!one.dots.length) continue;
      const seen = one.dots.map((row) => ({ x: x(place(row)), y: y(row.score), row, one }));
      root.append(svg("path", { class: "dots " + one.colour + (total > 1500 ? " many" : ""), d: seen.map((m) => "M" + m.x + " " + m.y + "h0").join("") }));
      state.marks.push(...seen);
    }
  }

  function lines(root, box, x, y) {
    for (const one of spec.series) {
      if (!one.steps.length || (spec.many && state.hidden.has(one.name))) continue;
      let d = "M" + x(place(one.steps[0])) + " " + y(one.steps[0].score);
      for (const step of one.steps.slice(1)) d += "H" + x(place(step)) + "V" + y(step.score);
      const end = x(state.x === "time" ? one.elapsed : one.results);
      if (!spec.many) root.prepend(svg("path", { class: "gained", d: d + "H" + end + "V" + y(one.steps[0].score) + "Z" }));
      root.append(svg("path", { class: "trace" + (spec.many ? " colour " + one.colour : ""), d: d + "H" + end }));
      const last = one.steps[one.steps.length - 1];
      const label = (spec.many ? one.name.slice(0, box.w / 20) + " " : "") + number(last.score);
      const left = Math.max(box.l + 6, end - label.length * 7.5);
      let at = y(last.score) + (spec.goal === "min" ? 20 : -10);
      while (state.labels.some((other) => Math.abs(other.at - at) < 15 && other.left < end && other.right > left)) at += 15;
      state.labels.push({ at, left, right: end });
      const anchor = left > end - label.length * 7.5 ? { x: left } : { x: end, "text-anchor": "end" };
      root.append(svg("text", { class: "end halo " + (spec.many ? "colour " + one.colour : ""), y: at, ...anchor }, label));
      if (spec.many) state.marks.push(...one.steps.map((row) => ({ x: x(place(row)), y: y(row.score), row, one })));
    }
  }

  function draw() {
    if (!state.width) return;
    state.marks = [];
    state.labels = [];
    const range = scoreRange(spec.series, spec.references, spec.goal, state.all);
    const log = state.log && range[2];
    const height = state.width < 560 ? 300 : 420;
    const widest = Math.max(...[range[0], range[1]].map((v) => number(Math.abs(v) >= 100 ? Math.round(v) : v).length));
    const box = { l: 14 + widest * 7, r: state.width - 6, b: height - 40, t: 12, last: 0 };
    Object.assign(box, { w: box.r - box.l, h: box.b - box.t });
    box.last = Math.max(state.x === "time" ? 1e-3 : 1, ...spec.series.map((one) => (state.x === "time" ? one.elapsed : one.results)));
    const x = scale(0, box.last, box.l + 6, box.r - 4, false);
    const y = scale(range[0], range[1], box.b - 4, box.t, log);
    const root = svg("svg", { viewBox: "0 0 " + state.width + " " + height, height, role: "img", tabindex: 0, "aria-label": spec.label });
    grid(root, box, x, y, range, log);
    results(root, box, x, y);
    lines(root, box, x, y);
    references(root, box, y, range);
    if (!spec.series.some((one) => one.steps.length || one.dots.length))
      root.append(svg("text", { x: state.width / 2, y: height / 2, "text-anchor": "middle" }, "No result yet."));
    state.marks.sort((a, b) => a.x - b.x);
    state.ring = svg("circle", { class: "ring", r: 6, visibility: "hidden" });
    root.append(state.ring);
    listen(root);
    picture.replaceChildren(root);
    mark();
  }

  function point(found) {
    if (!found) return hint.hide();
    state.at = state.marks.indexOf(found);
    const title = (spec.many ? found.one.name + ", " : "") + (found.row.attempt ? "Attempt " + found.row.attempt : "The seed");
    hint.show(found.x, found.y, title, spec.describe(found));
  }
  function mark() {
    const found = state.chosen && state.marks.find((m) => m.row.attempt === state.chosen);
    state.ring.setAttribute("visibility", found ? "visible" : "hidden");
    if (found) add(state.ring, { cx: found.x, cy: found.y }, []);
  }
  function listen(root) {
    const under = (event) => {
      const box = root.getBoundingClientRect();
      return nearest(state.marks, event.clientX - box.left, event.clientY - box.top, 28);
    };
    root.addEventListener("pointermove", (event) => {
      const found = under(event);
      root.style.cursor = found ? "pointer" : "";
      point(found);
    });
    root.addEventListener("pointerleave", hint.hide);
    root.addEventListener("blur", hint.hide);
    root.addEventListener("click", (event) => {
      const found = under(event);
      if (found) spec.open(found);
    });
    root.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step && state.marks.length) {
        event.preventDefault();
        point(state.marks[(state.at + step + state.marks.length) % state.marks.length]);
      } else if (event.key === "Enter" && state.marks[state.at]) {
        event.preventDefault(); // or the same key press would close the panel that it opens
        spec.open(state.marks[state.at]);
      }
    });
  }

  onWidth(host, (width) => ((state.width = width), draw()));
  return {
    set(change) { Object.assign(state, change); draw(); },
    hide(name, hidden) { state.hidden[hidden ? "add" : "delete"](name); draw(); },
    choose(attempt) { state.chosen = attempt; if (state.ring) mark(); },
  };
}
