// Editing: what clicks, drags and keys do to the layout.

const HINTS = {
  move: "Drag a cell. It is then kept (ring): “Rearrange the others” lets the model move only the rest.",
  keep: "A click keeps a cell where it is, another one lets it go.",
  add: "A click adds a cell of the chosen class. It is kept.",
  delete: "A click deletes a cell.",
  lasso: "Draw around a part of the layout. The model redraws the cells in it; kept cells and all others stay.",
};
const tools = { held: -1, cross: page.size.map(side => side / 2), keyboard: false, drawing: false };

const tool = () => document.querySelector("input[name=tool]:checked").value;

function named(cell) {
  return `${model.classes[cell.label]} at y ${cell.y.toFixed(1)}, x ${cell.x.toFixed(1)}${cell.kept ? ", kept" : ""}`;
}

// Where the pointer is, px; and how near a cell must be to be meant.
function place(event) {
  const box = $("picture").getBoundingClientRect(), scale = (box.width - 2) / page.size[1];
  return { y: (event.clientY - box.top - 1) / scale, x: (event.clientX - box.left - 1) / scale, reach: Math.max(6, 14 / scale) };
}

// Do what the tool does at a place; true if it begins a drag.
function act(y, x, reach) {
  const at = cellAt(y, x, reach), what = tool();
  if (what === "lasso") return true;
  if (what === "add") {
    remember();
    [y, x] = inside(y, x);
    page.cells.push({ y, x, label: +$("added").value, kept: true });
    edited(`Added: ${named(page.cells.at(-1))}.`);
    return false;
  }
  if (at < 0) {
    say("No cell is near.");
    return false;
  }
  remember();
  if (what === "move") {
    tools.held = at;
    return true;
  }
  if (what === "delete") edited(`Deleted: ${named(page.cells.splice(at, 1)[0])}.`);
  if (what === "keep") {
    page.cells[at].kept = !page.cells[at].kept;
    changed(`${page.cells[at].kept ? "Kept" : "Let go"}: ${named(page.cells[at])}.`);
  }
  return false;
}

function carry(y, x) {
  [page.cells[tools.held].y, page.cells[tools.held].x] = inside(y, x);
}

function putDown() {
  const cell = page.cells[tools.held], before = page.past.at(-1).cells[tools.held];
  tools.held = -1;
  if (cell.y === before.y && cell.x === before.x) {
    page.past.pop();
    changed(`Here: ${named(cell)}.`);
    return;
  }
  cell.kept = true;
  edited(`Moved: ${named(cell)}.`);
}

// Before anything else happens: a cell taken by a key is put down, and an unfinished lasso is dropped.
function settle() {
  if (tools.held >= 0) putDown();
  if (tools.drawing) [page.lasso, tools.drawing] = [null, false];
}

// The lasso is closed: offer its counts.
function lassoDone() {
  tools.drawing = false;
  const mask = page.lasso?.length >= 3 ? lassoMask() : null;
  if (!mask?.includes(1)) {
    page.lasso = null;
    changed("The lasso was too small.");
    return;
  }
  countsOf(splitByLasso(mask).redrawn).forEach((n, label) => ($(`inner${label}`).value = n));
  changed("The lasso is closed. Say how many cells it shall hold, then redraw it.");
}

function pointerDown(event) {
  if (busy() || event.button) return;
  event.preventDefault();
  $("picture").focus({ preventScroll: true });
  tools.keyboard = false;
  const { y, x, reach } = place(event);
  settle();
  if (!act(y, x, reach)) return;
  $("picture").setPointerCapture(event.pointerId);
  if (tool() === "lasso") [page.lasso, tools.drawing] = [[inside(y, x)], true];
}

function pointerMove(event) {
  const { y, x } = place(event);
  if (tools.keyboard || (tools.held < 0 && !tools.drawing)) return;
  if (tools.held >= 0) carry(y, x);
  else page.lasso.push(inside(y, x));
  draw();
}

function pointerUp() {
  if (tools.keyboard) return;
  if (tools.held >= 0) putDown();
  else if (tools.drawing) lassoDone();
}

// -- keys on the layout ---------------------------------------------------------------------------------------

const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

function key(event) {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z") {
    event.preventDefault();
    if (!busy()) undo();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || busy()) return;
  tools.cross = inside(...tools.cross); // the region may be smaller than the last one
  const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const step = STEPS[name];
  if (step) moveCross(step.map(one => one * (event.shiftKey ? 1 : 8)));
  else if (name === "n" || name === "p") jump(name === "n" ? 1 : -1);
  else if (name === "Enter" || name === " ") enter();
  else if (name === "c" && tools.drawing) lassoDone();
  else if (name === "Escape" && (page.lasso || tools.held >= 0)) drop();
  else return;
  event.preventDefault();
  draw();
}

function moveCross([down, right]) {
  tools.keyboard = true;
  tools.cross = inside(tools.cross[0] + down, tools.cross[1] + right);
  if (tools.held >= 0) carry(...tools.cross);
  const under = cellAt(...tools.cross, 6);
  say(`y ${tools.cross[0].toFixed(0)}, x ${tools.cross[1].toFixed(0)}${under >= 0 ? `: ${named(page.cells[under])}` : ""}`);
}

// To the next cell in reading order of the table.
function jump(by) {
  if (!page.cells.length || tools.held >= 0) return;
  tools.keyboard = true;
  const near = cellAt(...tools.cross, 1e-3), n = page.cells.length;
  const at = near < 0 ? 0 : (near + by + n) % n, cell = page.cells[at];
  tools.cross = [cell.y, cell.x];
  say(`Cell ${at + 1} of ${n}: ${named(cell)}`);
}

function enter() {
  tools.keyboard = true;
  if (tools.held >= 0) putDown();
  else if (tool() === "lasso") {
    page.lasso = tools.drawing ? [...page.lasso, tools.cross] : [tools.cross];
    tools.drawing = true;
    say(`Corner ${page.lasso.length} of the lasso. C closes it.`);
  } else if (act(...tools.cross, 6)) say(`Taken: ${named(page.cells[tools.held])}. Arrow keys move it, Enter puts it down.`);
}

function drop() {
  if (tools.held >= 0) {
    tools.held = -1;
    undo();
  }
  [page.lasso, tools.drawing] = [null, false];
  changed("Dropped.");
}
