// Elements, numbers in words, pictures. Text from the bundle becomes text nodes and nothing else.

const byId = (id) => document.getElementById(id);

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") for (const [event, act] of Object.entries(value)) element.addEventListener(event, act);
    else if (name === "style") Object.assign(element.style, value);
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.map((child) => (child instanceof Node ? child : String(child))));
  return element;
}

function drawing(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const wholes = new Intl.NumberFormat("en", {maximumFractionDigits: 0});
const digits = new Intl.NumberFormat("en", {maximumSignificantDigits: 4});
const three = new Intl.NumberFormat("en", {maximumSignificantDigits: 3});
const whole = (x) => wholes.format(x);
const number = (x) => (Number.isFinite(x) ? digits.format(x) : "missing");
const percent = (x) => (x > 0 && x < 0.001 ? "< 0.1%" : `${(100 * x).toFixed(x < 0.0995 ? 1 : 0)}%`);
const certain = (p) => (p > 0.995 && p < 1 ? "> 99%" : percent(p));
const counted = (n, one, many = `${one}s`) => `${whole(n)} ${n === 1 ? one : many}`;

function table(heads, rows) {
  const head = make("tr", {}, ...heads.map((text) => make("th", {scope: "col"}, text)));
  const body = rows.map(([first, ...rest]) => make("tr", {},
    make("th", {scope: "row"}, first), ...rest.map((cell) => make("td", {}, cell))));
  return make("table", {}, make("thead", {}, head), make("tbody", {}, ...body));
}

const sheet = new Image();

// One picture of the sprite on a canvas of its own, so many CSS pixels high.
function picture(index, height, name) {
  const scale = height / pictures.height;
  const ratio = Math.max(1, Math.ceil(scale * devicePixelRatio));
  const canvas = make("canvas", {
    width: pictures.width * ratio, height: pictures.height * ratio, role: "img", "aria-label": name,
    style: {height: `${height}px`, width: `${pictures.width * scale}px`},
  });
  const pen = canvas.getContext("2d");
  pen.imageSmoothingEnabled = false;
  pen.drawImage(sheet, (index % pictures.perRow) * pictures.width,
    Math.floor(index / pictures.perRow) * pictures.height, pictures.width, pictures.height,
    0, 0, canvas.width, canvas.height);
  return canvas;
}

function nameOf(point) {
  return points.names.length ? points.names[point] : `Row ${points.rows[point]}`;
}
