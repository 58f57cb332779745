// The components, the tree over them, and what a cut of it makes of the points.

const {sizes, linkage} = bundle.components;
const K = sizes.length;
const total = sizes.reduce((sum, size) => sum + size, 0); // N, the rows under the tree
const hasTree = linkage !== null && K > 1;
const MEMBERS = 8;

const children = (linkage || []).map(([a, b]) => [a, b]);
const heights = (linkage || []).map((merge) => merge[2]);
const nodeSizes = [...sizes];
for (const [a, b] of children) nodeSizes.push(nodeSizes[a] + nodeSizes[b]);

// A colour for each node: of two that merge, the larger keeps it, so that a cut which moves
// recolours as few points as it can.
const slots = new Array(nodeSizes.length).fill(-1);
if (hasTree) {
  let next = 1;
  slots[nodeSizes.length - 1] = 0;
  for (let m = children.length - 1; m >= 0; m--) {
    const [small, large] = [...children[m]].sort((a, b) => nodeSizes[a] - nodeSizes[b]);
    slots[large] = slots[K + m];
    slots[small] = next++;
  }
} else {
  sizes.map((_, k) => k).sort((a, b) => sizes[b] - sizes[a]).forEach((k, rank) => { slots[k] = rank; });
}

// Clusters of a cut, numbered as `predict` numbers them: from 0, with a tree the largest first.
function clustersAt(k) {
  if (!hasTree) return sizes.map((size, node) => ({node, size, leaves: [node]}));
  const members = new Map(sizes.map((_, leaf) => [leaf, [leaf]]));
  for (let m = 0; m < K - k; m++) {
    const [a, b] = children[m];
    members.set(K + m, [...members.get(a), ...members.get(b)]);
    members.delete(a);
    members.delete(b);
  }
  return [...members].map(([node, leaves]) => ({node, leaves, size: nodeSizes[node]}))
    .sort((a, b) => b.size - a.size);
}

// The range of N_eff over which there are k clusters.
function nEffAt(k) {
  const at = (m) => total * Math.exp(-heights[m]);
  return {high: k === K ? total : at(K - k - 1), low: k === 1 ? 0 : at(K - k)};
}

// Everything that follows from a cut: each point's cluster and certainty, each cluster's members.
function cutAt(k) {
  const clusters = clustersAt(k), home = new Int32Array(K);
  clusters.forEach((cluster, c) => cluster.leaves.forEach((leaf) => { home[leaf] = c; }));
  const of = new Uint16Array(points.n), certainty = new Float32Array(points.n);
  const {m, components, probabilities} = points;
  const sums = new Float64Array(clusters.length);
  for (let i = 0; i < points.n; i++) {
    let best = home[components[i * m]];
    for (let j = 0; j < m; j++) {
      const c = home[components[i * m + j]];
      sums[c] += probabilities[i * m + j];
      if (sums[c] > sums[best]) best = c;
    }
    of[i] = best;
    certainty[i] = Math.min(1, sums[best] / 255);
    for (let j = 0; j < m; j++) sums[home[components[i * m + j]]] = 0;
  }
  clusters.forEach((cluster, c) => Object.assign(cluster, {
    number: c, colour: slotColour(slots[cluster.node]), count: 0, certainty: 0, typical: [], doubtful: [],
  }));
  rankMembers(clusters, of, certainty);
  return {k: clusters.length, clusters, of, certainty};
}

// The most certain members, of equals those nearest to their component's mean, and the least.
function rankMembers(clusters, of, certainty) {
  for (let i = 0; i < points.n; i++) {
    const cluster = clusters[of[i]];
    cluster.count++;
    cluster.certainty += certainty[i];
    if (pictures && pictureOf[i] < 0) continue;
    const score = certainty[i] * 1000 - points.distance[i] / PER_DISTANCE;
    keep(cluster.typical, i, -score);
    keep(cluster.doubtful, i, score);
  }
  for (const cluster of clusters) {
    cluster.certainty /= cluster.count || 1;
    const typical = new Set(cluster.typical.map(({point}) => point));
    cluster.typical = [...typical];
    cluster.doubtful = cluster.doubtful.map(({point}) => point).filter((point) => !typical.has(point));
  }
}

