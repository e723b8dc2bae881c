// Functions of pixel maps (rows in one array; shape [height, width]), as scipy.ndimage computes them.

// For each pixel the index of the nearest pixel where `mask` is 1: the exact Euclidean feature transform of Maurer,
// Qi & Raghavan (2003), first down the columns, then along the rows.
function nearestPixels(mask, [height, width]) {
  const row = new Int32Array(height * width).fill(-1), out = new Int32Array(height * width);
  for (let x = 0; x < width; x++) {
    let before = -1;
    const above = new Int32Array(height);
    for (let y = 0; y < height; y++) above[y] = before = mask[y * width + x] ? y : before;
    let below = -1;
    for (let y = height - 1; y >= 0; y--) {
      if (mask[y * width + x]) below = y;
      const up = above[y];
      row[y * width + x] = up < 0 || (below >= 0 && below - y < y - up) ? below : up; // on a tie the upper pixel
    }
  }
  const kept = new Int32Array(width), gap = new Float64Array(width);
  for (let y = 0; y < height; y++) {
    let last = -1;
    for (let x = 0; x < width; x++) {
      if (row[y * width + x] < 0) continue;
      gap[x] = (row[y * width + x] - y) ** 2;
      while (last >= 1) {
        const [u, v] = [kept[last - 1], kept[last]], a = v - u, b = x - v, c = a + b;
        if (c * gap[v] - b * gap[u] - a * gap[x] - a * b * c <= 0) break;
        last--;
      }
      kept[++last] = x;
    }
    for (let x = 0, at = 0; x < width; x++) {
      const far = i => gap[kept[i]] + (kept[i] - x) ** 2;
      while (at < last && far(at + 1) < far(at)) at++;
      out[y * width + x] = row[y * width + kept[at]] * width + kept[at];
    }
  }
  return out;
}

// A normal filter of `deviation` px, cut at four deviations; beyond the border the map is mirrored.
function smoothed(map, [height, width], deviation) {
  const radius = Math.floor(4 * deviation + 0.5);
  const kernel = Array.from({ length: radius + 1 }, (_, i) => Math.exp(-0.5 * (i / deviation) ** 2));
  const total = 2 * kernel.reduce((sum, one) => sum + one, 0) - kernel[0];
  const weights = Float64Array.from(kernel, one => one / total);
  const out = new Float32Array(map.length);
  const line = new Float64Array(Math.max(height, width) + 2 * radius);
  const along = (from, to, begin, stride, length) => {
    for (let i = -radius; i < length + radius; i++) {
      const turn = ((i % (2 * length)) + 2 * length) % (2 * length);
      line[i + radius] = from[begin + (turn < length ? turn : 2 * length - 1 - turn) * stride];
    }
    for (let i = 0; i < length; i++) {
      let sum = weights[0] * line[i + radius];
      for (let k = 1; k <= radius; k++) sum += weights[k] * (line[i + radius - k] + line[i + radius + k]);
      to[begin + i * stride] = sum;
    }
  };
  for (let x = 0; x < width; x++) along(map, out, x, width, height);
  for (let y = 0; y < height; y++) along(out, out, y * width, 1, width);
  return out;
}

// The value of a map between its pixels; beyond the border that of the border.
function bilinear(map, [height, width], y, x) {
  y = clip(y, 0, height - 1);
  x = clip(x, 0, width - 1);
  const top = Math.floor(y), left = Math.floor(x), bottom = Math.min(top + 1, height - 1);
  const right = Math.min(left + 1, width - 1), down = y - top, across = x - left;
  const of = row => (1 - across) * map[row * width + left] + across * map[row * width + right];
  return Math.fround((1 - down) * of(top) + down * of(bottom));
}
