"""The minimum cut against every labelling of small grids."""

from itertools import product

import numpy as np
import pytest

from cellscaper.painters.quilting.cut import NEW, OLD, UNDECIDED, minimum_cut


def cost(take, old, new, right, down, fixed):
    """The sum that a cut makes as small as possible."""
    free = fixed == UNDECIDED
    seams = right[take[:, 1:] != take[:, :-1]].sum() + down[take[1:] != take[:-1]].sum()
    return int(old[free & ~take].sum() + new[free & take].sum() + seams)


def every(fixed):
    """All labellings that keep the fixed pixels."""
    free = np.flatnonzero(fixed == UNDECIDED)
    for bits in product([False, True], repeat=len(free)):
        take = fixed == NEW
        take.flat[free] = bits
        yield take


@pytest.mark.parametrize("seed", range(12))
def test_the_cut_costs_as_little_as_the_best_of_all_labellings(seed):
    rng = np.random.default_rng(seed)
    shape = (4, 4)
    old, new = (rng.integers(0, 30, shape).astype(np.int32) for _ in range(2))
    right, down = (rng.integers(0, 20, size).astype(np.int32) for size in ((4, 3), (3, 4)))
    fixed = rng.choice([OLD, NEW, UNDECIDED, UNDECIDED, UNDECIDED], shape).astype(np.int8)
    given = (old, new, right, down, fixed)
    take = minimum_cut(*given)
    assert (take[fixed == NEW]).all() and not take[fixed == OLD].any()
    assert cost(take, *given) == min(cost(one, *given) for one in every(fixed))


def test_without_costs_nothing_is_taken_and_without_choice_all_is_as_it_must_be():
    zero = np.zeros((4, 4), np.int32)
    undecided = np.full((4, 4), UNDECIDED, np.int8)
    assert not minimum_cut(zero, zero, zero[:, 1:], zero[1:], undecided).any()
    fixed = np.eye(4, dtype=np.int8) * NEW
    assert np.array_equal(minimum_cut(zero, zero, zero[:, 1:], zero[1:], fixed), fixed == NEW)


def test_a_seam_runs_where_it_costs_nothing():
    old = new = np.zeros((9, 9), np.int32)
    right, down = np.full((9, 8), 5, np.int32), np.full((8, 9), 5, np.int32)
    right[:, 5] = 0
    fixed = np.full((9, 9), UNDECIDED, np.int8)
    fixed[:, 0], fixed[:, 8] = NEW, OLD
    take = minimum_cut(old, new, right, down, fixed)
    assert take[:, :6].all() and not take[:, 6:].any()
