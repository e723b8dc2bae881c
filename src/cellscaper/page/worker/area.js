// Where cells may lie: a rectangle, or the pixels of a mask in it (`Area` in `generators/pointsets/constraints.py`).

const MARGIN = 1 / 64; // px between a projected position and the border of its pixel

class Area {
  // size [height, width] px; mask: Uint8Array (height · width) or null; a pixel begins `corner` px before whole numbers
  constructor(size, mask = null, corner = 0) {
    Object.assign(this, { size, mask, corner, _maps: new Map(), _feature: null });
    this.pixels = mask ? mask.reduce((sum, one) => sum + one, 0) : size[0] * size[1];
  }

  holds(y, x) {
    const [height, width] = this.size, row = y + this.corner, column = x + this.corner;
    if (!(y >= 0 && x >= 0 && row < height && column < width)) return false;
    return !this.mask || this.mask[Math.floor(row) * width + Math.floor(column)] === 1;
  }

  // Positions (y, x pairs), each moved to the nearest place in the nearest allowed pixel; in place.
  nearest(points) {
    const [height, width] = this.size, last = [height - this.corner - MARGIN, width - this.corner - MARGIN];
    for (let i = 0; i < points.length; i++) points[i] = clip(points[i], 0, last[i % 2]);
    if (!this.mask) return points;
    for (let i = 0; i < points.length; i += 2) {
      const pixel = Math.floor(points[i] + this.corner) * width + Math.floor(points[i + 1] + this.corner);
      if (this.mask[pixel]) continue;
      this._feature ??= nearestPixels(this.mask, this.size);
      const there = this._feature[pixel];
      [Math.floor(there / width), there % width].forEach((whole, axis) => {
        const begin = whole - this.corner;
        points[i + axis] = clip(points[i + axis], begin + MARGIN, begin + 1 - MARGIN);
      });
    }
    return points;
  }

  // The mean positions of cells that lie in the area, if they are normal around `points` otherwise; in place.
  expected(points, deviation) {
    if (!this.mask || deviation < 1) return this.nearest(points);
    const step = Math.max(1, Math.floor(deviation / 4)), { down, right, weight, shape } = this._shifts(deviation, step);
    const read = (map, y, x) => bilinear(map, shape, (y + this.corner) / step - 0.5, (x + this.corner) / step - 0.5);
    const inside = this.nearest(points.slice());
    for (let i = 0; i < points.length; i += 2) {
      let y = clip(points[i], 0, this.size[0]), x = clip(points[i + 1], 0, this.size[1]);
      if (read(weight, y, x) < 1e-4) [y, x] = [inside[i], inside[i + 1]]; // no part of the area within reach
      points[i] = y + read(down, y, x);
      points[i + 1] = x + read(right, y, x);
    }
    return points;
  }

  // On blocks of step × step px: the mean position minus the block's (down, right; px), and the area's share, weight.
  _shifts(deviation, step) {
    const key = `${deviation} ${step}`;
    if (!this._maps.has(key)) {
      if (this._maps.size > 8) this._maps.clear();
      this._maps.set(key, this._makeShifts(deviation, step));
    }
    return this._maps.get(key);
  }

  _makeShifts(deviation, step) {
    const inner = this.size.map(side => Math.ceil(side / step)), reach = Math.ceil((4 * deviation) / step);
    const shape = inner.map(side => side + 2 * reach), [height, width] = shape;
    const blocks = this._shares(inner, step), share = new Float32Array(height * width);
    for (let y = 0; y < height; y++) {
      const row = clip(y - reach, 0, inner[0] - 1) * inner[1];
      for (let x = 0; x < width; x++) share[y * width + x] = blocks[row + clip(x - reach, 0, inner[1] - 1)];
    }
    const weight = smoothed(share, shape, deviation / step);
    const [down, right] = [0, 1].map(axis => {
      const place = i => (axis === 0 ? Math.floor(i / width) : i % width) * step;
      const moment = smoothed(share.map((one, i) => one * place(i)), shape, deviation / step);
      return moment.map((one, i) => Math.fround(one / Math.max(weight[i], 1e-12)) - place(i));
    });
    const cut = map => {
      const out = new Float32Array(inner[0] * inner[1]);
      for (let y = 0; y < inner[0]; y++) {
        const from = (y + reach) * width + reach;
        out.set(map.subarray(from, from + inner[1]), y * inner[1]);
      }
      return out;
    };
    return { down: cut(down), right: cut(right), weight: cut(weight), shape: inner };
  }

  // The area's share of each block; beyond the rectangle its edge pixels go on.
  _shares(inner, step) {
    const [height, width] = this.size, share = new Float32Array(inner[0] * inner[1]);
    for (let y = 0; y < inner[0] * step; y++) {
      const row = Math.min(y, height - 1) * width, to = Math.floor(y / step) * inner[1];
      for (let x = 0; x < inner[1] * step; x++) share[to + Math.floor(x / step)] += this.mask[row + Math.min(x, width - 1)];
    }
    return share.map(one => one / step ** 2);
  }
}

function clip(value, low, high) {
  return value < low ? low : value > high ? high : value;
}
