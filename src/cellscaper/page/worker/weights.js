// The weights as `page/weights.py` packs them: a scale (float32) for each row of each tensor, then all numbers as int16.

// text: base64; tensors: [[name, shape], …] in order → name → {shape, values (Float32Array)}.
function unpacked(text, tensors) {
  const raw = atob(text), bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  const rowsOf = shape => (shape.length > 1 ? shape[0] : 1);
  const rows = tensors.reduce((sum, [, shape]) => sum + rowsOf(shape), 0);
  const scales = new Float32Array(bytes.buffer, 0, rows), whole = new Int16Array(bytes.buffer, 4 * rows);
  const found = {};
  let row = 0, at = 0;
  for (const [name, shape] of tensors) {
    const size = shape.reduce((a, b) => a * b, 1), length = size / rowsOf(shape);
    const values = new Float32Array(size);
    for (let i = 0; i < size; i++) values[i] = whole[at + i] * scales[row + Math.floor(i / length)];
    found[name] = { shape, values };
    row += rowsOf(shape);
    at += size;
  }
  return found;
}
