"""Layouts for requests, with denoisers that are known exactly: constraints, surroundings, seams."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from cellscaper.errors import CellscaperError
from cellscaper.generators.pointsets.constraints import Area, separate, too_close
from cellscaper.generators.pointsets.generate import BATCH, SAMPLING, calls, generate
from cellscaper.generators.pointsets.request import Request
from cellscaper.generators.pointsets.scene import DENSEST, FULL, scene, spread_by, spread_evenly
from cellscaper.plan.configuration import configuration

CPU = torch.device("cpu")
NONE = np.zeros((0, 2), np.float32)


def disc(size, radius):
    rows, columns = np.indices(size)
    return np.hypot(rows - size[0] / 2, columns - size[1] / 2) < radius


def draw(network, request, sampling, n=1, seed=0, **changes):
    return list(generate(network, request, list(range(seed, seed + n)), sampling.model_copy(update=changes), CPU))


# -- constraints ---------------------------------------------------------------------------------------------


@pytest.mark.slow
@settings(max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    size=st.tuples(st.integers(20, 500), st.integers(20, 500)),
    counts=st.tuples(*[st.integers(0, 12)] * 3).filter(any),
    shape=st.sampled_from(["none", "disc", "noise", "stripe"]),
    n_fixed=st.integers(0, 15),
    distance=st.floats(0, 6),
    heun=st.booleans(),
)
def test_all_constraints_hold_exactly(uniform, sampling, seed, size, counts, shape, n_fixed, distance, heun):
    rng = np.random.default_rng(seed)
    masks = {"none": None, "disc": disc(size, 45), "noise": rng.random(size) < 0.5, "stripe": np.zeros(size, bool)}
    masks["stripe"][:, : size[1] // 2] = True
    try:
        fixed = separate(rng.uniform(0, size, (n_fixed, 2)), NONE, distance, Area(size))
        labels = rng.integers(0, 3, n_fixed).astype(np.uint8)
        request = Request(np.array(counts), size, distance, masks[shape], fixed, labels)
        (layout,) = draw(uniform, request, sampling, seed=seed, steps=4, heun=heun)
    except CellscaperError as error:  # too full: only where it is nearly so
        assert "fit" in str(error) or "room" in str(error)
        pixels = size[0] * size[1] if masks[shape] is None else masks[shape].sum()
        assert sum(counts) + n_fixed > 0.4 * pixels / max(distance, 1e-9) ** 2
        return
    assert np.array_equal(layout.points[:n_fixed], fixed)
    assert np.array_equal(layout.labels[:n_fixed], labels)
    assert np.bincount(layout.labels[n_fixed:], minlength=3).tolist() == list(counts)
    assert len(too_close(layout.points, distance)) == 0
    new = layout.points[n_fixed:]
    assert Area(size).holds(new).all()
    if masks[shape] is not None:
        assert masks[shape][tuple(np.floor(new.astype(np.float64) + 0.5).astype(int).T)].all()
    assert layout.size == size


def test_the_network_sees_given_cells_with_their_own_noise(uniform, sampling):
    """Noise level by noise level, a given cell lies at its place plus the level times one and the same noise."""
    fixed = np.array([[60, 60], [200, 100], [128, 40]], np.float32)
    labels = np.array([2, 2, 2], np.uint8)
    seen = []

    class Listener:
        region, classes = 256, 3

        def __call__(self, x, sigma, labels, counts, mask):
            here = x[0, mask[0] & (labels[0] == 2)]
            seen.append((float(sigma[0]), here.double().numpy() + 128))
            assert counts[0].tolist() == [7, 0, 3]
            return uniform(x, sigma, labels, counts, mask)

    request = Request(np.array([7, 0, 0]), (256, 256), 4.0, None, fixed, labels)
    draw(Listener(), request, sampling, churn=0.0)
    noise = np.array([(x - fixed) / sigma for sigma, x in seen])
    assert len(noise) == sampling.steps
    assert noise[0].std() > 0.3
    assert noise == pytest.approx(np.broadcast_to(noise[0], noise.shape), abs=2e-3)


def test_a_seed_is_a_layout_whatever_is_drawn_beside_it(uniform, sampling):
    for size in ((256, 256), (300, 400)):
        request = Request(np.array([5, 20, 8]), size, 4.0)
        together = draw(uniform, request, sampling, n=5)
        (alone,) = draw(uniform, request, sampling, seed=3)
        assert alone.points == pytest.approx(together[3].points, abs=1e-4)
        assert np.abs(together[3].points - together[2].points).max() > 10


def test_the_sampler_is_that_of_the_configuration_but_for_its_levels_and_fresh_noise():
    sampling = configuration({})["experiments"]["point_diffusion"]["sampling"]
    own = SAMPLING.model_dump(include={"steps", "sigma_min", "rho", "heun", "churn"})
    assert {**sampling, **own} == {**SAMPLING.model_dump(), "batch": BATCH, "precision": "bf16"}


@pytest.mark.slow
def test_progress_counts_every_denoising(uniform, sampling):
    for heun in (False, True):
        told = []
        settings = sampling.model_copy(update={"steps": 3, "heun": heun})
        list(generate(uniform, Request(np.array([5, 0, 0]), (256, 256)), range(40), settings, CPU, told.append))
        assert sum(told) == calls(40, settings)


# -- surroundings --------------------------------------------------------------------------------------------


def even(points, area, parts=6):
    """Largest deviation of the cells' numbers in equal stripes of an area, as a part of their mean, both ways."""
    places = np.argwhere(area.mask) if area.mask is not None else np.argwhere(np.ones(area.size, bool))
    found = []
    for axis in (0, 1):
        edges = np.quantile(places[:, axis] + 0.5, np.linspace(0, 1, parts + 1))
        edges[[0, -1]] = -1, area.size[axis] + 1
        found.append(np.histogram(points[:, axis], edges)[0] / len(points) * parts - 1)
    return np.abs(found).max()


