// The random numbers of the command line, number for number: seeds of layouts (numpy's SeedSequence, O'Neill's
// seed_seq_fe), the Mersenne Twister (Matsumoto & Nishimura 1998), and torch's uniform and normal numbers on a CPU.

// The seed of layout 0 (`run/seeds.py`, use 0) for a whole number `seed` (BigInt): a BigInt below 2^63.
function layoutSeed(seed) {
  const words = [];
  for (const part of [seed, 0n, 0n]) {
    let rest = part;
    do {
      words.push(Number(rest & 0xffffffffn));
      rest >>= 32n;
    } while (rest > 0n);
  }
  let constant = 0x43b0d7e5;
  const hash = value => {
    value ^= constant;
    constant = Math.imul(constant, 0x931e8875);
    value = Math.imul(value, constant);
    return value ^ (value >>> 16);
  };
  const mix = (x, y) => {
    const value = (Math.imul(0xca01f9dd, x) - Math.imul(0x4973f715, y)) | 0;
    return value ^ (value >>> 16);
  };
  const pool = [0, 1, 2, 3].map(i => hash(i < words.length ? words[i] : 0));
  for (let from = 0; from < 4; from++) {
    for (let to = 0; to < 4; to++) if (from !== to) pool[to] = mix(pool[to], hash(pool[from]));
  }
  for (let from = 4; from < words.length; from++) {
    for (let to = 0; to < 4; to++) pool[to] = mix(pool[to], hash(words[from]));
  }
  let out = 0x8b51f9dd;
  const [low, high] = pool.slice(0, 2).map(value => {
    value ^= out;
    out = Math.imul(out, 0x58f38ded);
    value = Math.imul(value, out);
    return (value ^ (value >>> 16)) >>> 0;
  });
  return ((BigInt(high) << 32n) | BigInt(low)) >> 1n;
}

// torch.Generator on a CPU. It takes the low 32 bits of the seed.
class Twister {
  constructor(seed) {
    this._state = new Uint32Array(624);
    this._state[0] = Number(seed & 0xffffffffn);
    for (let i = 1; i < 624; i++) {
      const before = this._state[i - 1];
      this._state[i] = Math.imul(1812433253, before ^ (before >>> 30)) + i;
    }
    this._at = 624;
  }

  _renew() {
    const s = this._state;
    for (let i = 0; i < 624; i++) {
      const y = (s[i] & 0x80000000) | (s[(i + 1) % 624] & 0x7fffffff);
      s[i] = s[(i + 397) % 624] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this._at = 0;
  }

  _next() {
    if (this._at === 624) this._renew();
    let y = this._state[this._at++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  // One double in 0…1 from 53 bits: the high word is drawn first.
  uniform() {
    const high = this._next(), low = this._next();
    return ((high & 0x1fffff) * 4294967296 + low) / 9007199254740992;
  }

  // torch.rand(n, 2, dtype=float64): 2 n numbers.
  uniforms(n) {
    return Float64Array.from({ length: 2 * n }, () => this.uniform());
  }

  // torch.randn(n, 2, dtype=float64): 2 n numbers by Box and Muller's method. From 16 numbers on torch makes them in
  // blocks of 16, and if the last block is not whole, it draws the last 16 numbers anew.
  normals(n) {
    const out = new Float64Array(2 * n);
    if (out.length < 16) return this._few(out);
    for (let i = 0; i < out.length; i++) out[i] = this.uniform();
    for (let i = 0; i + 16 <= out.length; i += 16) this._sixteen(out, i);
    if (out.length % 16) {
      const last = out.length - 16;
      for (let i = last; i < out.length; i++) out[i] = this.uniform();
      this._sixteen(out, last);
    }
    return out;
  }

  _sixteen(out, from) {
    for (let i = from; i < from + 8; i++) {
      const radius = Math.sqrt(-2 * Math.log(1 - out[i])), angle = 2 * Math.PI * out[i + 8];
      out[i] = radius * Math.cos(angle);
      out[i + 8] = radius * Math.sin(angle);
    }
  }

  // Pairs; torch keeps the second number of a pair for the next call, and here every call takes an even number.
  _few(out) {
    for (let i = 0; i < out.length; i += 2) {
      const angle = 2 * Math.PI * this.uniform(), radius = Math.sqrt(-2 * Math.log1p(-this.uniform()));
      out[i] = radius * Math.cos(angle);
      out[i + 1] = radius * Math.sin(angle);
    }
    return out;
  }
}
