"""Optimal transport of persistence diagrams by POT (docs/methods.md, section 11), beside :mod:`.matching`.

The n points of a diagram and the diagonal are transported to the m points of another and the diagonal. The diagonal is
one place with room for all points of the other side; transport from the diagonal to itself is free. Costs are the
*savings* of :mod:`cellscaper.topology.matching`: a pair's cost less the cost of its two points unmatched. They differ
from the costs by a number for each row and column, which changes no plan, and are 0 on the diagonal's row and column.
"""

import warnings
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cellscaper.errors import CellscaperError
from cellscaper.run.packages import need

Backend = Literal["own", "pot", "pot_sinkhorn"]

_MOST_STEPS = 2_000_000  # of the network simplex; POT's default of 100 000 is too few for some hundreds of points
_ROUNDS = 100  # of Sinkhorn's iteration, each up to 100 steps, while the entropy falls


def plan(saving: NDArray, reg: float = 0.0) -> NDArray[np.float64]:
    """Plan (n + 1, m + 1) of lowest cost for ``saving`` (n, m), n and m above 0; the diagonal is the last of both.

    reg  0: the exact plan, by the network simplex. Above 0, in the unit of ``saving``: the plan with the lowest cost
         minus ``reg`` times its entropy, by Sinkhorn's iteration with a falling ``reg``; its sums of rows and columns
         may be off where it has not converged.

    CellscaperError without the package POT, and if the simplex does not end.
    """
    need("ot", "matching by pot", "own")
    import ot

    (n, m), cost = saving.shape, np.pad(np.asarray(saving, np.float64), ((0, 1), (0, 1)))
    rows, columns = np.append(np.ones(n), m), np.append(np.ones(m), n)
    if not reg:
        found, log = ot.emd(rows, columns, cost, numItermax=_MOST_STEPS, log=True)
        if log["warning"]:
            raise CellscaperError(f"matching by pot: {n} and {m} points: {log['warning']}; use own")
        return found
    cost -= cost.min(axis=1, keepdims=True)  # a 0 in each row and column: exp(-cost / reg) does not vanish there
    cost -= cost.min(axis=0)
    unit = cost.max() or 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # rounds that end before they converge
        return ot.bregman.sinkhorn_epsilon_scaling(
            rows, columns, cost / unit, reg / unit, epsilon0=1.0, numItermax=_ROUNDS
        )


def lowest_cost(saving: NDArray, reg: float = 0.0) -> float:
    """Cost of :func:`plan` less the cost of all points unmatched: at most 0 where ``reg`` is 0.

    What a plan moves beyond a point's mass of 1 is left out and goes to the diagonal. So the cost is that of a possible
    transport, and never below the lowest.
    """
    if not saving.size:
        return 0.0
    shares = plan(saving, reg)[:-1, :-1]
    shares = shares / np.maximum(shares.sum(axis=1, keepdims=True), 1)
    shares /= np.maximum(shares.sum(axis=0), 1)
    return float((shares * saving).sum())
