// The minimum distance between cells (`generators/pointsets/constraints.py`). Positions are y, x pairs.

const PUSHES = 300, MOVES = 4, GAPS = 200000, GOLDEN = Math.PI * (3 - Math.sqrt(5));

// Cells of positions in squares of `side` px, to search near a place.
class Grid {
  constructor(points, side) {
    Object.assign(this, { points, side, squares: new Map() });
    for (let i = 0; i < points.length / 2; i++) {
      const key = this._key(Math.floor(points[2 * i] / side), Math.floor(points[2 * i + 1] / side));
      if (this.squares.has(key)) this.squares.get(key).push(i);
      else this.squares.set(key, [i]);
    }
  }

  _key(row, column) {
    return row * 4194304 + column;
  }

  // Calls found(i, squared distance) for each cell within `side` px of a place, itself included.
  around(y, x, found) {
    const row = Math.floor(y / this.side), column = Math.floor(x / this.side), limit = this.side ** 2;
    for (let r = row - 1; r <= row + 1; r++) {
      for (let c = column - 1; c <= column + 1; c++) {
        for (const i of this.squares.get(this._key(r, c)) ?? []) {
          const square = (this.points[2 * i] - y) ** 2 + (this.points[2 * i + 1] - x) ** 2;
          if (square <= limit) found(i, square);
        }
      }
    }
  }
}

// Pairs [i, j], i < j, at most `distance` px apart (`less`: less than it), by i, then j.
function nearPairs(points, distance, less = false) {
  const pairs = [];
  if (!(distance > 0)) return pairs;
  const grid = new Grid(points, distance);
  for (let i = 0; i < points.length / 2; i++) {
    const found = [];
    grid.around(points[2 * i], points[2 * i + 1], (j, square) => {
      if (j > i && (!less || square < distance ** 2)) found.push(j);
    });
    for (const j of found.sort((a, b) => a - b)) pairs.push([i, j]);
  }
  return pairs;
}

// New positions pushed apart from each other and from `fixed` ones, at most `rounds` times.
function push(points, fixed, distance, area, rounds) {
  const n = points.length / 2, cells = joinedPoints(points, fixed);
  for (let round = 0; round < rounds && distance > 0 && n; round++) {
    const pairs = nearPairs(cells, distance).filter(([i]) => i < n);
    if (!pairs.length) break;
    const total = new Float64Array(cells.length), often = new Int32Array(cells.length / 2);
    for (const [i, j] of pairs) {
      let down = cells[2 * j] - cells[2 * i], right = cells[2 * j + 1] - cells[2 * i + 1];
      const length = Math.sqrt(down * down + right * right), same = length < 1e-9;
      if (same) [down, right] = [Math.sin(GOLDEN * (i + j)), Math.cos(GOLDEN * (i + j))];
      const by = (distance - length) / (same ? 1 : length) / (j < n ? 2 : 1);
      total[2 * i] -= down * by;
      total[2 * i + 1] -= right * by;
      total[2 * j] += down * by;
      total[2 * j + 1] += right * by;
      often[i]++;
      often[j]++;
    }
    for (let i = 0; i < 2 * n; i++) cells[i] += (1.5 * total[i]) / Math.max(often[i >> 1], 1.5);
    area.nearest(cells.subarray(0, 2 * n));
  }
  return cells.slice(0, 2 * n);
}

// Positions (Float32Array) moved as little as needed to lie in the area, `distance` px from each other and from `fixed`.
function separate(points, fixed, distance, area) {
  let placed = area.nearest(Float64Array.from(points));
  const slack = 4 * 2 ** (Math.floor(Math.log2(Math.max(...area.size))) - 23), goal = distance * (1 + 1e-6) + slack;
  let gaps = null, least = placed.length / 2 + 1;
  for (let idle = 0; idle < MOVES; ) {
    placed = push(placed, fixed, goal, area, PUSHES);
    const bad = toMove(placed, fixed, distance);
    if (!bad.length) return Float32Array.from(placed);
    idle = bad.length >= least ? idle + 1 : 0;
    least = Math.min(least, bad.length);
    gaps ??= lattice(area, fixed, goal);
    for (const cell of bad) {
      const others = joinedPoints(placed.filter((_, i) => i >> 1 !== cell), fixed);
      placed.set(nearestGap(gaps, placed[2 * cell], placed[2 * cell + 1], others, goal), 2 * cell);
    }
  }
  throw new Refusal(
    `found no room for ${placed.length / 2} cells at least ${distance} px apart in ${area.pixels} px² ` +
      `(${least} are too close to others); ask for fewer cells or a smaller minimum distance`,
  );
}

// Cells without which no two are too close once rounded to float32: the later cell of each pair.
function toMove(placed, fixed, distance) {
  const n = placed.length / 2, moved = new Set();
  for (const [i, j] of nearPairs(Float32Array.from(joinedPoints(placed, fixed)), distance, true)) {
    if (i < n && !moved.has(i) && !moved.has(j)) moved.add(j < n ? j : i);
  }
  return [...moved].sort((a, b) => a - b);
}

// Positions of an area at which cells may still fit beside the fixed ones.
function lattice(area, fixed, distance) {
  const step = Math.max(distance / 3, Math.sqrt((area.size[0] * area.size[1]) / GAPS)), places = [];
  for (let y = step / 2; y < area.size[0]; y += step) {
    for (let x = step / 2; x < area.size[1]; x += step) places.push(y, x);
  }
  const found = area.nearest(Float64Array.from(places)), grid = new Grid(fixed, distance), kept = [];
  for (let i = 0; i < found.length; i += 2) if (isFree(grid, found[i], found[i + 1])) kept.push(found[i], found[i + 1]);
  return kept;
}

function isFree(grid, y, x) {
  let free = true;
  grid.around(y, x, (_, square) => {
    if (square < grid.side ** 2) free = false;
  });
  return free;
}

// The place of `gaps` nearest to y, x that is `distance` px from all others; if there is none, the one farthest from them.
function nearestGap(gaps, y, x, others, distance) {
  const grid = new Grid(others, distance);
  let best = null, least = Infinity;
  for (let i = 0; i < gaps.length; i += 2) {
    const square = (gaps[i] - y) ** 2 + (gaps[i + 1] - x) ** 2;
    if (square < least && isFree(grid, gaps[i], gaps[i + 1])) [best, least] = [[gaps[i], gaps[i + 1]], square];
  }
  return best ?? widestGap(gaps, others) ?? [y, x];
}

function widestGap(gaps, others) {
  let best = null, most = -1;
  for (let i = 0; i < gaps.length; i += 2) {
    let room = Infinity;
    for (let j = 0; j < others.length; j += 2) {
      room = Math.min(room, (gaps[i] - others[j]) ** 2 + (gaps[i + 1] - others[j + 1]) ** 2);
    }
    if (room > most) [best, most] = [[gaps[i], gaps[i + 1]], room];
  }
  return best;
}

function joinedPoints(one, two) {
  const out = new Float64Array(one.length + two.length);
  out.set(one);
  out.set(two, one.length);
  return out;
}
