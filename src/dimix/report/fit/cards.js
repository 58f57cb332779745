// A card a cluster: how large and how certain it is, who is in it, what the model draws from it.

const TELLING = 6;

// Mean and standard deviation of every column, missing values left out.
const moments = columns.names.map((_, column) => {
  let n = 0, sum = 0, squares = 0;
  for (let i = 0; i < points.n; i++) {
    const code = columns.codes[column * points.n + i];
    if (code === MISSING) continue;
    n++;
    sum += code;
    squares += code * code;
  }
  const mean = sum / (n || 1);
  return {mean, spread: Math.sqrt(Math.max(0, squares / (n || 1) - mean * mean))};
});

// Each cluster's mean of every column, as its distance from all points' in standard deviations.
function compareColumns(cut) {
  cut.clusters.forEach((cluster) => { cluster.contrast = []; });
  columns.names.forEach((_, column) => {
    const sums = new Float64Array(cut.k), counts = new Uint32Array(cut.k);
    for (let i = 0; i < points.n; i++) {
      const code = columns.codes[column * points.n + i];
      if (code === MISSING) continue;
      sums[cut.of[i]] += code;
      counts[cut.of[i]]++;
    }
    const {mean, spread} = moments[column], step = (columns.high[column] - columns.low[column]) / (MISSING - 1);
    cut.clusters.forEach((cluster, c) => {
      const own = counts[c] ? sums[c] / counts[c] : mean;
      cluster.contrast.push({column, apart: spread ? (own - mean) / spread : 0, mean: columns.low[column] + own * step});
    });
  });
}

function tellingColumns(cluster, most = TELLING) {
  return [...(cluster.contrast || [])].sort((a, b) => Math.abs(b.apart) - Math.abs(a.apart)).slice(0, most);
}

function commonLabels(cut) {
  const counts = cut.clusters.map(() => new Map());
  for (let i = 0; i < points.n; i++) {
    const own = counts[cut.of[i]], code = labels.codes[i];
    own.set(code, (own.get(code) || 0) + 1);
  }
  cut.clusters.forEach((cluster, c) => {
    cluster.labels = [...counts[c]].sort((a, b) => b[1] - a[1]).slice(0, 3).map(([code, n]) => [
      code === MISSING ? "unknown" : labels.names[code], n / cluster.count]);
  });
}

function drawCards(cut) {
  const shown = cut.clusters.filter((cluster) => cluster.count || cluster.size >= 0.5);
  byId("cards").replaceChildren(...shown.map(card));
  const empty = cut.k - shown.length;
  byId("clusters-help").textContent = [
    "Typical members are the most certain ones, of equals those nearest to their component's mean.",
    columns.names.length ? "Bars compare the cluster's mean with that of all rows, in standard deviations." : "",
    empty ? `${counted(empty, "component")} without rows ${empty === 1 ? "is" : "are"} left out.` : "",
  ].join(" ").trim();
}

function card(cluster) {
  const {number: c, size, count, certainty, colour} = cluster;
  const id = `cluster-${c}`;
  return make("article", {class: "panel card", "aria-labelledby": id, style: {borderTopColor: css(colour)}},
    make("div", {class: "bar"}, make("h3", {id}, `Cluster ${c}`), onlyButton(cluster, "Show only")),
    make("p", {class: "facts"}, make("b", {}, percent(size / total)), ` of the rows, ${counted(Math.round(size), "row")}, `,
      `${certain(certainty)} certain`, count && points.n < bundle.nRows ? `, ${whole(count)} on the map` : ""),
    ...(labels && cluster.labels.length ? [make("p", {class: "facts"}, "Labels: ",
      cluster.labels.map(([name, share]) => `${name} ${percent(share)}`).join(", "))] : []),
    ...(columns.names.length ? [contrastTable(cluster)] : []),
    ...membersOf("Typical", cluster.typical),
    ...membersOf("Least certain", cluster.doubtful),
    ...samplesOf(cluster));
}

