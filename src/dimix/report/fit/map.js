// The map: points drawn pixel by pixel, so that 100,000 of them follow the slider and the mouse.

const canvas = byId("canvas"), ring = byId("ring"), tip = byId("tip");
const MARGIN = 18, REACH = 12, FARTHEST = 400;
const places = {x: new Float32Array(points.n), y: new Float32Array(points.n)};
let highX = 0, highY = 0;
for (let i = 0; i < points.n; i++) {
  places.x[i] = points.xy[2 * i];
  places.y[i] = -points.xy[2 * i + 1];
  highX = Math.max(highX, places.x[i]);
  highY = Math.min(highY, places.y[i]);
}

// Points in an order of their own, so that none always lies above its neighbours in the data.
const drawOrder = Uint32Array.from({length: points.n}, (_, i) => i);
for (let i = points.n - 1, seed = 1; i > 0; i--) {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  const j = seed % (i + 1);
  [drawOrder[i], drawOrder[j]] = [drawOrder[j], drawOrder[i]];
}

const view = {scale: 1, x: highX / 2, y: highY / 2, width: 0, height: 0, whole: 1};
const screenX = (i) => (places.x[i] - view.x) * view.scale + view.width / 2;
const screenY = (i) => (places.y[i] - view.y) * view.scale + view.height / 2;

function fitMap() {
  const box = canvas.getBoundingClientRect();
  const zoom = view.scale / view.whole;
  Object.assign(view, {width: box.width, height: box.height});
  view.whole = Math.min((box.width - 2 * MARGIN) / (highX || 1), (box.height - 2 * MARGIN) / (-highY || 1));
  view.scale = view.whole * (Number.isFinite(zoom) && zoom > 1 ? zoom : 1);
  canvas.width = Math.round(box.width * devicePixelRatio);
  canvas.height = Math.round(box.height * devicePixelRatio);
}

function wholeMap() {
  Object.assign(view, {scale: view.whole, x: highX / 2, y: highY / 2});
  drawMap();
}

function zoomMap(factor, atX = view.width / 2, atY = view.height / 2) {
  const scale = Math.max(view.whole, Math.min(view.whole * FARTHEST, view.scale * factor));
  view.x += (atX - view.width / 2) * (1 / view.scale - 1 / scale);
  view.y += (atY - view.height / 2) * (1 / view.scale - 1 / scale);
  view.scale = scale;
  drawMap();
}

function moveMap(dx, dy) {
  view.x -= dx / view.scale;
  view.y -= dy / view.scale;
  drawMap();
}

function radius() {
  const first = Math.max(1.1, Math.min(5, 190 / Math.sqrt(points.n)));
  return Math.min(7, first * (view.scale / view.whole) ** 0.3);
}

// How much of each pixel of a square a disc covers, about.
function disc(size) {
  const half = Math.ceil(size), dx = [], dy = [], share = [];
  for (let y = -half; y <= half; y++) {
    for (let x = -half; x <= half; x++) {
      const cover = Math.max(0, Math.min(1, size + 0.5 - Math.hypot(x, y)));
      if (!cover) continue;
      dx.push(x);
      dy.push(y);
      share.push(cover);
    }
  }
  return {half, dx, dy, share};
}

let waiting = false;
function drawMap() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    paintMap();
  });
}

function paintMap() {
  const pen = canvas.getContext("2d", {willReadFrequently: true}), {width, height} = canvas;
  if (!width || !height) return;
  const ground = getComputedStyle(canvas).backgroundColor.match(/\d+/g).map(Number);
  const image = pen.createImageData(width, height), pixels = image.data;
  new Uint32Array(pixels.buffer).fill((255 << 24) | (ground[2] << 16) | (ground[1] << 8) | ground[0]);
  const {half, dx, dy, share} = disc(radius() * devicePixelRatio);
  const {colours} = state, opacity = points.n > 20000 ? 0.75 : 0.88;
  const passes = state.only === null ? [null] : [false, true];
  for (const pass of passes) {
    for (const i of drawOrder) {
      const shown = state.only === null || state.cut.of[i] === state.only;
      if (pass !== null && shown !== pass) continue;
      const x = Math.round(screenX(i) * devicePixelRatio), y = Math.round(screenY(i) * devicePixelRatio);
      if (x < half || y < half || x >= width - half || y >= height - half) continue;
      const place = 3 * (shown ? i : points.n), base = shown ? opacity : 0.3;
      const red = colours[place], green = colours[place + 1], blue = colours[place + 2];
      for (let j = 0; j < share.length; j++) {
        const at = 4 * ((y + dy[j]) * width + x + dx[j]), a = base * share[j];
        pixels[at] += (red - pixels[at]) * a;
        pixels[at + 1] += (green - pixels[at + 1]) * a;
        pixels[at + 2] += (blue - pixels[at + 2]) * a;
      }
    }
  }
  pen.putImageData(image, 0, 0);
  writeNumbers(pen);
  placeRing();
}

// Each cluster's number at the median of its points, where clusters are what is coloured.
function writeNumbers(pen) {
  if (state.colourBy !== "cluster" || state.cut.k > 60) return;
  const style = getComputedStyle(canvas);
  pen.save();
  pen.scale(devicePixelRatio, devicePixelRatio);
  Object.assign(pen, {font: "700 14px system-ui, sans-serif", textAlign: "center", textBaseline: "middle",
    lineJoin: "round", lineWidth: 4, strokeStyle: style.backgroundColor, fillStyle: style.color});
  for (const {number: c, count, middle} of state.cut.clusters) {
    if (!count || (state.only !== null && state.only !== c)) continue;
    const x = (middle[0] - view.x) * view.scale + view.width / 2;
    const y = (middle[1] - view.y) * view.scale + view.height / 2;
    pen.strokeText(c, x, y);
    pen.fillText(c, x, y);
  }
  pen.restore();
}

