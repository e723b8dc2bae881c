// What the page shows: cells {y, x, label, kept} of a region, and what leads back. Positions are px, as float32.

const $ = id => document.getElementById(id);
const model = JSON.parse($("model").textContent);
const INSIDE = 1 / 64; // px that a cell keeps from the lower and the right border

const page = {
  cells: [],
  size: [model.size, model.size],
  drawn: null, // the request and the seed of a layout that nobody has changed since
  lasso: null, // corners [y, x]
  preview: null, // what is drawn while the model denoises: positions of new cells, staying ones, and the size
  past: [],
};

function make(name, attributes = {}, parent = null) {
  const node = name.startsWith("svg:")
    ? document.createElementNS("http://www.w3.org/2000/svg", name.slice(4))
    : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "text") node.textContent = value;
    else node.setAttribute(key, value);
  }
  if (parent) parent.append(node);
  return node;
}

// Call before each change that Undo takes back.
function remember() {
  page.past.push({ cells: page.cells.map(one => ({ ...one })), size: page.size, drawn: page.drawn });
  if (page.past.length > 100) page.past.shift();
}

function undo() {
  settle();
  const before = page.past.pop();
  if (!before) return;
  Object.assign(page, before, { lasso: null });
  changed("One step taken back.");
}

// A position inside the region, rounded as files keep it.
function inside(y, x) {
  return [y, x].map((one, axis) => Math.fround(Math.min(Math.max(one, 0), page.size[axis] - INSIDE)));
}

function countsOf(cells) {
  const counts = model.classes.map(() => 0);
  for (const { label } of cells) counts[label]++;
  return counts;
}

function pointsOf(cells) {
  return Float32Array.from(cells.flatMap(({ y, x }) => [y, x]));
}

// The cell nearest to a place and within `reach` px of it: its number, or -1.
function cellAt(y, x, reach) {
  let best = -1, least = reach;
  page.cells.forEach((cell, i) => {
    const distance = Math.hypot(cell.y - y, cell.x - x);
    if (distance <= least) [best, least] = [i, distance];
  });
  return best;
}

// Whether each pixel lies in the lasso: Uint8Array (height · width). Whole numbers are the centres of pixels.
function lassoMask() {
  const [height, width] = page.size, mask = new Uint8Array(height * width), corners = page.lasso;
  for (let row = 0; row < height; row++) {
    const crossings = [];
    corners.forEach(([y, x], i) => {
      const [toY, toX] = corners[(i + 1) % corners.length];
      if (y > row !== toY > row) crossings.push(x + ((row - y) / (toY - y)) * (toX - x));
    });
    crossings.sort((a, b) => a - b);
    for (let i = 0; i + 1 < crossings.length; i += 2) {
      const first = Math.max(Math.ceil(crossings[i]), 0), last = Math.min(Math.floor(crossings[i + 1]), width - 1);
      if (first <= last) mask.fill(1, row * width + first, row * width + last + 1);
    }
  }
  return mask;
}

// Cells apart: those that the lasso redraws, and those that stay, outside it or kept.
function splitByLasso(mask) {
  const [height, width] = page.size, redrawn = [], staying = [];
  for (const cell of page.cells) {
    const row = Math.min(Math.floor(cell.y + 0.5), height - 1), column = Math.min(Math.floor(cell.x + 0.5), width - 1);
    (mask[row * width + column] && !cell.kept ? redrawn : staying).push(cell);
  }
  return { redrawn, staying };
}

function say(text) {
  $("status").textContent = text;
}

// One line on what cannot be done; nothing else is said then. "" ends it.
function complain(text) {
  if (text) say("");
  $("problem").textContent = text;
  $("problem").hidden = !text;
}