// A short list in rising order of cost.
function keep(list, point, cost) {
  if (list.length === MEMBERS && cost >= list[MEMBERS - 1].cost) return;
  let place = list.length;
  while (place > 0 && list[place - 1].cost > cost) place--;
  list.splice(place, 0, {point, cost});
  if (list.length > MEMBERS) list.pop();
}

// Where the tree is drawn: leaves in its order from left to right, heights from the bottom.
const TREE = {height: 250, left: 46, right: 8, top: 12, bottom: 12};

function leafOrder() {
  const order = [], waiting = [nodeSizes.length - 1];
  while (waiting.length) {
    const node = waiting.pop();
    if (node < K) order.push(node);
    else waiting.push(...[...children[node - K]].sort((a, b) => nodeSizes[a] - nodeSizes[b]));
  }
  return order;
}

function treePlaces(width) {
  const order = leafOrder(), x = new Array(nodeSizes.length);
  const top = Math.max(heights[heights.length - 1], 1e-9) * 1.06;
  const span = TREE.height - TREE.top - TREE.bottom, foot = span * 0.06;
  const y = (height) => TREE.height - TREE.bottom - foot - (span - foot) * height / top;
  const step = (width - TREE.left - TREE.right) / order.length;
  order.forEach((leaf, i) => { x[leaf] = TREE.left + (i + 0.5) * step; });
  children.forEach(([a, b], m) => { x[K + m] = (x[a] + x[b]) / 2; });
  const inverse = (place) => (TREE.height - TREE.bottom - foot - place) / (span - foot) * top;
  return {order, x, y, step, inverse, top};
}

// The tree as a drawing: clusters of the cut in their colours, the merges above it in grey.
function treeDrawing(cut, width, places) {
  const {x, y} = places;
  const colours = new Map();
  for (const {leaves, node, colour} of cut.clusters) {
    const below = [node];
    while (below.length) {
      const next = below.pop();
      colours.set(next, css(colour));
      if (next >= K) below.push(...children[next - K]);
    }
  }
  const foot = TREE.height - TREE.bottom;
  const level = (node) => (node < K ? foot : y(heights[node - K]));
  const lines = children.flatMap(([a, b], m) => [a, b].map((child) => {
    const path = drawing("path", {d: `M${x[K + m]} ${y(heights[m])}H${x[child]}V${level(child)}`});
    path.style.stroke = colours.get(child) || "";
    return path;
  }));
  const text = `Tree over ${K} components, cut into ${counted(cut.k, "cluster")}`;
  return drawing("svg", {width, height: TREE.height, role: "img", "aria-label": text},
    ...treeAxis(places, width), drawing("g", {class: "branches"}, ...lines), cutLine(cut, width, places));
}

function treeAxis({y, top}, width) {
  const marks = [];
  for (let power = Math.floor(Math.log10(total)); power >= 0; power--) {
    const height = Math.log(total / 10 ** power);
    if (height > top) break;
    const label = drawing("text", {x: TREE.left - 8, y: y(height) + 4, "text-anchor": "end"});
    label.textContent = 10 ** power >= 1e6 ? `${10 ** power / 1e6}M`
      : 10 ** power >= 1000 ? `${10 ** power / 1000}k` : 10 ** power;
    marks.push(drawing("line", {x1: TREE.left, x2: width, y1: y(height), y2: y(height), class: "grid"}), label);
  }
  const title = drawing("text", {x: 0, y: TREE.top, class: "axis"});
  title.textContent = "N_eff";
  return [...marks, title];
}

function cutLine({k}, width, {y, top}) {
  const below = k === K ? 0 : heights[K - k - 1];
  const above = k === 1 ? top : heights[K - k];
  const place = y(k === K && above === 0 ? 0 : (below + above) / 2);
  return drawing("line", {x1: TREE.left, x2: width, y1: place, y2: place, class: "cut"});
}