@pytest.mark.slow
@pytest.mark.parametrize("size", [(100, 100), (60, 300)])
def test_a_region_smaller_than_a_window_is_filled_evenly(uniform, sampling, size):
    request = Request(np.array([10, 10, 10]), size)
    layouts = draw(uniform, request, sampling, n=20, steps=40)
    assert even(np.concatenate([one.points for one in layouts]), request.area) < 0.5


@pytest.mark.slow
def test_a_mask_is_filled_evenly(uniform, sampling):
    request = Request(np.array([10, 10, 10]), (256, 256), 0.0, disc((256, 256), 60))
    layouts = draw(uniform, request, sampling, n=20, steps=40)
    assert even(np.concatenate([one.points for one in layouts]), request.area) < 0.5


def test_surroundings_are_as_dense_as_what_is_asked_for():
    around = scene(Request(np.array([10, 30, 0]), (128, 128)), 256)
    assert around.numbers == (40, 0, 120)
    assert np.bincount(around.labels[40:], minlength=3).tolist() == [30, 90, 0]
    around = scene(Request(np.array([1, 0, 0]), (2, 2)), 256)  # one cell in 4 px² is 16384 in a window
    assert around.numbers == (1, 0, DENSEST)
    whole = scene(Request(np.array([10, 30, 0]), (256, 300)), 256)
    assert (whole.numbers, whole.outside, len(whole.corners)) == ((40, 0, 0), None, 2)


