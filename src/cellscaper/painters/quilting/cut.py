"""The cheapest cut between an old and a new patch: a minimum cut on the grid of their pixels (Kwatra et al. 2003)."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import breadth_first_order, maximum_flow

OLD, NEW, UNDECIDED = 0, 1, -1
MOST = 1 << 24  # largest capacity; SciPy's flow counts in int32


def minimum_cut(
    old: NDArray[np.int32],
    new: NDArray[np.int32],
    right: NDArray[np.int32],
    down: NDArray[np.int32],
    fixed: NDArray[np.int8],
) -> NDArray[np.bool_]:
    """(h, w) bool: the pixels that become new in a labelling of the smallest cost; of equal ones, the fewest pixels.

    old, new     (h, w) cost of a pixel that stays old, that becomes new; at least 0
    right, down  (h, w − 1), (h − 1, w) cost of two neighbours (side by side, one above the other) that differ
    fixed        (h, w) OLD, NEW or UNDECIDED: what a pixel must be. Costs of fixed pixels do not count

    Pixels are nodes, "new" is the side of the flow's source. SciPy's maximum flow (Dinic) takes whole capacities.
    """
    take = fixed == NEW
    nodes = np.flatnonzero(fixed == UNDECIDED)
    if not len(nodes):
        return take
    number = np.full(fixed.size, -1, np.int32)
    number[nodes] = np.arange(len(nodes), dtype=np.int32)
    pixel = np.arange(fixed.size, dtype=np.int32).reshape(fixed.shape)
    one = np.concatenate([pixel[:, :-1].ravel(), pixel[:-1].ravel()])
    two = np.concatenate([pixel[:, 1:].ravel(), pixel[1:].ravel()])
    cost = np.concatenate([right.ravel(), down.ravel()])
    state = fixed.ravel()
    if_old, if_new = old.ravel().astype(np.int64), new.ravel().astype(np.int64)
    for end, other in ((one, two), (two, one)):  # an edge to a fixed pixel is a cost of its other end
        edge = (state[end] == UNDECIDED) & (state[other] != UNDECIDED)
        is_new = state[other] == NEW
        np.add.at(if_old, end[edge & is_new], cost[edge & is_new])
        np.add.at(if_new, end[edge & ~is_new], cost[edge & ~is_new])
    both = (state[one] == UNDECIDED) & (state[two] == UNDECIDED) & (cost > 0)
    reached = _reached(number[one[both]], number[two[both]], cost[both], (if_old - if_new)[nodes])
    take.flat[nodes[reached]] = True
    return take


def _reached(one: NDArray, two: NDArray, cost: NDArray, pull: NDArray[np.int64]) -> NDArray[np.int64]:
    """The nodes on the source's side; ``pull``: the cost of being old above that of being new."""
    n = len(pull)
    source, sink = n, n + 1
    pull = pull.clip(-MOST, MOST)
    to, away = np.flatnonzero(pull > 0), np.flatnonzero(pull < 0)
    if not len(to):
        return to
    rows = np.concatenate([one, two, np.full(len(to), source), away])
    columns = np.concatenate([two, one, to, np.full(len(away), sink)])
    values = np.concatenate([cost, cost, pull[to], -pull[away]]).clip(0, MOST).astype(np.int32)
    order = np.argsort(rows.astype(np.int64) * (n + 2) + columns)
    begins = np.concatenate([[0], np.bincount(rows, minlength=n + 2).cumsum()]).astype(np.int32)
    graph = csr_matrix((values[order], columns[order].astype(np.int32), begins), shape=(n + 2, n + 2))
    left = graph - maximum_flow(graph, source, sink).flow
    left.eliminate_zeros()
    side = breadth_first_order(left, source, return_predecessors=False)
    return side[side < n].astype(np.int64)
