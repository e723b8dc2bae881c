"""GPUs and the time of a network's step on them: a roofline, layer by layer. docs/gpu.md gives sources of the rates.

Each kernel takes the longer of its FLOPs at the card's rate and its bytes at the card's bandwidth. A step takes at
least a floor: small networks wait for kernel launches and for the host. Nothing here was measured on a GPU; ± 30 %.
"""

from typing import NamedTuple

from cellscaper.errors import CellscaperError
from cellscaper.plan.layers import Kernel, Layers

UNCERTAINTY = 0.3
GAPS = 1.1  # time of the host and of saved states, between the steps
BACKWARD = 5 / 3  # memory traffic of the backward pass of a layer without products, in forward passes


class Card(NamedTuple):
    """A GPU: memory GB, and rates that large kernels reach, not peaks: FLOPs a second, bytes a second."""

    title: str
    memory: int
    bf16: float
    tf32: float  # convolutions in fp32
    fp32: float  # matrix products in fp32
    bandwidth: float


CARDS = {
    "a100": Card("A100", 80, 190e12, 85e12, 15e12, 1.55e12),
    "h100": Card("H100", 80, 420e12, 200e12, 50e12, 2.6e12),
    "a6000": Card("A6000", 48, 95e12, 45e12, 27e12, 0.62e12),
    "l40s": Card("L40S", 48, 180e12, 90e12, 60e12, 0.67e12),
}


def card(name: str) -> Card:
    """The card of a name, in capitals or not; CellscaperError for a name that is not in CARDS."""
    if name.lower() not in CARDS:
        raise CellscaperError(
            f"--card {name}: no rates of this card; take the one of {', '.join(CARDS)} whose memory bandwidth and "
            "bf16 rate are nearest (docs/gpu.md#rates)"
        )
    return CARDS[name.lower()]


def step_seconds(
    work: Layers, on: Card, batch: int, precision: str, floor: float, *, checkpoint: bool = False, ema: bool = False
) -> float:
    """Seconds of one training step: forward and backward pass of a batch, optimizer, averaged weights."""
    bf16 = precision == "bf16"
    pass_time = 0.0
    for one in work.kernels:
        time = batch * _seconds(one, on, bf16)
        if work.copies and one.kind == "conv" and not one.full:
            time += batch * 2 * one.moved * (2 if bf16 else 4) / on.bandwidth
        again = time if checkpoint and one.repeated else 0.0
        pass_time += time * (1 + (one.backward if one.flops else BACKWARD)) + again
    weights = 28 + (12 if ema else 0) + 4 + (12 if bf16 else 0)  # bytes a parameter: AdamW, average, norm, casts
    return GAPS * max(floor, pass_time + weights * work.parameters / on.bandwidth)


def call_seconds(work: Layers, on: Card, batch: int, precision: str, floor: float) -> float:
    """Seconds of one forward pass of a batch."""
    bf16 = precision == "bf16"
    weights = (10 if bf16 else 4) * work.parameters / on.bandwidth
    return GAPS * max(floor, batch * sum(_seconds(one, on, bf16) for one in work.kernels) + weights)


def _seconds(one: Kernel, on: Card, bf16: bool) -> float:
    """Seconds of a kernel's forward pass for one sample."""
    bf16 = bf16 and not one.full
    rate = on.bf16 if bf16 else on.tf32 if one.kind == "conv" else on.fp32
    moved = one.moved * (2 if bf16 and not one.cast else 4) + (12 * one.cast if bf16 else 0)
    return max(one.flops / rate, moved / on.bandwidth)
