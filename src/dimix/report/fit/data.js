// What the page shows: the bundle, its arrays unpacked.

const ARRAYS = {uint8: Uint8Array, uint16: Uint16Array, uint32: Uint32Array, float32: Float32Array};
const MISSING = 65535;
const PER_DISTANCE = 1000;

function unpacked(packed) {
  const text = atob(packed.data);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return new ARRAYS[packed.type](bytes.buffer);
}

const bundle = JSON.parse(document.getElementById("bundle").textContent);
const points = {
  ...bundle.points,
  n: bundle.points.xy.shape[0],
  m: bundle.points.components.shape[1],
};
for (const name of ["xy", "rows", "components", "probabilities", "distance"]) {
  points[name] = unpacked(bundle.points[name]);
}
const columns = bundle.columns;
if (columns.names.length) columns.codes = unpacked(columns.codes);
if (columns.samples) {
  columns.nDraws = columns.samples.shape[1];
  columns.samples = unpacked(columns.samples);
}
const labels = bundle.labels && {...bundle.labels, codes: unpacked(bundle.labels.codes)};
const pictures = bundle.pictures && {...bundle.pictures, points: unpacked(bundle.pictures.points)};

// The picture of each point, -1 where there is none.
const pictureOf = new Int32Array(points.n).fill(-1);
if (pictures) pictures.points.forEach((point, picture) => { pictureOf[point] = picture; });

function valueOf(column, point) {
  const code = columns.codes[column * points.n + point];
  if (code === MISSING) return NaN;
  return columns.low[column] + (columns.high[column] - columns.low[column]) * code / (MISSING - 1);
}

function labelOf(point) {
  const code = labels.codes[point];
  return code === MISSING ? "unknown" : labels.names[code];
}
