// The network of point diffusion (`generators/pointsets/network.py`, whose docstrings explain it) for one layout of n
// cells, without padding: positions are y, x pairs; matrices are rows in a Float32Array.

const DATA_SCALE = 0.29, DISTANCES = 6, RADIAL = 14, OCTAVES = 5, FAR = 1e6, TINY = 1e-8, PAD = 16, SPREAD = 3;

class Network {
  // tensors: name → {shape, values (Float32Array)}; classes: their number; region px; heads, neighbours, layers
  constructor(tensors, { classes, region, heads, neighbours, layers }) {
    Object.assign(this, { classes, region, heads, neighbours });
    const layer = name => {
      const { shape: [N, K], values } = tensors[`${name}.weight`];
      return { weight: values, bias: tensors[`${name}.bias`].values, N, K };
    };
    for (const name of ["token", "edge_in", "edge_level", "final", "head", "ends", "force"]) this[name] = layer(name);
    this.level = [layer("level.0"), layer("level.2")];
    const out = layer("edge_out");
    this.force_in = joined(layer("force_in"), out);
    this.blocks = Array.from({ length: layers }, (_, i) => ({
      modulate: layer(`blocks.${i}.modulate`),
      inputs: layer(`blocks.${i}.inputs`),
      edge: joined(layer(`blocks.${i}.edge`), out),
      mix: layer(`blocks.${i}.mix`),
      mlp: [layer(`blocks.${i}.mlp.0`), layer(`blocks.${i}.mlp.2`)],
      pairs: tensors[`blocks.${i}.class_bias`].values,
    }));
    this.width = this.token.N;
    this.edgeWidth = this.edge_in.N;
  }

  // Clean positions (2 n, px from the window's centre) for noisy ones x at noise level `sigma` px; labels (n,), and
  // counts of each class.
  denoise(x, sigma, labels, counts) {
    const n = labels.length, spread = DATA_SCALE * this.region;
    const norm = Math.hypot(sigma, spread);
    x = Float32Array.from(x);
    const level = this._level(sigma, counts);
    const square = squares(x, n);
    const edges = this._edges(x, square, sigma, labels, level);
    const near = square.map(one => Math.exp((-0.125 * one) / norm ** 2));
    let h = linear(this._tokens(x, norm, labels), n, this.token);
    for (const block of this.blocks) h = this._block(block, h, n, level, near, labels, edges);
    const ends = linear(level, 1, this.final);
    h = modulated(h, n, this.width, ends.subarray(0), ends.subarray(this.width));
    const force = linear(messages(linear(h, n, this.ends), 0, this.ends.N, this.force_in, edges), edges.other.length,
      this.force);
    const moved = linear(h, n, this.head);
    edges.weight.forEach((weight, e) => {
      const own = Math.floor(e / edges.k);
      moved[2 * own] += force[e] * weight * edges.direction[2 * e];
      moved[2 * own + 1] += force[e] * weight * edges.direction[2 * e + 1];
    });
    return Float64Array.from(x, (one, i) => (spread / norm) ** 2 * one + ((sigma * spread) / norm) * moved[i]);
  }

  // Features of noise level and counts, through two layers: (width,).
  _level(sigma, counts) {
    const octave = Math.log2(sigma), all = [...counts, counts.reduce((a, b) => a + b, 0)];
    const periods = [2, 4, 8, 16].map(period => (octave * 2 * Math.PI) / period);
    const fine = Array.from({ length: 9 }, (_, i) => Math.exp(-0.5 * (octave - 1.25 * (i - 1)) ** 2));
    const features = Float32Array.from([
      ...periods.map(Math.sin), ...periods.map(Math.cos), ...fine,
      ...all.map(one => Math.log1p(one) / 3), ...all.map(one => one / 100),
    ]);
    return silu(linear(silu(linear(features, 1, this.level[0])), 1, this.level[1]));
  }

  // Features of positions and classes: scaled, as waves, as nearness to the four borders, as one of the classes.
  _tokens(x, norm, labels) {
    const width = this.token.K, out = new Float32Array(labels.length * width);
    labels.forEach((label, i) => {
      const at = i * width, border = at + 2 + 4 * OCTAVES;
      for (let axis = 0; axis < 2; axis++) {
        const place = Math.min(Math.max(x[2 * i + axis] / this.region, -1.5), 1.5);
        out[at + axis] = x[2 * i + axis] / norm;
        for (let k = 0; k < OCTAVES; k++) {
          out[at + 2 + axis * OCTAVES + k] = Math.sin(place * Math.PI * 2 ** k);
          out[at + 2 + (2 + axis) * OCTAVES + k] = Math.cos(place * Math.PI * 2 ** k);
        }
        [place, -place].forEach((side, k) => {
          const inside = this.region * Math.abs(0.5 - side);
          out[border + 2 * k + axis] = Math.exp(-inside / 8);
          out[border + 4 + 2 * k + axis] = Math.exp(-inside / 32);
        });
      }
      out[border + 8 + label] = 1;
    });
    return out;
  }

