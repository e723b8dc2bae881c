// Requests to the worker: drawing, rearranging, redrawing in the lasso. One at a time; the page stays alive.

const work = { worker: null, asked: 0, waiting: new Map(), drawing: false, ready: null, last: "" };

function startWorker() {
  const source = URL.createObjectURL(new Blob(['"use strict";', $("worker").textContent], { type: "text/javascript" }));
  work.worker = new Worker(source);
  URL.revokeObjectURL(source);
  work.worker.onerror = event => complain(`this page failed: ${event.message}`);
  work.worker.onmessage = ({ data: { number, kind, value } }) => {
    const one = work.waiting.get(number);
    if (!one) return;
    if (kind === "progress") return one.progress(value);
    work.waiting.delete(number);
    if (kind === "done") one.resolve(value);
    else one.reject(new Error(value));
  };
  work.ready = ask("load", { weights: $("weights").textContent, model });
  return work.ready;
}

function ask(kind, value, progress = () => {}) {
  return new Promise((resolve, reject) => {
    const number = ++work.asked;
    work.waiting.set(number, { resolve, reject, progress });
    work.worker.postMessage({ number, kind, value });
  });
}

const busy = () => work.drawing;

// Stop what is drawn; the layout stays as it was.
function stop() {
  work.worker.terminate();
  const left = [...work.waiting.values()];
  work.waiting.clear();
  startWorker().catch(() => {}); // stopped again
  for (const one of left) one.reject(new Error("stopped"));
}

function setBusy(on) {
  work.drawing = on;
  for (const id of ["draw", "another", "rearrange", "inpaint", "clear"]) $(id).setAttribute("aria-disabled", on);
  if (!on && document.activeElement === $("cancel")) $("draw").focus({ preventScroll: true }); // Stop goes
  $("cancel").hidden = $("progress").hidden = !on;
  $("picture").setAttribute("aria-busy", on);
}

// Let the model place cells of `counts` beside `staying` ones, in the mask. If it succeeds, finish(request, seed) is
// called before the layout is shown. `again`: if asked for the same twice, it takes the next seed.
async function placeCells({ counts, staying, mask = null, size = page.size, again = true }, finish) {
  if (busy()) return;
  complain("");
  const distance = numberOf($("distance")), seed = seedFor({ counts, staying, size, distance, lasso: mask && page.lasso }, again);
  const request = {
    counts, size, mask, seed, distance, fixed: pointsOf(staying), fixedLabels: staying.map(one => one.label),
  };
  const labels = Uint8Array.from(counts.flatMap((n, label) => Array(n > 0 && n < 1e5 ? n : 0).fill(label)));
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  setBusy(true);
  say("Drawing …");
  $("progress").value = 0;
  try {
    const found = await ask("draw", request, ({ call, calls, points }) => {
      $("progress").value = call / calls;
      $("progress").textContent = `${Math.round((100 * call) / calls)} %`;
      if (still) return;
      page.preview = { points, labels, staying, size };
      requestAnimationFrame(draw);
    });
    if (page.cells.length || page.past.length) remember();
    page.size = size;
    const cells = [...staying];
    for (let i = found.given; i < found.labels.length; i++) {
      cells.push({ y: found.points[2 * i], x: found.points[2 * i + 1], label: found.labels[i], kept: false });
    }
    page.cells = cells;
    finish(request, found.seed);
  } catch (error) {
    work.last = "";
    if (error.message === "stopped") say("Stopped. The layout is as it was.");
    else complain(error.message);
  }
  page.preview = null;
  setBusy(false);
  changed();
}

// The seed in the field; with `again` the next one if the last request was the same, for it would change no cell.
function seedFor(request, again) {
  const key = () => JSON.stringify({ ...request, seed: $("seed").value.trim() });
  if (again && key() === work.last) nextSeed();
  work.last = key();
  return $("seed").value.trim();
}

function nextSeed() {
  const seed = $("seed").value.trim();
  if (/^\d{1,18}$/.test(seed)) $("seed").value = String(BigInt(seed) + 1n);
}

// The number in a field; NaN for anything else, which the check of the request refuses.
function numberOf(field) {
  return field.value.trim() === "" ? NaN : Number(field.value);
}

// Whole numbers of the fields `name`0, `name`1, …, or null with a complaint.
function countsIn(name) {
  const counts = model.classes.map((_, label) => numberOf($(`${name}${label}`)));
  const wrong = counts.findIndex(n => !(Number.isInteger(n) && n >= 0));
  if (wrong < 0) return counts;
  complain(`${model.classes[wrong]}: “${$(`${name}${wrong}`).value}” is no count; expected a whole number from 0`);
  return null;
}

function drawAnew() {
  const counts = countsIn("count"), size = [numberOf($("height")), numberOf($("width"))];
  if (!counts) return Promise.resolve();
  return placeCells({ counts, staying: [], size, again: false }, (request, seed) => {
    page.drawn = { ...request, layoutSeed: seed };
    page.lasso = null;
    say(`${page.cells.length} cells drawn.${unseen()}`);
  });
}

// A sentence if the model was trained on no such counts, as `cellscaper generate` warns; "" if it was, or nobody knows.
function unseen() {
  const share = model.network.region ** 2 / (page.size[0] * page.size[1]);
  const asked = [...countsOf(page.cells), page.cells.length].map(n => Math.round(n * share));
  const beyond = [...model.classes, "all"].flatMap((name, i) => {
    const [least, most] = model.trained?.[name] ?? [0, Infinity];
    return asked[i] < least || asked[i] > most ? [`${name} ${asked[i]} (trained on ${least} to ${most})`] : [];
  });
  const window = `${model.network.region} × ${model.network.region} px`;
  return beyond.length ? ` The model has seen no such counts in ${window}: ${beyond.join(", ")}.` : "";
}

function rearrange() {
  const free = page.cells.filter(one => !one.kept), staying = page.cells.filter(one => one.kept);
  if (!free.length) return complain("all cells are kept; let some go, then the model can move them");
  return placeCells({ counts: countsOf(free), staying }, () => {
    page.drawn = null;
    say(`${free.length} cells rearranged, ${staying.length} kept.`);
  });
}

function inpaint() {
  const counts = countsIn("inner");
  if (!counts || !page.lasso) return;
  const mask = lassoMask(), { staying } = splitByLasso(mask);
  if (!counts.some(n => n)) {
    remember();
    page.cells = staying;
    return edited("The lasso is empty now.");
  }
  return placeCells({ counts, staying, mask }, () => {
    page.drawn = null;
    say(`${counts.reduce((a, b) => a + b, 0)} cells redrawn in the lasso.`);
  });
}
