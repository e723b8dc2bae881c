"""The work of a network, counted layer by layer from its settings: parameters, FLOPs, memory traffic. No torch.

A multiplication and an addition are two FLOPs, as in torch.utils.flop_counter. Only convolutions, matrix products and
attention have FLOPs; the other layers only move elements through memory.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Kernel:
    """One layer's forward pass for one sample.

    flops      of this pass
    moved      elements that it reads and writes
    cast       elements that it casts to float32 and back where group norms compute in float32
    kind       conv, product, norm (with the activation behind it) or pointwise
    full       float32 also under bf16 autocast
    backward   products of its backward pass: 2; 1 if its input needs no gradient, 0 if its output serves no loss
    repeated   computed once more with ``checkpoint``
    """

    flops: float
    moved: float
    cast: float = 0.0
    kind: str = "pointwise"
    full: bool = False
    backward: int = 2
    repeated: bool = False


class Layers:
    """The layers of a network, in the order of its forward pass; sizes are numbers of pixels or rows of one sample.

    wide     its norms compute in float32 under bf16 autocast, as group norms and layer norms do on CUDA
    copies   in training its convolutions copy their input and output, because weights have the channels last and the
             norms between them the channels first (torch's CUDA group norm up to 2.13)
    """

    def __init__(self, wide: bool = True, copies: bool = False) -> None:
        self.wide, self.copies = wide, copies
        self.kernels: list[Kernel] = []
        self.parameters = 0
        self.buffers = 0  # elements that are stored with the weights and not trained
        self._block = False

    # -- sums --------------------------------------------------------------------------------------------------

    @property
    def forward(self) -> float:
        """FLOPs of the forward pass of one sample."""
        return sum(one.flops for one in self.kernels)

    def training(self, checkpoint: bool = False) -> float:
        """FLOPs of a forward and a backward pass of one sample; with ``checkpoint`` also of the repeated layers."""
        again = sum(one.flops for one in self.kernels if one.repeated) if checkpoint else 0.0
        return sum(one.flops * (1 + one.backward) for one in self.kernels) + again

    # -- layers ------------------------------------------------------------------------------------------------

    @contextmanager
    def block(self) -> Iterator[None]:
        """Layers that ``checkpoint`` computes again. torch stops before the last product: its output is not needed."""
        start, self._block = len(self.kernels), True
        yield
        self._block = False
        products = [i for i in range(start, len(self.kernels)) if self.kernels[i].flops]
        self.kernels[products[-1]] = self._without_repeat(self.kernels[products[-1]])

    @staticmethod
    def _without_repeat(one: Kernel) -> Kernel:
        return Kernel(one.flops, one.moved, one.cast, one.kind, one.full, one.backward)

    def conv(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        pixels: int,
        source: int | None = None,
        *,
        bias: bool = True,
        backward: int = 2,
        full: bool = False,
    ) -> None:
        """A convolution with ``pixels`` output pixels, of ``source`` input pixels (default: as many)."""
        self._weights(inputs * outputs * kernel**2, outputs if bias else 0)
        moved = inputs * (pixels if source is None else source) + outputs * pixels
        self._add(2.0 * inputs * outputs * kernel**2 * pixels, moved, "conv", full=full, backward=backward)

    def transposed(
        self, inputs: int, outputs: int, kernel: int, source: int, pixels: int, *, bias: bool = True
    ) -> None:
        """A transposed convolution from ``source`` pixels to ``pixels``."""
        self._weights(inputs * outputs * kernel**2, outputs if bias else 0)
        self._add(2.0 * inputs * outputs * kernel**2 * source, inputs * source + outputs * pixels, "conv")

    def linear(self, inputs: int, outputs: int, rows: int = 1, *, backward: int = 2) -> None:
        """A linear layer with bias on ``rows`` rows."""
        self._weights(inputs * outputs, outputs)
        self.product(rows, inputs, outputs, backward=backward)

    def product(self, rows: int, inner: int, columns: int, times: int = 1, *, backward: int = 2) -> None:
        """``times`` matrix products (rows, inner) × (inner, columns), without parameters."""
        moved = times * (rows * inner + rows * columns)
        self._add(2.0 * times * rows * inner * columns, moved, "product", backward=backward)

    def attention(self, queries: int, keys: int, channels: int) -> None:
        """Scaled dot-product attention over all heads together."""
        self._add(4.0 * queries * keys * channels, 2 * (queries + keys) * channels, "product")

    def norm(self, channels: int, pixels: int, *, passes: int = 3, affine: bool = True) -> None:
        """A norm (two reads, one write) and what is behind it: ``passes`` reads and writes of its elements in all."""
        self._weights(2 * channels if affine else 0, 0)
        self._add(0.0, passes * channels * pixels, "norm", cast=channels * pixels if self.wide else 0.0)

    def pointwise(self, moved: float) -> None:
        """A layer without products that reads and writes ``moved`` elements."""
        self._add(0.0, moved, "pointwise")

    def _weights(self, weights: int, bias: int) -> None:
        self.parameters += weights + bias

    def _add(
        self, flops: float, moved: float, kind: str, *, cast: float = 0.0, full: bool = False, backward: int = 2
    ) -> None:
        self.kernels.append(Kernel(flops, moved, cast, kind, full, backward, self._block))
