// How the cells of one layout lie among each other, as `metrics/ripley.py` and `metrics/cross_class.py` measure it.

// layout: {points (y, x pairs), labels, size}; of a model with `classes`. Result by name of the curve:
//   pairs    "a-b": L(r) - r px at each radius (translation correction); null where no such pair is possible
//   nearest  class or "any": share of cells whose nearest neighbour (of the class; of any) is at most `steps` px away
function statistics({ points, labels, size }, classes, { radii, steps }) {
  const pairs = {}, near = {}, rings = ringSums(points, labels, size, classes.length, radii);
  const counts = classes.map((_, label) => labels.filter(one => one === label).length), area = size[0] * size[1];
  classes.forEach((one, i) => {
    for (let j = i; j < classes.length; j++) {
      const possible = (counts[i] * (i === j ? counts[i] - 1 : counts[j])) / area;
      pairs[`${one}-${classes[j]}`] = possible
        ? radii.map((r, k) => (2 * r <= Math.min(...size) ? Math.sqrt(rings[i][j][k] / possible / Math.PI) - r : null))
        : null;
    }
    near[one] = nearestShares(points, labels.map(label => (label === i ? 1 : 0)), steps);
  });
  near.any = nearestShares(points, labels.map(() => 1), steps);
  return { pairs, nearest: near, counts };
}

// [i][j][k]: weighted number of ordered pairs of classes i and j at most radii[k] px apart (Ohser 1983).
function ringSums(points, labels, [height, width], classes, radii) {
  const sums = Array.from({ length: classes }, () => Array.from({ length: classes }, () => new Float64Array(radii.length)));
  const largest = Math.min(radii.at(-1), Math.min(height, width) - 1e-9);
  for (const [a, b] of nearPairs(points, largest)) {
    const down = Math.abs(points[2 * a] - points[2 * b]), right = Math.abs(points[2 * a + 1] - points[2 * b + 1]);
    const weight = (height / (height - down)) * (width / (width - right)), distance = Math.hypot(down, right);
    for (let k = radii.findIndex(r => r >= distance); k >= 0 && k < radii.length; k++) {
      sums[labels[a]][labels[b]][k] += weight;
      sums[labels[b]][labels[a]][k] += weight;
    }
  }
  return sums;
}

// Share of the chosen cells whose nearest other chosen cell is at most each of `steps` px away; null for fewer than two.
function nearestShares(points, chosen, steps) {
  const own = [];
  chosen.forEach((one, i) => one && own.push(points[2 * i], points[2 * i + 1]));
  const n = own.length / 2, reach = steps.at(-1), found = new Float64Array(n).fill(Infinity);
  if (n < 2) return null;
  for (const [i, j] of nearPairs(own, reach)) {
    const distance = Math.hypot(own[2 * i] - own[2 * j], own[2 * i + 1] - own[2 * j + 1]);
    found[i] = Math.min(found[i], distance);
    found[j] = Math.min(found[j], distance);
  }
  return steps.map(step => found.reduce((sum, one) => sum + (one <= step), 0) / n);
}
