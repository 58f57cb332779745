// What is chosen, and everything that follows from it.

const CARDS_AFTER = 60; // milliseconds
const state = {
  cut: null, colourBy: "cluster", colours: new Uint8Array(3 * points.n + 3), only: null, point: -1, pinned: false,
};

function setCut(k) {
  state.cut = cutAt(k);
  state.only = null;
  placeNumbers(state.cut);
  if (hasTree) tellCut(k);
  recolour();
  drawLegend();
  clearTimeout(setCut.later);
  setCut.later = setTimeout(describeClusters, CARDS_AFTER);
}

// What takes longer than a frame waits until the slider rests.
function describeClusters() {
  const {cut, point} = state;
  if (labels) commonLabels(cut);
  if (columns.names.length) compareColumns(cut);
  drawCards(cut);
  state.point = -1;
  showPoint(point);
}

function tellCut(k) {
  const {low, high} = nEffAt(k), own = k === bundle.components.autoClusters ? ", which auto chooses" : "";
  byId("slider").value = k;
  byId("slider").setAttribute("aria-valuetext", counted(k, "cluster"));
  byId("count").textContent = k;
  const range = low >= high ? `at N_eff ${number(high)}` : k === 1 ? `at N_eff below ${number(high)}`
    : `at N_eff from ${number(high)} down to ${number(low)}`;
  byId("neff").textContent = `${k === 1 ? "cluster" : "clusters"} ${range}${own}`;
  drawTree();
}

function drawTree() {
  const box = byId("tree"), width = box.clientWidth;
  const places = treePlaces(width);
  const faces = pictures && places.step >= 13 ? facesBelow(places) : [];
  box.replaceChildren(treeDrawing(state.cut, width, places), ...faces);
  box.style.paddingBottom = faces.length ? "30px" : 0;
  box.inverse = places.inverse;
}

// A typical member under each leaf, where there is room for it.
const leafMembers = pictures ? cutAt(K) : null;
function facesBelow({order, x, step}) {
  const size = Math.min(30, step - 2), of = new Map(leafMembers.clusters.map((c) => [c.leaves[0], c.typical[0]]));
  return order.filter((leaf) => of.get(leaf) !== undefined).map((leaf) => {
    const face = picture(pictureOf[of.get(leaf)], size * Math.min(1, pictures.height / pictures.width), "");
    face.setAttribute("aria-hidden", "true");
    Object.assign(face.style, {position: "absolute", left: `${x[leaf] - size / 2}px`, top: `${TREE.height - 8}px`});
    return face;
  });
}

function recolour() {
  const colours = state.colours, {colourBy, cut} = state;
  const own = cut.clusters.map(({colour}) => colour);
  const pick = {
    cluster: (i) => own[cut.of[i]],
    certainty: (i) => ramp((cut.certainty[i] - 0.3) / 0.7),
    label: (i) => (labels.codes[i] === MISSING ? UNKNOWN : slotColour(labels.codes[i])),
  }[colourBy] || columnColour(Number(colourBy));
  for (let i = 0; i < points.n; i++) {
    const rgb = pick(i);
    colours[3 * i] = rgb[0];
    colours[3 * i + 1] = rgb[1];
    colours[3 * i + 2] = rgb[2];
  }
  colours.set(UNKNOWN, 3 * points.n);
  drawScale();
  drawMap();
}

// The range of a column that colours span: without its outermost hundredths.
function columnRange(column) {
  const codes = columns.codes.slice(column * points.n, (column + 1) * points.n).sort();
  const end = codes.indexOf(MISSING), n = end < 0 ? codes.length : end;
  return n ? [codes[Math.floor(0.01 * (n - 1))], codes[Math.ceil(0.99 * (n - 1))]] : [0, 1];
}

function columnColour(column) {
  const [low, high] = columnRange(column), first = column * points.n;
  const steps = Array.from({length: 256}, (_, i) => ramp(i / 255));
  return (i) => {
    const code = columns.codes[first + i];
    if (code === MISSING) return UNKNOWN;
    return steps[Math.round(255 * Math.max(0, Math.min(1, (code - low) / (high - low || 1))))];
  };
}

function drawScale() {
  const {colourBy} = state, box = byId("scale");
  box.hidden = colourBy === "cluster";
  if (colourBy === "label") {
    box.replaceChildren(...labels.names.slice(0, 40).map((name, code) => make("span", {class: "key"},
      make("i", {style: {background: css(slotColour(code))}}), name)));
  } else if (!box.hidden) {
    const column = Number(colourBy), ends = colourBy === "certainty" ? ["≤ 30%", "100%"] : columnRange(column).map((code) => number(
      columns.low[column] + (columns.high[column] - columns.low[column]) * code / (MISSING - 1)));
    box.replaceChildren(ends[0], make("i", {class: "ramp", style: {background: `linear-gradient(90deg, ${viridis.map(css).join(",")})`}}), ends[1]);
  }
}

