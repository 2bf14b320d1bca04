// Who came from whom: time runs to the right, islands are lanes, the best's own line is drawn through.
// The best few of each island and every new best, with all their ancestors: as many as still read well.
const READABLE = 260;
function elites(e) {
  let found = [];
  for (let each = 1; each < 4096; each *= 2) {
    const more = bestOf(e, each);
    if (found.length && more.length > READABLE) break;
    if (more.length === found.length) break;
    found = more;
  }
  return found;
}
function bestOf(e, each) {
  const keep = new Set();
  const start = [];
  for (const island of e.islands) {
    const valid = e.rows.filter((row) => row.valid && row.island === island);
    valid.sort((a, b) => (e.better(a.score, b.score) ? -1 : e.better(b.score, a.score) ? 1 : a.attempt - b.attempt));
    start.push(...valid.slice(0, each));
  }
  for (const row of [...start, ...e.steps]) for (const up of lineage(e, row.attempt)) keep.add(up.attempt);
  return e.rows.filter((row) => keep.has(row.attempt));
}

// Gives every shown row a lane position: leaves one after another; a parent lies level with the heaviest of its
// children (the best's own line outweighs all), so that trunks run straight and twigs leave to both sides.
function layout(rows, best) {
  const shown = new Map(rows.map((row) => [row.attempt, { row, kids: [], y: 0, weight: best.has(row.attempt) ? 1e9 : 1 }]));
  const lanes = new Map();
  for (const node of [...shown.values()].reverse()) {
    const parent = shown.get(node.row.parent);
    if (parent && parent.row.island === node.row.island && node.row.parent < node.row.attempt) {
      parent.kids.push(node);
      parent.weight += node.weight;
    } else lanes.set(node.row.island, [node, ...(lanes.get(node.row.island) || [])]);
  }
  const found = [];
  for (const [island, roots] of [...lanes].sort((a, b) => a[0] - b[0])) {
    let leaves = 0;
    const order = [];
    const stack = aroundTrunk(roots);
    while (stack.length) {
      const node = stack.pop();
      order.push(node);
      if (node.kids.length) stack.push(...(node.kids = aroundTrunk(node.kids)));
      else node.y = leaves++;
    }
    for (const node of [...order].reverse()) if (node.kids.length) node.y = trunk(node.kids).y;
    found.push({ island, leaves, nodes: order });
  }
  return found;
}
const trunk = (nodes) => nodes.reduce((a, b) => (b.weight > a.weight ? b : a));
function aroundTrunk(nodes) {
  if (nodes.length < 3) return [...nodes];
  const main = trunk(nodes);
  const others = nodes.filter((node) => node !== main);
  return [...others.filter((_, at) => at % 2), main, ...others.filter((_, at) => at % 2 === 0)];
}