function onlyButton({number: c}, text) {
  return make("button", {type: "button", class: "only", "data-only": c, "aria-pressed": String(state.only === c),
    "aria-label": `Show only cluster ${c} on the map`, on: {click: () => showOnly(state.only === c ? null : c)}}, text);
}

function membersOf(title, members) {
  if (!members.length) return [];
  return [make("h4", {}, title), make("div", {class: "members"}, ...members.map(memberButton))];
}

// A member that is shown on the map while it is pointed at or focused.
function memberButton(point) {
  const told = `${nameOf(point)}, ${certain(state.cut.certainty[point])} certain`;
  const face = pictures ? [picture(pictureOf[point], faceHeight(), told)] : [nameOf(point)];
  const show = () => { if (!state.pinned) showPoint(point); };
  const hide = () => { if (!state.pinned) showPoint(-1); };
  return make("button", {type: "button", class: pictures ? "face" : "row", title: told, "aria-label": told,
    on: {pointerenter: show, focus: show, pointerleave: hide, blur: hide, click: () => {
      state.pinned = true;
      showPoint(point, true);
      canvas.scrollIntoView({block: "nearest"});
    }}}, ...face);
}

const faceHeight = () => Math.min(48, 44 * Math.max(1, pictures.height / pictures.width));

// Draws of the cluster's components, of each in turn, the largest first.
function drawsOf({leaves}, nDraws) {
  const order = [...leaves].sort((a, b) => sizes[b] - sizes[a]), draws = [];
  for (let s = 0; s < nDraws && draws.length < MEMBERS; s++) {
    for (const leaf of order) if (draws.length < MEMBERS) draws.push(leaf * nDraws + s);
  }
  return draws;
}

function samplesOf(cluster) {
  if (pictures && pictures.nDraws) {
    const first = pictures.points.length;
    return [make("h4", {}, "Drawn from the model"), make("div", {class: "members"},
      ...drawsOf(cluster, pictures.nDraws).map((s) => picture(first + s, faceHeight(), `A sample of cluster ${cluster.number}`)))];
  }
  if (!columns.names.length) return [];
  const shown = tellingColumns(cluster), p = columns.names.length;
  const heads = ["Row", ...shown.map(({column}) => columns.names[column])];
  const rows = (group, cell) => group.map((item, i) => [...cell(item, i)]);
  const members = rows(cluster.typical.slice(0, 5), (point) => [nameOf(point), ...shown.map(({column}) => number(valueOf(column, point)))]);
  const draws = columns.samples ? rows(drawsOf(cluster, columns.nDraws).slice(0, 5), (s, i) => [`Sample ${i + 1}`,
    ...shown.map(({column}) => number(columns.samples[s * p + column]))]) : [];
  return [make("details", {}, make("summary", {}, columns.samples ? "Typical rows, and samples from the model" : "Typical rows"),
    make("div", {class: "scroll", role: "region", "aria-label": `Rows of cluster ${cluster.number}`, tabindex: 0}, table(heads, [...members, ...draws])))];
}

function contrastTable(cluster) {
  const largest = Math.max(1, ...cluster.contrast.map(({apart}) => Math.abs(apart)));
  const rows = tellingColumns(cluster).map(({column, apart, mean}) => {
    const length = 50 * Math.abs(apart) / largest;
    const bar = make("span", {class: "bar-track", "aria-hidden": "true"}, make("span", {class: "bar-fill", style: {
      left: `${apart < 0 ? 50 - length : 50}%`, width: `${length}%`, background: css(cluster.colour)}}));
    return make("tr", {}, make("th", {scope: "row", title: columns.names[column]}, columns.names[column]), make("td", {}, bar),
      make("td", {}, `${apart < 0 ? "−" : "+"}${Math.abs(apart).toFixed(2)}`), make("td", {}, three.format(mean)));
  });
  const heads = ["Column", "", "sd", "mean"].map((text) => make("th", {scope: "col"}, text));
  return make("table", {class: "contrast"}, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows));
}
