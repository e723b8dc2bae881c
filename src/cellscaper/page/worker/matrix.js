// Products of matrices in Float32Array with sums in double precision, in tiles of 3 × 4 sums that stay in registers.

// C (M × N) = A (M × K) · Bᵀ (B is N × K, as torch keeps weights) + bias (N; null: none).
// Each matrix comes as its array, the index of its first number and the length of its rows.
function product(A, a, la, B, b, lb, C, c, lc, M, N, K, bias) {
  if (M < 3 || N < 4) return plainProduct(A, a, la, B, b, lb, C, c, lc, M, N, K, bias);
  for (let row = 0; row < M; row += 3) {
    const m = row + 3 > M ? M - 3 : row; // the last tile overlaps the one before
    const a0 = a + m * la, a1 = a0 + la, a2 = a1 + la;
    for (let column = 0; column < N; column += 4) {
      const n = column + 4 > N ? N - 4 : column;
      const b0 = b + n * lb, b1 = b0 + lb, b2 = b1 + lb, b3 = b2 + lb;
      let c00 = 0, c01 = 0, c02 = 0, c03 = 0;
      let c10 = 0, c11 = 0, c12 = 0, c13 = 0;
      let c20 = 0, c21 = 0, c22 = 0, c23 = 0;
      for (let k = 0; k < K; k++) {
        const x0 = A[a0 + k], x1 = A[a1 + k], x2 = A[a2 + k];
        const y0 = B[b0 + k], y1 = B[b1 + k], y2 = B[b2 + k], y3 = B[b3 + k];
        c00 += x0 * y0;
        c01 += x0 * y1;
        c02 += x0 * y2;
        c03 += x0 * y3;
        c10 += x1 * y0;
        c11 += x1 * y1;
        c12 += x1 * y2;
        c13 += x1 * y3;
        c20 += x2 * y0;
        c21 += x2 * y1;
        c22 += x2 * y2;
        c23 += x2 * y3;
      }
      if (bias !== null) {
        const d0 = bias[n], d1 = bias[n + 1], d2 = bias[n + 2], d3 = bias[n + 3];
        c00 += d0;
        c10 += d0;
        c20 += d0;
        c01 += d1;
        c11 += d1;
        c21 += d1;
        c02 += d2;
        c12 += d2;
        c22 += d2;
        c03 += d3;
        c13 += d3;
        c23 += d3;
      }
      let to = c + m * lc + n;
      C[to] = c00;
      C[to + 1] = c01;
      C[to + 2] = c02;
      C[to + 3] = c03;
      to += lc;
      C[to] = c10;
      C[to + 1] = c11;
      C[to + 2] = c12;
      C[to + 3] = c13;
      to += lc;
      C[to] = c20;
      C[to + 1] = c21;
      C[to + 2] = c22;
      C[to + 3] = c23;
    }
  }
}

function plainProduct(A, a, la, B, b, lb, C, c, lc, M, N, K, bias) {
  for (let m = 0; m < M; m++) {
    for (let n = 0; n < N; n++) {
      let sum = bias === null ? 0 : bias[n];
      for (let k = 0; k < K; k++) sum += A[a + m * la + k] * B[b + n * lb + k];
      C[c + m * lc + n] = sum;
    }
  }
}

// A linear layer of whole matrices: rows (M × K) → (M × N), or into `out`.
function linear(rows, M, { weight, bias, N, K }, out = new Float32Array(M * N)) {
  product(rows, 0, K, weight, 0, K, out, 0, N, M, N, K, bias);
  return out;
}

// x · sigmoid(x), in place.
function silu(x, n = x.length) {
  for (let i = 0; i < n; i++) x[i] = x[i] / (1 + Math.exp(-x[i]));
  return x;
}
