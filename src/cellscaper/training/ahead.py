"""The random numbers of the next batch, drawn in a thread while the device computes the step before."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Self

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from cellscaper.run.transfer import pinned


class Ahead:
    """Gives ``draw(step)`` for step ``first``, ``first`` + 1 … below ``end``, one step ahead; a context manager.

    For CUDA the tensors of a draw (tuples, lists or dictionaries of them) come in pinned memory.
    """

    def __init__(self, draw: Callable[[int], Any], first: int, end: int, device: torch.device):
        self._draw, self._end, self._pin = draw, end, device.type == "cuda"
        self._pool = ThreadPoolExecutor(1, "draw")
        self._next: Future[Any] | None = self._submit(first)

    def _submit(self, step: int) -> "Future[Any] | None":
        return self._pool.submit(self._drawn, step) if step < self._end else None

    def _drawn(self, step: int) -> Any:
        found = self._draw(step)
        return tree_map(lambda one: pinned(one) if isinstance(one, Tensor) else one, found) if self._pin else found

    def take(self, step: int) -> Any:
        """The draw of the next step, which must be ``step``; any exception of the draw."""
        assert self._next is not None
        found = self._next.result()
        self._next = self._submit(step + 1)
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)
