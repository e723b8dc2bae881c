// One layout for a request (`generators/pointsets/generate.py`): the given cells first, then the new ones by class.

// {points (Float32Array of y, x pairs, px), labels (Uint8Array), given, seed}; advance(call, calls, positions of new cells)
function generate(network, sampling, request, advance = () => {}) {
  const area = checked(request, network.region), scene = makeScene(request, area, network.region);
  const n = scene.labels.length, fresh = scene.numbers[0], seed = layoutSeed(BigInt(request.seed));
  const random = new Twister(seed), half = scene.size.map(side => side / 2), spread = DATA_SCALE * network.region;
  const start = startOf(scene, random.uniforms(n).map(one => one - 0.5 + 0.5)), noise = random.normals(n);
  let estimate = start, call = 0;

  const denoise = (x, sigma) => {
    const noisy = x.map((one, i) => one + half[i % 2]);
    const clean = denoiseTiles(network, scene, noisy, sigma, estimate);
    constrained(scene, clean, sigma, request.distance, spread);
    estimate = belonging(scene, clean);
    advance(++call, callsOf(sampling), inRegion(estimate.subarray(0, 2 * fresh), scene.shift));
    return clean.map((one, i) => one - half[i % 2]);
  };
  const first = start.map((one, i) => one - half[i % 2] + sampling.levels[0] * noise[i]);
  const last = sample(denoise, first, sampling, () => random.normals(n)).subarray(0, 2 * fresh);
  const placed = separate(inRegion(last.map((one, i) => one + half[i % 2]), scene.shift), request.fixed, request.distance, area);
  const points = new Float32Array(request.fixed.length + placed.length);
  points.set(request.fixed);
  points.set(placed, request.fixed.length);
  const labels = Uint8Array.from([...request.fixedLabels, ...scene.labels.subarray(0, fresh)]);
  return { points, labels, given: request.fixedLabels.length, seed: String(seed) };
}

function inRegion(points, shift) {
  return points.map((one, i) => one - shift[i % 2]);
}
