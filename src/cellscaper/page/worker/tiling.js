// Regions of any size by overlapping windows that are denoised jointly (`generators/pointsets/tiling.py`).

// Top-left corners of the windows: half a window apart or less, evenly, flush with both ends.
function windows(size, window) {
  const starts = size.map(side => {
    if (side <= window) return [0];
    const number = Math.ceil((side - window) / (window / 2)) + 1;
    return Array.from({ length: number }, (_, i) => roundEven(((side - window) * i) / (number - 1)));
  });
  return starts[0].flatMap(top => starts[1].map(left => [top, left]));
}

// The network's clean positions for noisy ones, px from the canvas's corner. `estimate` decides to which windows a cell
// belongs; a cell's answer is the weighted mean of its windows' answers, or its estimate if it is in none.
function denoiseTiles(network, scene, noisy, sigma, estimate) {
  const side = network.region, power = Math.min(4, 1 + ((0.131 * side) / sigma) ** 4);
  const total = new Float64Array(noisy.length), weight = new Float64Array(noisy.length / 2);
  for (const [top, left] of scene.corners) {
    const members = [];
    for (let i = 0; i < weight.length; i++) {
      const y = estimate[2 * i] - top, x = estimate[2 * i + 1] - left;
      if (y >= 0 && x >= 0 && y <= side && x <= side) members.push(i);
    }
    if (!members.length) continue;
    const centre = [top + side / 2, left + side / 2], counts = Array(network.classes).fill(0);
    const labels = Uint8Array.from(members, i => scene.labels[i]);
    labels.forEach(label => counts[label]++);
    const x = Float64Array.from({ length: 2 * members.length }, (_, k) => noisy[2 * members[k >> 1] + (k % 2)] - centre[k % 2]);
    const answer = network.denoise(x, sigma, labels, counts);
    members.forEach((i, k) => {
      const share = windowWeight(estimate[2 * i] - top, estimate[2 * i + 1] - left, side) ** power;
      total[2 * i] += share * (answer[2 * k] + centre[0]);
      total[2 * i + 1] += share * (answer[2 * k + 1] + centre[1]);
      weight[i] += share;
    });
  }
  return total.map((one, i) => (weight[i >> 1] > 0 ? one / weight[i >> 1] : estimate[i]));
}

// Weight of a window for a cell y, x px from its corner: 1 at its centre, falling to its border.
function windowWeight(y, x, side) {
  return clip(1 - Math.abs((2 * y) / side - 1), 1e-3, 1) * clip(1 - Math.abs((2 * x) / side - 1), 1e-3, 1);
}
