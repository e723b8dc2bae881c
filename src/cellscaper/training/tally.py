"""The losses of the steps since the last row of the log, added up on the device, so that the host need not wait."""

import math
from collections.abc import Callable, Sequence
from typing import NoReturn

import torch
from torch import Tensor

from cellscaper.errors import CellscaperError


class Tally:
    """Sums of the losses and the gradient's norm, in float64, and the first step whose loss or gradient is not finite.

    :meth:`add` leaves everything on the device; :meth:`read` waits for it. The sums equal those of the single values.
    """

    def __init__(self, names: Sequence[str] = (), sums: Sequence[float] = ()):
        self.names = list(names)
        self._start = list(sums)  # of a resumed training
        self._sums: Tensor | None = None
        self._last: Tensor | None = None  # values of the last step
        self._bad: Tensor | None = None  # a step that is not finite, -1 for none, then its values

    def rename(self, names: Sequence[str], by_name: Callable[[Sequence[float]], list[float]]) -> None:
        """Take other names, before the first step is added; ``by_name`` gives the values of the old names for them."""
        if self._sums is not None:
            raise ValueError(f"steps of {self.names} are added, then one of {list(names)}")
        self.names, self._start = list(names), by_name(self._start) if self._start else []

    def add(self, values: Sequence[Tensor], step: int) -> None:
        """Add the values of a step, in the order of the names; the last is the norm of the gradient."""
        row = torch.stack([value.detach().float() for value in values]).double()
        if self._sums is None:
            self._sums = torch.zeros_like(row) if not self._start else _on(self._start, row)
        if self._bad is None:
            self._bad = torch.full((len(row) + 1,), -1.0, dtype=row.dtype, device=row.device)
        self._sums, self._last = self._sums + row, row
        finite = row[self.names.index("loss")].isfinite() & row[-1].isfinite()
        new = torch.cat([torch.full_like(row[:1], step), row])
        self._bad = torch.where(finite | (self._bad[0] >= 0), self._bad, new)

    def read(self, what: str) -> tuple[list[float], float]:
        """The sums of all values, and the loss of the last step. CellscaperError if a step of ``what`` was not finite.

        Before the first step since :meth:`clear`, the loss is NaN.
        """
        if self._sums is None or self._last is None or self._bad is None:
            return self._start, math.nan
        n = len(self._sums)
        found = torch.cat([self._sums, self._last, self._bad]).tolist()
        if found[2 * n] >= 0:
            _refuse(what, int(found[2 * n]), dict(zip(self.names, found[2 * n + 1 :], strict=True)))
        return found[:n], found[n + self.names.index("loss")]

    def clear(self) -> None:
        """Begin a new row."""
        self._start, self._sums = [], None


def _refuse(what: str, step: int, values: dict[str, float]) -> NoReturn:
    terms = ", ".join(f"{name} {value:g}" for name, value in values.items())
    wrong = "gradient" if math.isfinite(values["loss"]) else "loss"
    raise CellscaperError(
        f"{what}: the {wrong} is not finite at step {step} ({terms}); try a lower lr, grad_clip 1.0 or precision fp32"
    )


def _on(values: Sequence[float], like: Tensor) -> Tensor:
    return torch.tensor(values, dtype=like.dtype).to(like.device)
