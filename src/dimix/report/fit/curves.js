// The course of the training: a small chart for each term, training and validation together.

const CHART = {width: 320, height: 150, left: 50, right: 10, top: 10, bottom: 24};
const SIGNS = {merge: "▼", delete: "✕", split: "▲", birth: "✦"};

// Columns by the term they are of: train_x and val_x are one chart, the loss first.
function charts() {
  const groups = new Map();
  for (const [name, values] of bundle.course.columns) {
    const [, side, term] = name.match(/^(train|val)_(.*)$/s) || [null, "", name];
    if (term === "seconds" || values.every((v) => v === null)) continue;
    if (!groups.has(term)) groups.set(term, []);
    groups.get(term).push({side: side === "val" ? "validation" : side && "training", values});
  }
  const first = ["loss", "bound", "n_components"];
  const rank = ([term]) => (first.includes(term) ? first.indexOf(term) : first.length);
  return [...groups].sort((a, b) => rank(a) - rank(b));
}

// The range that is drawn: without the first twentieth where it dwarfs the rest.
function rangeOf(series) {
  const settled = series.flatMap(({values}) => values.slice(Math.floor(values.length / 20))).filter((v) => v !== null);
  const all = series.flatMap(({values}) => values).filter((v) => v !== null);
  const spread = (v) => Math.max(...v) - Math.min(...v);
  const used = settled.length && spread(all) > 4 * spread(settled) && spread(settled) > 0 ? settled : all;
  const low = Math.min(...used), high = Math.max(...used), room = (high - low) * 0.06 || Math.abs(high) * 0.1 || 1;
  return [low - room, high + room];
}

function chart(term, series) {
  const {at, along, moves} = bundle.course, {width, height, left, right, top, bottom} = CHART;
  const [low, high] = rangeOf(series), from = at[0], to = at[at.length - 1];
  const x = (v) => left + (width - left - right) * (to > from ? (v - from) / (to - from) : 0.5);
  const y = (v) => height - bottom - (height - top - bottom) * (Math.max(low, Math.min(high, v)) - low) / (high - low);
  const lines = series.map(({side, values}) => {
    const path = values.map((v, i) => (v === null ? "" : `${i && values[i - 1] !== null ? "L" : "M"}${x(at[i]).toFixed(1)} ${y(v).toFixed(1)}`));
    return drawing("path", {d: path.join(""), class: `line ${side}`});
  });
  const text = (content, attributes) => {
    const element = drawing("text", attributes);
    element.textContent = content;
    return element;
  };
  const ticks = [low + (high - low) * 0.06, high - (high - low) * 0.06].flatMap((v) => [
    drawing("line", {x1: left, x2: width - right, y1: y(v), y2: y(v), class: "grid"}),
    text(three.format(v), {x: left - 6, y: y(v) + 4, "text-anchor": "end"})]);
  const marks = term !== "n_components" ? [] : moves.filter(([epoch]) => epoch >= from && epoch <= to && epoch > 0)
    .map(([epoch, kind, n]) => {
      const sign = text(Object.hasOwn(SIGNS, kind) ? SIGNS[kind] : "•", {x: x(epoch), y: y(n) - 4, "text-anchor": "middle", class: `move ${Object.hasOwn(SIGNS, kind) ? kind : ""}`});
      const title = drawing("title");
      title.textContent = `${kind} in ${along} ${epoch}: ${n} components`;
      sign.append(title);
      return sign;
    });
  const ends = series.map(({side, values}) => `${side || "value"} ${three.format(values.findLast((v) => v !== null))}`);
  const named = term.replaceAll("_", " ");
  return make("figure", {class: "panel chart"},
    make("figcaption", {}, make("b", {}, named), " ", make("span", {class: "quiet"}, `at the end: ${ends.join(", ")}`)),
    drawing("svg", {viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${named} by ${along}; at the end: ${ends.join(", ")}`},
      ...ticks, text(from, {x: left, y: height - 8}), text(`${along} ${to}`, {x: width - right, y: height - 8, "text-anchor": "end"}), ...lines, ...marks),
    ...(marks.length ? [make("p", {class: "quiet"}, Object.entries(SIGNS).filter(([kind]) => moves.some((move) => move[1] === kind))
      .map(([kind, sign]) => `${sign} ${kind}`).join("  "))] : []));
}

function drawCourse() {
  const {along, at, columns: found, moves} = bundle.course;
  if (along && at.length) {
    byId("training").hidden = false;
    byId("curves").replaceChildren(...charts().map(([term, series]) => chart(term, series)));
    byId("history").append(table([along, ...found.map(([name]) => name)],
      at.map((epoch, i) => [epoch, ...found.map(([, values]) => (values[i] === null ? "" : digits.format(values[i])))])));
  }
  if (moves.length) {
    byId("moves-details").hidden = byId("training").hidden = false;
    byId("moves").append(table([along || "epoch", "move", "components after it", "gain in nats"],
      moves.map(([epoch, kind, n, gain]) => [epoch || "", kind, n, number(gain)])));
  }
}

function drawReconstructions() {
  const place = byId("reconstructed");
  if (pictures && pictures.nOriginals) {
    const first = pictures.points.length + K * pictures.nDraws, n = pictures.nOriginals;
    const pair = (i) => make("div", {class: "pair"}, picture(first + i, 56, `Original ${i + 1}`),
      picture(first + n + i, 56, `Reconstruction ${i + 1}`));
    place.append(make("p", {class: "quiet"}, "Images drawn at random, above what the model makes of them."),
      make("div", {class: "members"}, ...Array.from({length: n}, (_, i) => pair(i))));
  } else if (bundle.fidelity.length) {
    const rows = bundle.fidelity.map((kept, j) => [columns.names[j], kept]).sort((a, b) => (b[1] ?? -9) - (a[1] ?? -9));
    place.append(make("p", {class: "quiet"}, "The share of each column's variance that its reconstruction keeps (R²)."),
      make("div", {class: "fidelity"}, ...rows.map(([name, kept]) => make("div", {class: "kept"}, make("span", {title: name}, name),
        make("meter", {min: 0, max: 1, value: Math.max(0, kept ?? 0), "aria-label": name}), make("span", {}, kept === null ? "constant" : kept.toFixed(2))))));
  } else return;
  byId("reconstructions").hidden = false;
}
