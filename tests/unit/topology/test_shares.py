"""Shares of a hole's cost: they go where cells have to change, and never exceed the cost."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from cellscaper.topology.losses import intra_loss, targets
from cellscaper.topology.matching import match, rotated
from cellscaper.topology.settings import Topology
from cellscaper.topology.shares import shares

SIDE = 96
NORMALISED = Topology(normalise="max")


def layer(rng, cells, empty=0):
    """(1, 1, SIDE, SIDE): 3×3 markers, none in the first ``empty`` rows."""
    maps = torch.zeros(1, 1, SIDE, SIDE)
    for y, x in zip(rng.integers(empty, SIDE, cells), rng.integers(0, SIDE, cells), strict=True):
        maps[..., max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2] = 1
    return maps


def compared(maps, goal, settings):
    """Shares by kind, the cost of the layer, and the costs of the goal's holes; the costs by plain matching."""
    mine, wanted = (targets(one, settings, inter=False).intra[0][0] for one in (maps, goal))
    pairs = match(mine.diagram, wanted.diagram).pairs
    residual = mine.diagram - mine.diagram.mean(axis=1, keepdims=True)
    residual[pairs[:, 0]] = mine.diagram[pairs[:, 0]] - wanted.diagram[pairs[:, 1]]
    each = rotated(wanted.diagram)[0] ** 2
    each[pairs[:, 1]] = 0
    cost = float((residual**2).sum() + each.sum())
    each[pairs[:, 1]] = (residual[pairs[:, 0]] ** 2).sum(axis=1)
    return shares(mine, wanted, np.full(len(mine.points), 9.0), residual, each, cost, settings), cost, each


def pairs_of_layers(n):
    """Predictions and goals with few or many cells, with and without a large empty area."""
    rng = np.random.default_rng(0)
    for _ in range(n):
        sizes, empty = rng.integers(32, 80, 2), rng.integers(0, 60, 2) * rng.integers(0, 2, 2)
        yield layer(rng, sizes[0], empty[0]), layer(rng, sizes[1], empty[1])


@pytest.mark.slow
@pytest.mark.parametrize("settings", [Topology(), NORMALISED], ids=["px", "normalised"])
def test_no_share_exceeds_the_cost_that_it_is_a_share_of(settings):
    seen = set()
    for maps, goal in pairs_of_layers(60):
        found, cost, each = compared(maps, goal, settings)
        assert cost == pytest.approx(intra_loss(maps, targets(goal, settings), settings).item(), rel=1e-5)
        for name, (fade, rise) in found.items():
            total = fade.sum() + rise.sum()
            assert min(fade.min(initial=0), rise.min(initial=0)) >= 0
            assert total <= cost * (1 + 1e-9)
            if name == "missing":
                assert total <= each.sum() * (1 + 1e-9)
            if total > 0:
                seen.add(name)
    assert seen == {"too_many", "missing"} | ({"void"} if settings.normalise == "max" else set())


@pytest.mark.slow
def test_the_share_of_the_scale_is_at_most_what_the_goals_holes_are_from_the_diagonal():
    bounded = 0
    for maps, goal in pairs_of_layers(60):
        mine, wanted = (targets(one, NORMALISED).intra[0][0] for one in (maps, goal))
        moved = wanted.holes.diagram / mine.scale - wanted.diagram  # what the scale alone does to each hole
        ways, lengths = (moved**2).sum(axis=1), np.diff(wanted.diagram).ravel() ** 2 / 2
        fade, rise = compared(maps, goal, NORMALISED)[0]["void"]
        assert fade.sum() + rise.sum() <= np.minimum(ways, lengths).sum() * (1 + 1e-9)
        bounded += ways.sum() > lengths.sum()
    assert bounded > 10  # where the bound is what counts


def test_without_missing_only_surplus_cells_have_a_share():
    maps, goal = next(iter(pairs_of_layers(1)))
    for one, other, kinds in ((maps, goal, set()), (goal, maps, {"too_many"})):
        fewer, more = sorted((one, other), key=lambda m: m.sum())
        prediction, clean = (more, fewer) if kinds else (fewer, more)
        assert set(compared(prediction, clean, replace(NORMALISED, missing=False))[0]) == kinds


@pytest.mark.parametrize("normalise", ["max", "none"])
@pytest.mark.parametrize("lacking", [[0, 1], [0]])
def test_cells_rise_where_a_class_is_empty(normalise, lacking):
    """An empty map has no largest distance of its own; its target's cells rise all the same."""
    rng, settings = np.random.default_rng(0), Topology(normalise=normalise)
    goal = torch.cat([layer(rng, 30), layer(rng, 30)], dim=1)
    maps = goal.clone()
    maps[:, lacking] = 0
    maps.requires_grad_()
    intra_loss(maps, targets(goal, settings, inter=False), settings).sum().backward()
    for label in lacking:
        assert (maps.grad[0, label] < 0).sum() >= 9 and (maps.grad[0, label] <= 0).all()
