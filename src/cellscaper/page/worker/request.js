// What is asked for, checked before anything is computed (`generators/pointsets/request.py`). A request has
//   counts  new cells of each class         size    [height, width] px
//   distance  px between any two cells      mask    Uint8Array (height · width), where new cells may lie, or null
//   fixed   Float32Array of y, x pairs      fixedLabels  their classes
//   seed    text, a whole number

const DENSEST = 200, FULL = 2048; // cells of a window: of surroundings at most, and of all at most
const LARGEST = 1024, MOST = 6000; // px of a side and cells of a layout: more is the command line's

class Refusal extends Error {} // an impossible request: its message is one line for the reader

// The area of new cells. Refusal for an impossible request.
function checked(request, window) {
  const { counts, size, distance, mask, fixed } = request, [height, width] = size;
  const total = counts.reduce((a, b) => a + b, 0);
  if (!size.every(side => Number.isInteger(side) && side >= 16 && side <= LARGEST)) {
    throw new Refusal(
      `size ${given(height)} × ${given(width)} px: expected whole numbers from 16 to ${LARGEST}; ` +
        "larger regions: cellscaper generate",
    );
  }
  const wrong = counts.find(one => !(Number.isInteger(one) && one >= 0));
  if (wrong !== undefined) throw new Refusal(`count ${wrong}: expected whole numbers from 0`);
  if (!total) throw new Refusal("no cells are asked for; give at least one class a count above 0");
  if (!(distance >= 0 && distance <= LARGEST)) {
    throw new Refusal(`minimum distance ${given(distance)} px: expected 0 to ${LARGEST}`);
  }
  if (!/^\d{1,18}$/.test(request.seed)) {
    throw new Refusal(`seed “${request.seed}”: expected a whole number from 0, of at most 18 digits`);
  }
  const area = mask ? new Area(size, mask, 0.5) : new Area(size);
  if (!area.pixels) throw new Refusal("the lasso holds no pixel; draw it larger");
  checkFixed(fixed, distance, size);
  const room = mostCells(area, distance, fixed), beside = fixed.length ? ` beside ${fixed.length / 2} given ones` : "";
  if (total > room) {
    throw new Refusal(
      `${total} cells at least ${distance} px apart do not fit into ${area.pixels} px²${beside}: at most ${room} do; ` +
        "ask for fewer, a smaller minimum distance or more room",
    );
  }
  const fullest = (total / area.pixels) * Math.min(area.pixels, window ** 2);
  if (fullest > FULL || total + fixed.length / 2 > MOST) {
    throw new Refusal(
      `${total} cells are more than this page can place (${FULL} in ${window} × ${window} px, ${MOST} in all; tissue ` +
        `has up to ${DENSEST} in ${window} × ${window} px); ask for fewer cells or a larger size`,
    );
  }
  return area;
}

function checkFixed(fixed, distance, size) {
  const whole = new Area(size);
  for (let i = 0; i < fixed.length; i += 2) {
    if (!whole.holds(fixed[i], fixed[i + 1])) {
      throw new Refusal(`the kept cell at y = ${shown(fixed[i])}, x = ${shown(fixed[i + 1])} lies outside the region`);
    }
  }
  const pairs = nearPairs(fixed, distance, true);
  if (pairs.length) {
    const [i, j] = pairs[0], gap = Math.hypot(fixed[2 * i] - fixed[2 * j], fixed[2 * i + 1] - fixed[2 * j + 1]);
    throw new Refusal(
      `kept cells at y = ${shown(fixed[2 * i])}, x = ${shown(fixed[2 * i + 1])} and y = ${shown(fixed[2 * j])}, ` +
        `x = ${shown(fixed[2 * j + 1])} are ${gap.toFixed(2)} px apart, closer than the minimum distance of ` +
        `${distance} px; move one or lower it`,
    );
  }
}

// A number of a field; an empty field has none.
function given(number) {
  return Number.isNaN(number) ? "(no number)" : number;
}

function shown(px) {
  return px.toFixed(1);
}

// Upper bound on the cells in an area, `distance` px from each other and from `fixed` (Oler 1961, Rogers 1964).
function mostCells(area, distance, fixed) {
  if (distance < 1e-3) return area.pixels ? 1e15 : 0;
  if (!area.mask && !fixed.length) return oler(area.size, distance);
  const free = area.mask ? area.mask.slice() : new Uint8Array(area.size[0] * area.size[1]).fill(1);
  let held = 0;
  for (let i = 0; i < fixed.length; i += 2) held += area.holds(fixed[i], fixed[i + 1]) ? 1 : 0;
  let bound = packed(free, area.size, distance) - held;
  if (fixed.length) {
    block(free, area.size, fixed, area.corner, distance);
    bound = Math.min(bound, packed(free, area.size, distance));
  }
  return Math.max(bound, 0);
}

function oler([height, width], distance) {
  return Math.floor((2 / Math.sqrt(3)) * ((height * width) / distance ** 2) + (height + width) / distance + 1);
}

// The same for the pixels where `free` is 1.
function packed(free, [height, width], distance) {
  let [top, bottom, left, right] = [height, -1, width, -1];
  free.forEach((one, i) => {
    if (!one) return;
    const y = Math.floor(i / width), x = i % width;
    [top, bottom, left, right] = [Math.min(top, y), Math.max(bottom, y), Math.min(left, x), Math.max(right, x)];
  });
  if (bottom < 0) return 0;
  const box = [bottom - top + 1, right - left + 1], reach = distance / Math.sqrt(3) + Math.SQRT2;
  const around = Math.ceil(reach), shape = box.map(side => side + 2 * around), wide = new Uint8Array(shape[0] * shape[1]);
  let open = 0;
  for (let y = 0; y < box[0]; y++) {
    for (let x = 0; x < box[1]; x++) {
      open += wide[(y + around) * shape[1] + x + around] = free[(y + top) * width + x + left];
    }
  }
  if (open === box[0] * box[1]) return oler(box, distance);
  let widened = 0;
  nearestPixels(wide, shape).forEach((there, i) => {
    const down = Math.floor(there / shape[1]) - Math.floor(i / shape[1]), across = (there % shape[1]) - (i % shape[1]);
    if (down * down + across * across <= reach ** 2) widened++;
  });
  return Math.min(oler(box, distance), Math.floor(widened / ((Math.sqrt(3) / 2) * distance ** 2)));
}

// Take the pixels that lie wholly within `distance` of a fixed cell from `free`.
function block(free, [height, width], fixed, corner, distance) {
  const reach = distance - Math.SQRT1_2, around = Math.ceil(distance) + 1;
  if (reach <= 0) return;
  for (let i = 0; i < fixed.length; i += 2) {
    const y = fixed[i] + corner, x = fixed[i + 1] + corner;
    for (let r = Math.max(Math.floor(y) - around, 0); r <= Math.min(Math.floor(y) + around, height - 1); r++) {
      for (let c = Math.max(Math.floor(x) - around, 0); c <= Math.min(Math.floor(x) + around, width - 1); c++) {
        if ((r + 0.5 - y) ** 2 + (c + 0.5 - x) ** 2 <= reach ** 2) free[r * width + c] = 0;
      }
    }
  }
}
