"""The weights of a model as text for a page: 16-bit integers with one scale for each row, in base64.

A row is what one output of a layer is made of. Its largest weight sets the scale, so an error is at most 1/65534 of
that weight. fp16 needs as many bytes, but its errors grow to 1/4096 of a weight: layouts then moved by up to 0.11 px,
with these integers by up to 0.04 px (20 layouts of five requests).
"""

import base64
from collections.abc import Mapping

import numpy as np
from torch import Tensor

LARGEST = 32767


def packed(tensors: Mapping[str, Tensor]) -> tuple[str, list[tuple[str, list[int]]]]:
    """Base64 text of the tensors by name, and each one's name and shape in the order of the text.

    The text holds all scales (float32; one for a tensor of one dimension, else one for each index of the first), then
    all integers (int16). Both are little-endian. A weight is its integer times its scale.
    """
    scales, whole, shapes = [], [], []
    for name, tensor in sorted(tensors.items()):
        values = tensor.detach().cpu().double().numpy()
        rows = values.reshape(len(values) if values.ndim > 1 else 1, -1)
        scale = (np.abs(rows).max(axis=1, keepdims=True) / LARGEST).astype("<f4")
        scale[scale == 0] = 1
        scales.append(scale.ravel())
        whole.append(np.rint(rows / scale).clip(-LARGEST, LARGEST).astype("<i2").ravel())
        shapes.append((name, list(values.shape)))
    raw = np.concatenate(scales).tobytes() + np.concatenate(whole).tobytes()
    return base64.b64encode(raw).decode(), shapes


def unpacked(text: str, shapes: list[tuple[str, list[int]]]) -> dict[str, np.ndarray]:
    """The weights (float32) that a page computes with, by name: the inverse of :func:`packed`."""
    raw = base64.b64decode(text)
    counts = [shape[0] if len(shape) > 1 else 1 for _, shape in shapes]
    scales = np.frombuffer(raw, "<f4", sum(counts))
    whole = np.frombuffer(raw, "<i2", offset=scales.nbytes)
    found, row, at = {}, 0, 0
    for (name, shape), rows in zip(shapes, counts, strict=True):
        size = int(np.prod(shape))
        values = whole[at : at + size].reshape(rows, -1) * scales[row : row + rows, None]
        found[name] = values.astype(np.float32).reshape(shape)
        row, at = row + rows, at + size
    return found