// The median place of every cluster, of at most 2,000 of its points.
function placeNumbers(cut) {
  const members = cut.clusters.map(() => []);
  for (const i of drawOrder) if (members[cut.of[i]].length < 2000) members[cut.of[i]].push(i);
  const median = (of, values) => values[[...of].sort((a, b) => values[a] - values[b])[of.length >> 1]];
  cut.clusters.forEach((cluster, c) => {
    cluster.middle = members[c].length ? [median(members[c], places.x), median(members[c], places.y)] : [0, 0];
  });
}

// The nearest point within reach; of those, one with a picture if there is any.
function pointAt(x, y, reach = REACH) {
  let nearest = -1, best = Infinity;
  for (let i = 0; i < points.n; i++) {
    if (state.only !== null && state.cut.of[i] !== state.only) continue;
    const dx = screenX(i) - x, dy = screenY(i) - y, square = dx * dx + dy * dy;
    if (square > reach * reach) continue;
    const cost = square + (pictures && pictureOf[i] < 0 ? reach * reach : 0);
    if (cost < best) [nearest, best] = [i, cost];
  }
  return nearest;
}

function placeRing() {
  const point = state.point;
  const x = point < 0 ? -1 : screenX(point), y = point < 0 ? -1 : screenY(point);
  const visible = point >= 0 && x >= 0 && y >= 0 && x <= view.width && y <= view.height;
  ring.hidden = tip.hidden = !visible;
  if (!visible) return;
  ring.style.transform = `translate(${x}px, ${y}px)`;
  const left = Math.min(Math.max(x + 14, 0), view.width - tip.offsetWidth - 4);
  const over = y + 14 + tip.offsetHeight > view.height ? y - 14 - tip.offsetHeight : y + 14;
  tip.style.transform = `translate(${Math.max(0, left)}px, ${Math.max(0, over)}px)`;
}

// What a point is, beside it on the map; `aloud` also tells a screen reader.
function showPoint(point, aloud = false) {
  if (point !== state.point) {
    state.point = point;
    tip.replaceChildren(...(point < 0 ? [] : aboutPoint(point)));
  }
  placeRing();
  if (aloud && point >= 0) byId("said").textContent = [nameOf(point), ...factsOf(point).map((f) => f.join(" "))].join(", ");
}

function factsOf(point) {
  const facts = [["cluster", state.cut.of[point]], ["certainty", certain(state.cut.certainty[point])]];
  if (points.names.length) facts.push(["row", whole(points.rows[point])]);
  if (labels) facts.push(["label", labelOf(point)]);
  const {clusters, of} = state.cut;
  const shown = tellingColumns(clusters[of[point]], 8);
  return [...facts, ...shown.map(({column}) => [columns.names[column], number(valueOf(column, point))])];
}

function aboutPoint(point) {
  const facts = factsOf(point).flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]);
  const image = pictureOf[point] < 0 ? [] : [picture(pictureOf[point], 84, nameOf(point))];
  return [...image, make("div", {}, make("strong", {}, nameOf(point)), make("dl", {}, ...facts))];
}

function listenToMap() {
  const down = new Map();
  let moved = 0;
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    down.set(event.pointerId, at(event));
    moved = 0;
  });
  canvas.addEventListener("pointermove", (event) => {
    const [x, y] = at(event), before = down.get(event.pointerId);
    if (!before) {
      if (!state.pinned) showPoint(pointAt(x, y));
      return;
    }
    const other = [...down].find(([id]) => id !== event.pointerId);
    if (other) {
      const apart = ([a, b]) => Math.hypot(a - other[1][0], b - other[1][1]);
      zoomMap(apart([x, y]) / Math.max(1, apart(before)), ...other[1]);
    } else moveMap(x - before[0], y - before[1]);
    moved += Math.abs(x - before[0]) + Math.abs(y - before[1]);
    down.set(event.pointerId, [x, y]);
  });
  canvas.addEventListener("pointerup", (event) => {
    if (moved < 4 && down.has(event.pointerId)) {
      const point = pointAt(...at(event));
      state.pinned = point >= 0;
      showPoint(point, true);
    }
    down.delete(event.pointerId);
  });
  canvas.addEventListener("pointercancel", (event) => down.delete(event.pointerId));
  canvas.addEventListener("pointerleave", () => { if (!state.pinned) showPoint(-1); });
  canvas.addEventListener("wheel", (event) => {
    if (document.activeElement !== canvas && !event.ctrlKey) return;
    event.preventDefault();
    zoomMap(2 ** (-event.deltaY / 300), ...at(event));
  }, {passive: false});
  const keys = {
    ArrowLeft: () => moveMap(40, 0), ArrowRight: () => moveMap(-40, 0),
    ArrowUp: () => moveMap(0, 40), ArrowDown: () => moveMap(0, -40),
    "+": () => zoomMap(1.5), "=": () => zoomMap(1.5), "-": () => zoomMap(1 / 1.5), 0: wholeMap,
    Enter: () => {
      state.pinned = true;
      showPoint(pointAt(view.width / 2, view.height / 2, Infinity), true);
    },
    Escape: () => {
      state.pinned = false;
      showPoint(-1);
    },
  };
  canvas.addEventListener("keydown", (event) => {
    if (!(event.key in keys) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    keys[event.key]();
  });
  byId("zoom-in").addEventListener("click", () => zoomMap(1.5));
  byId("zoom-out").addEventListener("click", () => zoomMap(1 / 1.5));
  byId("zoom-reset").addEventListener("click", wholeMap);
}
