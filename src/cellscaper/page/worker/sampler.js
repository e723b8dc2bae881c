// From noise to positions: the second-order sampler of EDM (Karras et al. 2022, Algorithm 2) with fresh noise, as
// `generators/pointsets/sampler.py` has it for the command line. Positions are Float64Arrays of y, x pairs, px.

// Clean positions from noisy ones x at levels[0]. denoise(x, sigma) → clean ones; normal() → noise of the same length.
function sample(denoise, x, { levels, churn, churn_above }, normal) {
  levels.forEach((level, step) => {
    const after = step + 1 < levels.length ? levels[step + 1] : 0;
    let sigma = level;
    if (churn && sigma > churn_above) {
      sigma = level * (1 + churn);
      const added = (sigma ** 2 - level ** 2) ** 0.5, noise = normal();
      x = x.map((one, i) => one + added * noise[i]);
    }
    const clean = denoise(x, sigma);
    if (after === 0) {
      x = clean;
      return;
    }
    const ahead = clean.map((one, i) => one + (after / sigma) * (x[i] - one));
    const later = denoise(ahead, after);
    x = x.map((one, i) => one + ((after - sigma) * ((one - clean[i]) / sigma + (ahead[i] - later[i]) / after)) / 2);
  });
  return x;
}

// Number of calls of `denoise`.
function callsOf({ levels }) {
  return 2 * levels.length - 1;
}