function drawLegend() {
  byId("legend").replaceChildren(...state.cut.clusters.filter(({count}) => count).map((cluster) => {
    const button = onlyButton(cluster, "");
    button.append(make("i", {style: {background: css(cluster.colour)}}), make("b", {}, cluster.number), ` ${percent(cluster.size / total)}`);
    return button;
  }));
}

function showOnly(c) {
  state.only = c;
  for (const button of document.querySelectorAll("[data-only]")) button.setAttribute("aria-pressed", String(Number(button.dataset.only) === c));
  drawMap();
}

function fillColours() {
  const options = [["cluster", "cluster"], ["certainty", "certainty"], ...(labels ? [["label", "label"]] : [])];
  const plain = options.map(([value, text]) => make("option", {value}, text));
  const own = columns.names.map((name, column) => make("option", {value: column}, name));
  byId("colour").append(...plain, ...(own.length ? [make("optgroup", {label: "Columns"}, ...own)] : []));
  byId("colour").addEventListener("change", (event) => {
    state.colourBy = event.target.value;
    recolour();
  });
}

function prepareCut() {
  const {autoClusters, autoNote, nClusters} = bundle.components, slider = byId("slider");
  if (!hasTree) {
    byId("cut").hidden = true;
    byId("tree-heading").textContent = counted(sizes.filter((size) => size >= 0.5).length, "cluster");
    return;
  }
  slider.max = K;
  let frame = 0;
  const ask = (k) => {
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(() => setCut(Math.max(1, Math.min(K, k))));
  };
  slider.addEventListener("input", () => ask(Number(slider.value)));
  const home = autoClusters ?? nClusters;
  byId("auto").textContent = `Auto: ${home}`;
  byId("auto").setAttribute("aria-label", `Back to auto, ${counted(home, "cluster")}`);
  byId("auto").addEventListener("click", () => ask(home));
  byId("auto-note").textContent = [autoNote, nClusters === autoClusters ? "" : `the model's own cut: ${nClusters}`].filter(Boolean)
    .map((text) => `${text[0].toUpperCase()}${text.slice(1)}.`).join(" ");
  byId("merges").append(table(["Clusters before", "Clusters after", "N_eff from which it pays"],
    heights.map((height, m) => [K - m, K - m - 1, number(total * Math.exp(-height))])));
  const byHeight = (event) => {
    if (!(event.buttons & 1) && event.type !== "pointerdown") return;
    const height = byId("tree").inverse(event.clientY - byId("tree").getBoundingClientRect().top);
    ask(K - heights.filter((h) => h <= height).length);
  };
  byId("tree").addEventListener("pointerdown", byHeight);
  byId("tree").addEventListener("pointermove", byHeight);
}

function prepareTheme() {
  const button = byId("theme"), root = document.documentElement;
  const isDark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const told = () => {
    button.setAttribute("aria-pressed", String(isDark()));
    drawMap();
  };
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    told();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", told);
  told();
}

function tellFacts() {
  const model = bundle.settings.find(([name]) => name === "model");
  byId("lead").textContent = [model && model[1], counted(bundle.nRows, pictures ? "image" : "row"),
    columns.names.length ? counted(columns.names.length, "column") : "", counted(bundle.components.nClusters, "cluster")].filter(Boolean).join(" · ");
  byId("map-name").textContent = `Shown: ${bundle.points.mapName}.`;
  const pairs = (list) => list.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]);
  byId("settings-list").append(...pairs(bundle.settings));
  byId("versions-list").append(...pairs(bundle.versions));
  byId("notes").append(...bundle.notes.map((note) => make("li", {}, note)));
}

function resize() {
  fitMap();
  drawMap();
  if (hasTree) drawTree();
}

async function start() {
  if (pictures) {
    sheet.src = `data:image/png;base64,${pictures.png}`;
    await sheet.decode();
  }
  tellFacts();
  fillColours();
  prepareCut();
  fitMap();
  setCut(bundle.components.nClusters);
  wholeMap();
  prepareTheme();
  listenToMap();
  drawReconstructions();
  drawCourse();
  new ResizeObserver(resize).observe(byId("map"));
  document.documentElement.dataset.ready = "";
}

start();
