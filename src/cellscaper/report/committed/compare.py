"""Committed results against a rerun: which numbers were reproduced, within what, and which were not."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from cellscaper.report.committed.cells import Cell, decimals

LEVEL = 0.95
ROUNDING = 1e-6  # share of a number that other processors and libraries may change


class Outcome(NamedTuple):
    """A committed cell, the rerun's (None if there is none), the bounds, and whether it lies within."""

    cell: Cell
    again: Cell | None
    low: float
    high: float
    within: bool

    @property
    def is_same(self) -> bool:
        """Whether the rerun gave the same number, but for rounding."""
        return self.again is not None and abs(float(self.again.value) - float(self.cell.value)) <= rounding(self.cell)

    @property
    def text(self) -> str:
        """``brca_m2c tc_table1 random: topofd mean: 35.2, committed 36.9, expected 36.1 to 37.8``."""
        if self.again is None:
            return f"{self.cell.name}: missing in the rerun, committed {self.cell.value}"
        bounds = f"expected {self.low:.6g} to {self.high:.6g} ({how(self.cell)})"
        return f"{self.cell.name}: {self.again.value}, committed {self.cell.value}, {bounds}"


def compared(committed: Sequence[Cell], rerun: Sequence[Cell]) -> list[Outcome]:
    """An outcome for each committed cell, in order."""
    again = {cell.key: cell for cell in rerun}
    return [_outcome(cell, again.get(cell.key)) for cell in committed]


def _outcome(cell: Cell, again: Cell | None) -> Outcome:
    low, high = bounds(cell, int(again.n) if again else 1)
    return Outcome(cell, again, low, high, again is not None and low <= float(again.value) <= high)


def bounds(cell: Cell, seeds: int) -> tuple[float, float]:
    """Between what a rerun with ``seeds`` seeds reproduces a number.

    Of several seeds: the 95 % prediction interval of the mean of the rerun's seeds, by Student's t. Of one seed: its
    interval over test images; without one, its own digits.
    """
    value, slack = float(cell.value), rounding(cell)
    n = int(cell.n)
    if n > 1 and cell.sd:
        from scipy.special import stdtrit

        half = float(stdtrit(n - 1, (1 + LEVEL) / 2)) * float(cell.sd) * math.sqrt(1 / n + 1 / seeds)
        return value - half - slack, value + half + slack
    if cell.low:
        return float(cell.low) - slack, float(cell.high) + slack
    return value - slack, value + slack


def rounding(cell: Cell) -> float:
    """Half a unit of the last digit that was written, and what other processors may change."""
    return 0.5 * 10.0 ** -decimals(cell.value) + ROUNDING * abs(float(cell.value))


def how(cell: Cell) -> str:
    """What the bounds of a cell come from."""
    if int(cell.n) > 1 and cell.sd:
        return f"sd of {cell.n} seeds"
    return f"bootstrap over {cell.images or 'the'} images" if cell.low else "its digits: one seed, no interval"


def report(outcomes: Sequence[Outcome]) -> list[str]:
    """The lines of a comparison: how many were reproduced within what, then each that was not."""
    lines = []
    for kind in dict.fromkeys(how(one.cell) for one in outcomes):
        own = [one for one in outcomes if how(one.cell) == kind]
        within, same = sum(one.within for one in own), sum(one.is_same for one in own)
        bound = f"the {LEVEL:.0%} interval by the {kind}" if not kind.startswith("its") else kind
        lines.append(
            f"{within} of {len(own)} cells reproduced within {bound.replace('%', ' %')}; {same} are the same number"
        )
    failed = [one.text for one in outcomes if not one.within]
    return lines + (["not reproduced:", *(f"  {text}" for text in failed)] if failed else [])
