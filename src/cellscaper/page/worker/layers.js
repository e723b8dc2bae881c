// Parts of the network that have no weights of their own.

// The layer after another linear layer, as one: x → (x · outᵀ) · layerᵀ.
function joined(layer, out) {
  const { N, K } = layer, weight = new Float32Array(N * out.K), bias = new Float32Array(N);
  for (let n = 0; n < N; n++) {
    bias[n] = layer.bias[n] + out.bias.reduce((sum, one, k) => sum + layer.weight[n * K + k] * one, 0);
    for (let m = 0; m < out.K; m++) {
      let sum = 0;
      for (let k = 0; k < K; k++) sum += layer.weight[n * K + k] * out.weight[k * out.K + m];
      weight[n * out.K + m] = sum;
    }
  }
  return { weight, bias, N, K: out.K };
}

// Squared distances (n × n) of positions x (2 n), px².
function squares(x, n) {
  const out = new Float32Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      out[i * n + j] = (x[2 * j] - x[2 * i]) ** 2 + (x[2 * j + 1] - x[2 * i + 1]) ** 2;
    }
  }
  return out;
}

// The `number` cells with the smallest squared distance to cell i, nearest first.
function nearest(square, i, n, number) {
  const found = new Int32Array(number);
  let have = 0;
  for (let j = 0; j < n; j++) {
    const here = square[i * n + j];
    if (j === i || number === 0 || (have === number && here >= square[i * n + found[have - 1]])) continue;
    let at = have < number ? have++ : have - 1;
    for (; at > 0 && square[i * n + found[at - 1]] > here; at--) found[at] = found[at - 1];
    found[at] = j;
  }
  return found;
}

// The message of each edge (edges × E): a function of both cells and of the edge. `rows` has the two halves of a cell,
// its own and the other's, from number `from` of each row of length `row` on.
function messages(rows, from, row, layer, { k, other, hidden }) {
  const E = layer.N, said = linear(hidden, other.length, { ...layer, bias: null });
  for (let e = 0; e < other.length; e++) {
    const own = Math.floor(e / k) * row + from, their = other[e] * row + from + E;
    for (let f = 0; f < E; f++) said[e * E + f] += rows[own + f] + layer.bias[f] + rows[their + f];
  }
  return silu(said);
}

// The layer norm of each row of h (n × width), times 1 + scale, plus shift.
function modulated(h, n, width, shift, scale) {
  const out = new Float32Array(n * width);
  for (let i = 0; i < n; i++) {
    let sum = 0, squared = 0;
    for (let f = 0; f < width; f++) sum += h[i * width + f];
    const mean = sum / width;
    for (let f = 0; f < width; f++) squared += (h[i * width + f] - mean) ** 2;
    const by = 1 / Math.sqrt(squared / width + 1e-5);
    for (let f = 0; f < width; f++) out[i * width + f] = shift[f] + (h[i * width + f] - mean) * by * (1 + scale[f]);
  }
  return out;
}

// h + (1 + gate) · added, row by row.
function gated(h, added, gate, width) {
  return h.map((one, i) => one + (1 + gate[i % width]) * added[i]);
}

// exp(x) / Σ exp(x) of n numbers from index `from` on, in place.
function softmax(x, from, n) {
  let most = -Infinity, sum = 0;
  for (let i = from; i < from + n; i++) if (x[i] > most) most = x[i];
  for (let i = from; i < from + n; i++) sum += x[i] = Math.exp(x[i] - most);
  for (let i = from; i < from + n; i++) x[i] /= sum;
}