function lineageChart(host, e, hiddenText, open) {
  const state = { mode: "elites", width: 0, chosen: null, marks: [] };
  const picture = el("div");
  host.replaceChildren(picture);
  const hint = tip(host);

  function chain(attempt) {
    const points = lineage(e, attempt).map((row) => state.where.get(row.attempt)).filter(Boolean);
    return [...points.reverse()];
  }
  const curveTo = (a, b) => {
    const bend = Math.min(40, (b.x - a.x) / 2);
    return "M" + a.x + " " + a.y + "H" + (b.x - 2 * bend) + "C" + (b.x - bend) + " " + a.y + " " + (b.x - bend) + " " + b.y + " " + b.x + " " + b.y;
  };
  const path = (points) => points.map((b, at) => curveTo(at ? points[at - 1] : state.seed, b)).join("");

  function draw() {
    if (!state.width) return;
    if (!e.rows.length) return picture.replaceChildren(el("p", { class: "empty" }, "Only the seed is here yet."));
    const kept = state.mode === "all" ? e.rows : elites(e);
    const lanes = layout(kept, new Set(e.best ? lineage(e, e.best.attempt).map((row) => row.attempt) : []));
    const gone = e.rows.length - kept.length;
    hiddenText.textContent = gone ? "the best of each island and every new best with their ancestors; " + number(gone) + " other attempts hidden" : "all " + number(e.rows.length) + " attempts";
    const room = lanes.map((lane) => Math.min(190, Math.max(56, 18 + lane.leaves * 11)));
    const height = room.reduce((sum, h) => sum + h + 6, 0) + 24;
    const last = Math.max(1, ...e.rows.map((row) => row.attempt));
    const x = scale(0, last, 76, state.width - 14, false);
    const root = svg("svg", { viewBox: "0 0 " + state.width + " " + height, height, role: "img", tabindex: 0, "aria-label": label(lanes, kept) });
    state.where = new Map();
    state.marks = [];
    const drawn = [];
    let top = 0;
    lanes.forEach((lane, at) => {
      const y = scale(0, Math.max(1, lane.leaves - 1), top + 12, top + room[at] - 12, false);
      for (const node of lane.nodes) state.where.set(node.row.attempt, { x: x(node.row.attempt), y: lane.leaves === 1 ? top + room[at] / 2 : y(node.y), row: node.row });
      root.append(svg("rect", { class: "lane", x: 0, y: top, width: state.width, height: room[at], rx: 6 }),
        svg("text", { x: 10, y: top + 19, class: "colour " + colour(lane.island) }, "Island " + lane.island));
      drawn.push(lane);
      top += room[at] + 6;
    });
    const first = e.best && lineage(e, e.best.attempt).reverse().map((row) => state.where.get(row.attempt)).find(Boolean);
    state.seed = { x: 66, y: first ? first.y : (top - 6) / 2, row: null };
    for (const lane of drawn) marks(root, lane);
    const top_ = e.best && e.best.attempt ? chain(e.best.attempt) : [];
    root.append(svg("path", { class: "line", d: path(top_) }), svg("circle", { class: "crown", cx: state.seed.x, cy: state.seed.y, r: 4 }));
    if (top_.length) {
      const end = top_[top_.length - 1];
      const left = end.x > state.width - 120;
      root.append(svg("circle", { class: "crown", cx: end.x, cy: end.y, r: 5 }),
        svg("text", { class: "end halo", x: end.x + (left ? -10 : 10), y: end.y - 9, "text-anchor": left ? "end" : "start" }, number(e.best.score)));
    }
    for (const [v, text] of niceTicks(0, last, state.width / 130).filter(Number.isInteger).map((v) => [v, v ? number(v) : "seed"]))
      root.append(svg("text", { x: v ? x(v) : state.seed.x, y: height - 4, "text-anchor": "middle" }, text));
    state.trace = svg("path", { class: "line chosen" });
    state.ring = svg("circle", { class: "ring", r: 7, visibility: "hidden" });
    root.append(state.trace, state.ring);
    listen(root);
    picture.replaceChildren(root);
    mark();
  }

  function label(lanes, kept) {
    return "Lineage of " + kept.length + " attempts on " + lanes.length + " islands. Left and right arrows walk to parent and child, Enter opens.";
  }
  function marks(root, lane) {
    let edges = "";
    let good = "";
    let off = "";
    for (const node of lane.nodes) {
      const here = state.where.get(node.row.attempt);
      const from = state.where.get(node.row.parent) || (node.row.parent === 0 ? state.seed : null);
      if (from && from.x < here.x) edges += curveTo(from, here);
      if (node.row.valid) good += "M" + here.x + " " + here.y + "h0";
      else off += "M" + (here.x - 2) + " " + (here.y - 2) + "l4 4m0 -4l-4 4";
      state.marks.push(here);
    }
    const many = lane.nodes.length > 400 ? " many" : "";
    root.append(svg("path", { class: "edge " + colour(lane.island), d: edges }), svg("path", { class: "rug", d: off }),
      svg("path", { class: "dots " + colour(lane.island) + many, d: good }));
  }
  function mark() {
    const here = state.where && state.where.get(state.chosen);
    if (!state.ring) return;
    state.ring.setAttribute("visibility", here ? "visible" : "hidden");
    state.trace.setAttribute("d", here ? path(chain(state.chosen)) : "");
    if (here) add(state.ring, { cx: here.x, cy: here.y }, []);
  }
  function point(found) {
    if (!found) return hint.hide();
    state.at = found;
    hint.show(found.x, found.y, "Attempt " + found.row.attempt, [...describe(e, found.row), "from " + (found.row.parent ? "attempt " + found.row.parent : "the seed")]);
  }
  function listen(root) {
    const under = (event) => {
      const box = root.getBoundingClientRect();
      return nearest(state.marks, event.clientX - box.left, event.clientY - box.top, 20);
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
      if (found) open(found.row.attempt);
    });
    root.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && state.at) {
        event.preventDefault(); // or the same key press would close the panel that it opens
        return open(state.at.row.attempt);
      }
      const now = state.at || state.where.get(e.best && e.best.attempt) || state.marks[0];
      const next = event.key === "ArrowLeft" ? state.where.get(now.row.parent)
        : event.key === "ArrowRight" ? state.marks.find((m) => m.row.parent === now.row.attempt) : null;
      if (!next) return;
      event.preventDefault();
      point(next);
    });
  }

  onWidth(host, (width) => ((state.width = width), draw()));
  return {
    set(mode) { state.mode = mode; draw(); },
    choose(attempt) { state.chosen = attempt; mark(); },
  };
}
