// A request as the model needs it: a canvas of windows, filled with tissue around the region
// (`generators/pointsets/scene.py`). Cells come in the order new, given (if a window sees them), surrounding.

function makeScene(request, area, window) {
  const { counts, fixed, fixedLabels } = request, size = request.size.map(side => Math.max(side, window));
  const shift = request.size.map((side, axis) => Math.floor((size[axis] - side) / 2));
  const smaller = request.size.some((side, axis) => side !== size[axis]);
  const whole = new Uint8Array(request.size[0] * request.size[1]).fill(1);
  const region = smaller ? placedMask(whole, request.size, size, shift) : null;
  const allowed = request.mask ? placedMask(request.mask, request.size, size, shift) : region;
  let corners = windows(size, window);
  if (allowed) corners = corners.filter(corner => anyIn(allowed, size, corner, window));
  const outside = outsideArea(size, corners, window, allowed, region, fixed.length > 0, area.corner);
  const given = [], givenLabels = [];
  fixedLabels.forEach((label, i) => {
    const y = fixed[2 * i] + shift[0], x = fixed[2 * i + 1] + shift[1];
    if (!corners.some(([top, left]) => y >= top && x >= left && y <= top + window && x <= left + window)) return;
    given.push(y, x);
    givenLabels.push(label);
  });
  const around = surrounding(request, area, outside), repeated = one => one.flatMap((n, label) => Array(n).fill(label));
  const fresh = repeated(counts), rest = repeated(around);
  return {
    size, shift, corners, outside, given,
    area: new Area(size, allowed, area.corner),
    labels: Uint8Array.from([...fresh, ...givenLabels, ...rest]),
    numbers: [fresh.length, givenLabels.length, rest.length],
  };
}

// Clean positions to start from, from uniform numbers in 0…1 (y, x pairs).
function startOf(scene, unit) {
  const [fresh, given] = scene.numbers, end = 2 * (fresh + given), out = new Float64Array(unit.length);
  out.set(spreadEvenly(unit.subarray(0, 2 * fresh), scene.area));
  out.set(scene.given, 2 * fresh);
  if (scene.outside) out.set(spreadEvenly(unit.subarray(end), scene.outside), end);
  return out;
}

// Clean positions at noise `sigma` that respect areas, given cells and, near the end, the minimum distance; in place.
function constrained(scene, clean, sigma, distance, spread) {
  const [fresh, given] = scene.numbers, own = clean.subarray(0, 2 * fresh), end = 2 * (fresh + given);
  const deviation = (sigma * spread) / Math.hypot(sigma, spread);
  clean.set(scene.given, 2 * fresh);
  scene.area.expected(own, deviation);
  if (sigma <= distance) own.set(push(own, clean.subarray(2 * fresh, end), distance, scene.area, 3));
  if (scene.outside) scene.outside.expected(clean.subarray(end), deviation);
  return clean;
}

// Clean positions, each moved to the nearest position of its area.
function belonging(scene, clean) {
  const [fresh, given] = scene.numbers, where = clean.slice();
  scene.area.nearest(where.subarray(0, 2 * fresh));
  if (scene.outside) scene.outside.nearest(where.subarray(2 * (fresh + given)));
  return where;
}

function placedMask(mask, [height, width], size, shift) {
  const canvas = new Uint8Array(size[0] * size[1]);
  for (let y = 0; y < height; y++) {
    canvas.set(mask.subarray(y * width, (y + 1) * width), (y + shift[0]) * size[1] + shift[1]);
  }
  return canvas;
}

function anyIn(mask, size, [top, left], window) {
  for (let y = top; y < top + window; y++) {
    if (mask.subarray(y * size[1] + left, y * size[1] + left + window).includes(1)) return true;
  }
  return false;
}

// The area of surrounding cells: pixels where no new cell may lie; with given cells, those beyond the region.
function outsideArea(size, corners, window, allowed, region, given, corner) {
  const kept = given ? region : allowed;
  if (!kept) return null;
  const seen = new Uint8Array(size[0] * size[1]);
  for (const [top, left] of corners) {
    for (let y = top; y < top + window; y++) seen.fill(1, y * size[1] + left, y * size[1] + left + window);
  }
  kept.forEach((one, i) => {
    if (one) seen[i] = 0;
  });
  return seen.includes(1) ? new Area(size, seen, given ? 0 : corner) : null;
}

// Surrounding cells of each class: as dense as the new cells (or, with given ones, all cells), up to DENSEST.
function surrounding({ counts, fixedLabels, size }, area, outside) {
  if (!outside) return counts.map(() => 0);
  const cells = counts.slice();
  fixedLabels.forEach(label => cells[label]++);
  const pixels = fixedLabels.length ? size[0] * size[1] : area.pixels;
  const total = cells.reduce((a, b) => a + b, 0) / pixels, most = Math.min(1, DENSEST / 256 ** 2 / total);
  return cells.map(n => roundEven((n / pixels) * most * outside.pixels));
}

// Positions, uniform over an area, from uniform numbers in 0…1.
function spreadEvenly(unit, area) {
  if (!area.mask) return unit.map((one, i) => one * area.size[i % 2]);
  const pixels = [], out = new Float64Array(unit.length), width = area.size[1];
  area.mask.forEach((one, i) => one && pixels.push(i));
  for (let i = 0; i < unit.length; i += 2) {
    const at = unit[i] * pixels.length, chosen = Math.min(Math.floor(at), pixels.length - 1), pixel = pixels[chosen];
    out[i] = Math.max(Math.floor(pixel / width) + at - chosen - area.corner, 0);
    out[i + 1] = Math.max((pixel % width) + unit[i + 1] - area.corner, 0);
  }
  return out;
}

// To the nearest whole number; halves to the even one, as numpy rounds.
function roundEven(value) {
  const down = Math.floor(value), rest = value - down;
  return rest < 0.5 || (rest === 0.5 && down % 2 === 0) ? down : down + 1;
}