@pytest.mark.slow
def test_only_windows_that_the_mask_needs_are_computed():
    mask = np.zeros((4096, 4096), bool)
    mask[1000:1100, 2000:2100] = True
    fixed = separate(np.random.default_rng(0).uniform(0, 4096, (3000, 2)), NONE, 4.0, Area(mask.shape))
    near = scene(Request(np.array([10, 0, 0]), mask.shape, 4.0, mask, fixed, np.ones(3000, np.uint8)), 256)
    assert len(near.corners) <= 9
    assert 0 < near.numbers[1] < 200
    assert near.numbers[2] == 0  # given cells are the surroundings
    alone = scene(Request(np.array([10, 0, 0]), mask.shape, 4.0, mask), 256)
    assert alone.numbers[2] > 50


def test_more_cells_than_a_window_holds_are_refused():
    with pytest.raises(CellscaperError, match=f"5000 cells in 256×256 px are more than the model can hold \\({FULL}"):
        scene(Request(np.array([5000, 0, 0]), (256, 256)), 256)


@given(st.integers(0, 10**6))
def test_positions_spread_by_a_density_follow_it(seed):
    rng = np.random.default_rng(seed)
    density = rng.integers(0, 4, (3, 4)).astype(np.float64)
    density[1, 2] = 1
    found = spread_by(rng.random((4000, 2)), density)
    count = np.histogram2d(*found.T, bins=(3, 4), range=((0, 3), (0, 4)))[0]
    assert (count[density == 0] == 0).all()
    assert count / 4000 == pytest.approx(density / density.sum(), abs=0.05)
    assert (found % 1).mean() == pytest.approx(0.5, abs=0.03)


def test_positions_spread_evenly_lie_in_the_area():
    area = Area((40, 50), disc((40, 50), 15))
    found = spread_evenly(np.random.default_rng(0).random((3000, 2)), area)
    assert area.holds(found).all()
    assert even(found, area) < 0.15


def test_a_spread_draws_cells_to_where_it_is_dense(uniform, sampling):
    """Two halves of a wide region, three to one; the uniform denoiser keeps what it is given at this scale."""
    spread = np.array([[[3.0, 1.0]]])
    request = Request(np.array([200, 0, 0]), (256, 2048), 0.0, spread=spread)
    (layout,) = draw(uniform, request, sampling)
    assert 120 < (layout.points[:, 1] < 1024).sum() < 180
    with pytest.raises(CellscaperError, match="--spread is 0 wherever cells may lie"):
        draw(uniform, Request(np.array([1, 0, 0]), (256, 256), spread=np.zeros((1, 2, 2))), sampling)


# -- seams ---------------------------------------------------------------------------------------------------


def test_what_all_windows_know_holds_across_seams(columns, sampling):
    """Cells that lie on lines 16 px apart end on them, whichever windows they went through."""
    (layout,) = draw(columns, Request(np.array([50, 300, 80]), (512, 640)), sampling)
    away = np.abs((layout.points[:, 1] + 8) % 16 - 8)
    assert np.quantile(away, 0.99) < 0.3


@pytest.mark.slow
def test_density_and_pairs_at_seams_are_those_of_the_interior(uniform, sampling):
    """Uniform cells: as many near the borders of windows as elsewhere, with as many neighbours within 20 px."""
    size = (768, 768)
    layouts = draw(uniform, Request(np.array([400, 400, 40]), size), sampling, n=6, steps=40)
    rows = []
    for layout in layouts:
        points = layout.points.astype(np.float64)
        neighbours = [len(found) - 1 for found in cKDTree(points).query_ball_point(points, 20)]
        inner = ((points > 64) & (points < 704)).all(axis=1)
        seam = (np.abs((points + 64) % 128 - 64) < 16).any(axis=1)  # windows begin and end at multiples of 128
        rows.append((seam[inner].mean(), *(np.mean(np.array(neighbours)[inner & here]) for here in (seam, ~seam))))
    share, at_seam, between = np.mean(rows, axis=0)
    edge = np.arange(64.5, 704)
    part = (np.abs((edge + 64) % 128 - 64) < 16).mean()
    assert share == pytest.approx(1 - (1 - part) ** 2, abs=0.03)
    assert at_seam == pytest.approx(between, rel=0.1)
