"""The state of a training is written in a thread, from a copy on the host, while the training goes on."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Self

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map


class Saver:
    """Writes states with ``write(state)``, at most one at a time; a context manager that waits for the last one.

    The copy on the host is kept for the next state, so a training needs the memory of one state besides its own.
    """

    def __init__(self, write: Callable[[Any], None]):
        self._write = write
        self._pool = ThreadPoolExecutor(1, "save")
        self._running: Future[None] | None = None
        self._host: dict[int, Tensor] = {}  # by place in the state

    @property
    def busy(self) -> bool:
        """Whether a state is being written. Any exception of a finished write is raised here."""
        if self._running is not None and self._running.done():
            self.wait()
        return self._running is not None

    def wait(self) -> None:
        """Wait until the state is written; any exception of the write."""
        running, self._running = self._running, None
        if running is not None:
            running.result()

    def save(self, state: Any) -> None:
        """Copy a state to the host and begin to write it. It waits for the one before."""
        self.wait()
        leaves = tree_leaves(state)
        copies = iter([self._copy(i, one) if isinstance(one, Tensor) else one for i, one in enumerate(leaves)])
        self._running = self._pool.submit(self._write, tree_map(lambda _: next(copies), state))

    def _copy(self, place: int, tensor: Tensor) -> Tensor:
        mine = self._host.get(place)
        if mine is None or (mine.shape, mine.dtype, mine.stride()) != (tensor.shape, tensor.dtype, tensor.stride()):
            mine = self._host[place] = torch.empty_like(tensor, device="cpu", requires_grad=False)
        return mine.copy_(tensor.detach())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._pool.shutdown()  # an unfinished write is completed: it holds an intact state
        if kind is None:
            self.wait()