  // The k nearest neighbours of each cell, row by row: `other` cell, `direction` to it, `weight`, hidden features.
  _edges(x, square, sigma, labels, level) {
    const n = labels.length, padded = Math.max(Math.ceil(n / PAD) * PAD, PAD);
    const most = Math.min(this.neighbours, padded), k = Math.min(most, n - 1), K = this.edge_in.K;
    const other = new Int32Array(n * k), direction = new Float32Array(2 * n * k), weight = new Float32Array(n * k);
    const features = new Float32Array(n * k * K), largest = -Math.log(TINY);
    for (let i = 0; i < n; i++) {
      const found = nearest(square, i, n, Math.min(most + 1, n - 1));
      const reach = found.length > most ? square[i * n + found[most]] : FAR ** 2;
      for (let e = i * k; e < (i + 1) * k; e++) {
        const j = found[e - i * k], distance = Math.max(Math.sqrt(square[i * n + j]), 1e-3), at = e * K;
        other[e] = j;
        weight[e] = 1 - (square[i * n + j] / reach) ** 2;
        for (let r = 0; r < RADIAL; r++) {
          features[at + r] = Math.exp(-Math.min(((Math.log2(distance) - 0.75 * r) / 0.75) ** 2, largest));
        }
        for (let axis = 0; axis < 2; axis++) {
          const unit = (x[2 * j + axis] - x[2 * i + axis]) / distance;
          direction[2 * e + axis] = unit;
          features[at + RADIAL + axis] = unit;
          features[at + RADIAL + 2 + axis] = unit * Math.tanh(distance / sigma);
          features[at + RADIAL + 4 + axis] = unit * Math.tanh(distance / 16);
        }
        features[at + RADIAL + 6 + labels[i] * this.classes + labels[j]] = 1;
      }
    }
    const bias = linear(level, 1, this.edge_level).map((one, i) => one + this.edge_in.bias[i]);
    return { k, other, direction, weight, hidden: silu(linear(features, n * k, { ...this.edge_in, bias })) };
  }

  // Attention and messages in parallel, then an MLP: h (n × width) → the same.
  _block(block, h, n, level, near, labels, edges) {
    const width = this.width, E = this.edgeWidth, both = width + E;
    const modulation = linear(level, 1, block.modulate), part = i => modulation.subarray(i * width);
    const inputs = linear(modulated(h, n, width, part(0), part(1)), n, block.inputs);
    const joint = new Float32Array(n * both);
    this._attend(block, inputs, part(6), near, labels, joint, both);
    const told = messages(inputs, 3 * width, block.inputs.N, block.edge, edges);
    edges.weight.forEach((weight, e) => {
      const to = Math.floor(e / edges.k) * both + width;
      for (let f = 0; f < E; f++) joint[to + f] += (weight * told[e * E + f]) / SPREAD;
    });
    h = gated(h, linear(joint, n, block.mix), part(2), width);
    const inner = silu(linear(modulated(h, n, width, part(3), part(4)), n, block.mlp[0]));
    return gated(h, linear(inner, n, block.mlp[1]), part(5), width);
  }

  // Attention of all heads into the first `width` numbers of each row of `out`. The logits have a bias: a function of
  // the distance, a second one for cells of one class, and a number for each pair of classes.
  _attend(block, inputs, distance, near, labels, out, row) {
    const n = labels.length, width = this.width, size = width / this.heads, C = this.classes, N = block.inputs.N;
    const logits = new Float32Array(n * n), turned = new Float32Array(size * n), scale = 1 / Math.sqrt(size);
    for (let head = 0; head < this.heads; head++) {
      const q = head * size, v = 2 * width + q;
      product(inputs, q, N, inputs, width + q, N, logits, 0, n, n, n, size, null);
      const apart = distance.subarray(2 * DISTANCES * head, 2 * DISTANCES * head + DISTANCES);
      const same = apart.map((one, i) => one + distance[2 * DISTANCES * head + DISTANCES + i]);
      for (let i = 0; i < n; i++) {
        for (let j = 0; j < n; j++) {
          const of = labels[i] === labels[j] ? same : apart;
          let gaussian = near[i * n + j], bias = block.pairs[(head * C + labels[i]) * C + labels[j]];
          for (let k = 0; k < DISTANCES && gaussian > 0; k++) {
            bias += of[k] * gaussian;
            const twice = gaussian > TINY ? gaussian * gaussian : 0;
            gaussian = twice * twice;
          }
          logits[i * n + j] = logits[i * n + j] * scale + bias;
        }
        softmax(logits, i * n, n);
        for (let f = 0; f < size; f++) turned[f * n + i] = inputs[i * N + v + f];
      }
      product(logits, 0, n, turned, 0, n, out, q, row, n, size, n, null);
    }
  }
}
