"""Decoders against known cells: what was drawn must come back."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from cellscaper.errors import CellscaperError
from cellscaper.views.decoding import DECODERS, components, decode, peaks, released, released_counts, requested
from cellscaper.views.grid import Grid
from cellscaper.views.rasters import rasterise, to_unit

FINE = Grid(96)
COMPACT = Grid(96, stride=4, marker=1)
SPATIAL_DIFFUSION = Grid(96, stride=2, marker=3, pad=5, low=-1.0, high=1.0)
GRIDS = pytest.mark.parametrize("grid", [FINE, COMPACT, SPATIAL_DIFFUSION], ids=["fine", "compact", "padded"])


def separated(seed: int, classes: int = 3, gap: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Integer dots one to a ``gap`` px square, with at least 4 px around each; labels at random."""
    rng = np.random.default_rng(seed)
    corners = np.stack(np.meshgrid(*[np.arange(0, 96, gap)] * 2, indexing="ij"), -1).reshape(-1, 2)
    corners = corners[rng.random(len(corners)) < 0.7]
    return corners + rng.integers(4, gap - 4, corners.shape), rng.integers(0, classes, len(corners))


def raster(points: np.ndarray, labels: np.ndarray, grid: Grid, classes: int = 3) -> np.ndarray:
    """Unit-range map (C, h, w) of one layout."""
    index = torch.zeros(len(points), dtype=torch.long)
    maps = rasterise(torch.as_tensor(points).float(), torch.as_tensor(labels).long(), index, 1, classes, grid)
    return to_unit(maps, grid)[0].numpy()


def as_set(points: np.ndarray, labels: np.ndarray) -> set[tuple[float, float, int]]:
    return {(float(y), float(x), int(k)) for (y, x), k in zip(points, labels, strict=True)}


def nearest_pixel_centre(points: np.ndarray, grid: Grid) -> np.ndarray:
    return np.array([[(v // grid.stride) * grid.stride + (grid.stride - 1) / 2 for v in p] for p in points])


@GRIDS
@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("seed", range(3))
def test_separated_cells_come_back_exactly(grid: Grid, decoder: str, seed: int) -> None:
    points, labels = separated(seed)
    counts = np.bincount(labels, minlength=3)
    [(found, classes)] = decode(raster(points, labels, grid)[None], grid, decoder, counts[None])
    assert found.dtype == np.float32 and classes.dtype == np.uint8
    assert as_set(found, classes) == as_set(nearest_pixel_centre(points, grid), labels)


@GRIDS
@pytest.mark.parametrize("decoder", DECODERS)
def test_a_decoded_layout_draws_the_same_map(grid: Grid, decoder: str) -> None:
    points, labels = separated(5)
    drawn = raster(points, labels, grid)
    [cells] = decode(drawn[None], grid, decoder, np.bincount(labels, minlength=3)[None])
    assert np.array_equal(raster(*cells, grid), drawn)


@GRIDS
@pytest.mark.parametrize("decoder", DECODERS)
def test_axes_and_channels_keep_their_order(grid: Grid, decoder: str) -> None:
    points, labels = np.array([[10, 70], [50, 22]]), np.array([2, 0])
    [(found, classes)] = decode(raster(points, labels, grid)[None], grid, decoder, [[1, 0, 1]])
    assert classes.tolist() == [0, 2]  # class after class
    assert np.abs(found - [[50, 22], [10, 70]]).max() <= grid.stride / 2


def test_dots_at_stride_one_are_integers_and_on_the_compact_grid_pixel_centres() -> None:
    points, labels = np.array([[17, 42]]), np.array([0])
    assert components(raster(points, labels, FINE, 1), FINE)[0].tolist() == [[17, 42]]
    assert components(raster(points, labels, COMPACT, 1), COMPACT)[0].tolist() == [[17.5, 41.5]]


@pytest.mark.parametrize("decoder", DECODERS)
def test_points_stay_inside_the_region_at_its_borders(decoder: str) -> None:
    points, labels = np.array([[0, 40], [40, 0], [95, 41], [41, 95]]), np.zeros(4, int)
    for grid in (FINE, COMPACT):
        [(found, _)] = decode(raster(points, labels, grid, 1)[None], grid, decoder, [[4]])
        assert len(found) == 4 and found.min() >= 0 and found.max() < 96
        assert np.abs(cdist(found, points)).min(axis=1).max() <= 2.2


def test_markers_cut_by_the_border_are_found_at_their_centre_when_requested() -> None:
    points, labels = np.array([[0, 0], [0, 40], [95, 95]]), np.zeros(3, int)
    found, _ = requested(raster(points, labels, FINE, 1), FINE, [3])
    assert as_set(found, [0, 0, 0]) == as_set(points, labels)


def test_touching_markers_merge_into_one_component_but_are_two_requested_cells() -> None:
    points, labels = np.array([[30, 40], [30, 43]]), np.zeros(2, int)
    drawn = raster(points, labels, FINE, 1)
    assert components(drawn, FINE)[0].tolist() == [[30, 41.5]]
    assert as_set(*requested(drawn, FINE, [2])) == as_set(points, labels)


def test_diagonal_contact_does_not_merge_components() -> None:
    points, labels = np.array([[30, 40], [33, 43]]), np.zeros(2, int)
    assert as_set(*components(raster(points, labels, FINE, 1), FINE)) == as_set(points, labels)


def test_neighbouring_pixels_of_the_compact_grid_are_two_cells() -> None:
    points, labels = np.array([[40, 40], [40, 44]]), np.zeros(2, int)
    assert len(components(raster(points, labels, COMPACT, 1), COMPACT)[0]) == 2


def test_released_splits_overlapping_blobs_that_components_merge() -> None:
    y, x = np.mgrid[:96, :96]
    blobs = (np.hypot(y - 40, x - 40) <= 5.2) | (np.hypot(y - 40, x - 48) <= 5.2)
    found, _ = released(blobs[None].astype(float), FINE)
    assert len(components(blobs[None].astype(float), FINE)[0]) == 1
    assert np.abs(found - [[40, 40], [40, 48]]).max() < 1.0


def test_released_loses_a_marker_cut_by_a_corner() -> None:
    points, labels = np.array([[0, 0], [0, 40]]), np.zeros(2, int)
    assert released(raster(points, labels, FINE, 1), FINE)[0].tolist() == [[0.5, 40]]


def test_released_drops_regions_of_at_most_five_pixels_only() -> None:
    drawn = np.zeros((1, 96, 96))
    drawn[0, 10, 10:15] = 1  # 5 px: dropped
    drawn[0, 30, 30:33] = drawn[0, 31, 30:33] = 1  # 6 px: kept
    assert released(drawn, FINE)[0].tolist() == [[30.5, 31]]
    single = np.zeros((1, 24, 24))
    single[0, 7, 9] = 1  # the compact grid's whole marker
    assert len(released(single, COMPACT)[0]) == 1


@pytest.mark.parametrize(("decoder", "threshold"), [("components", 0.5), ("released", 0.4)])
def test_default_and_given_thresholds(decoder: str, threshold: float) -> None:
    points, labels = separated(1)
    drawn = raster(points, labels, FINE)[None]
    assert len(decode(drawn * (threshold + 0.01), FINE, decoder)[0][0]) == len(points)
    assert len(decode(drawn * (threshold - 0.01), FINE, decoder)[0][0]) == 0
    assert len(decode(drawn * 0.3, FINE, decoder, settings={"threshold": 0.2})[0][0]) == len(points)


@pytest.mark.parametrize(("low", "high", "level"), [(0, 1, 0.4), (-1, 1, 0.7), (-0.2, 4, 0.4)])
def test_released_takes_the_raw_value_0_4_on_the_papers_ranges(low, high, level) -> None:
    """A blob just below and one just above: on −1…1 the raw value 0.4 is 0.7 of the way to the marker."""
    grid = Grid(32, 1, 3, 0, low, high)
    raw = np.full((1, 1, 32, 32), float(low))
    raw[0, 0, 4:7, 4:7] = low + (level - 0.01) * (high - low)
    raw[0, 0, 20:23, 20:23] = low + (level + 0.01) * (high - low)
    maps = to_unit(torch.from_numpy(raw), grid)
    ((points, _),) = decode(maps, grid, "released")
    assert points.tolist() == [[21, 21]]
    if high == 1:
        assert raw[0, 0, 5, 5] < 0.4 < raw[0, 0, 21, 21]


def test_released_counts_are_one_too_many_in_every_class() -> None:
    assert released_counts(np.array([0, 0, 2], np.uint8), 4).tolist() == [3, 1, 2, 1]


@GRIDS
def test_requested_counts_are_exact_and_cells_do_not_overlap_whatever_the_map(grid: Grid) -> None:
    rng = np.random.default_rng(3)
    maps = rng.normal(0.2, 0.4, (6, 3, grid.inner, grid.inner))
    maps[3:] = maps[3:].clip(0, 1)  # ties
    maps[5] = 0
    counts = rng.integers(0, 25, (6, 3))
    for row, (points, labels) in zip(counts, decode(maps, grid, "requested", counts), strict=True):
        assert np.bincount(labels, minlength=3).tolist() == row.tolist()
        for k in range(3):
            apart = cdist(points[labels == k], points[labels == k], "chebyshev") + 1e9 * np.eye(row[k])
            assert apart.min(initial=np.inf) >= grid.marker * grid.stride


def test_requested_takes_the_best_supported_markers_first() -> None:
    points = np.array([[20, 20], [20, 60], [60, 20], [60, 60]])
    strength = (0.9, 0.2, 0.5, 0.7)
    maps = sum(raster(p[None], np.zeros(1, int), FINE, 1) * s for p, s in zip(points, strength, strict=True))
    noise = np.random.default_rng(0).normal(0, 0.02, maps.shape)
    assert requested(maps + noise, FINE, [3])[0].tolist() == [[20, 20], [60, 60], [60, 20]]


def test_requested_finds_noisy_markers_where_they_are() -> None:
    points, labels = separated(9)
    noise = np.random.default_rng(1).normal(0, 0.2, (3, 96, 96))
    found = requested(raster(points, labels, FINE) + noise, FINE, np.bincount(labels, minlength=3))
    assert as_set(*found) == as_set(points, labels)


def test_cells_without_support_are_spread_over_the_map() -> None:
    found, _ = requested(np.zeros((1, 24, 24)), COMPACT, [100])
    quarter = (found > 47.5).astype(int) @ [1, 2]
    assert np.bincount(quarter, minlength=4).min() > 10


def test_an_empty_or_a_full_map_is_no_special_case() -> None:
    for grid in (FINE, COMPACT):
        empty = np.zeros((2, grid.inner, grid.inner))
        for decoder in DECODERS:
            [(points, labels)] = decode(empty[None], grid, decoder, [[0, 0]])
            assert points.shape == (0, 2) and labels.shape == (0,)
        assert len(components(empty + 1, grid)[0]) == (2 if grid.marker == 3 else 2 * 24**2)
        assert (released(empty + 1, grid)[0] < 96).all()


def test_decode_takes_tensors_of_any_float_type() -> None:
    points, labels = separated(2)
    drawn = torch.as_tensor(raster(points, labels, FINE))[None].bfloat16().requires_grad_()
    assert as_set(*decode(drawn, FINE, "components")[0]) == as_set(points, labels)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"decoder": "best"}, "decoder 'best' is unknown.*components, released, peaks, requested"),
        ({"maps": np.zeros((1, 2, 96, 24))}, r"\(1, 2, 96, 24\) do not fit the grid"),
        ({"maps": np.full((1, 2, 96, 96), np.nan)}, "18432 of 18432 .* not finite"),
        ({"settings": {"treshold": 0.5}}, "no setting 'treshold'"),
        ({"decoder": "requested", "counts": [[1, 1]], "settings": {"threshold": 0.5}}, "no setting 'threshold'"),
        ({"decoder": "requested"}, "counts for 0 of 1 maps"),
        ({"decoder": "requested", "counts": [[1]]}, r"counts \[1\]: expected 2 whole numbers"),
        ({"decoder": "requested", "counts": [[1.5, 2]]}, "expected 2 whole numbers"),
        ({"decoder": "requested", "counts": [[-1, 2]]}, "expected 2 whole numbers"),
        (
            {"decoder": "requested", "counts": [[0, 2000]]},
            r"2000 cells of class 1 \(counted from 0\) requested .* found a place",
        ),
    ],
)
def test_bad_input_is_told_in_one_line(change: dict, message: str) -> None:
    with pytest.raises(CellscaperError, match=message) as error:
        decode(**{"maps": np.zeros((1, 2, 96, 96)), "grid": FINE, "decoder": "components", **change})
    assert "\n" not in str(error.value)


# -- peaks of soft markers --------------------------------------------------------------------------------------------

SOFT = Grid(96, stride=4, marker=3, low=-0.5, high=2.5, soft=0.9)
EXACT = Grid(96, stride=4, marker=3, low=-0.5, high=2.5, soft=0.9, exact=True)


def test_peaks_of_soft_markers_are_the_cells_in_any_crowd():
    rng = np.random.default_rng(3)
    pixels = np.argwhere(rng.random((24, 24)) < 0.3)  # neighbours included
    labels = rng.integers(0, 3, len(pixels))
    points = 4 * pixels + 1.5
    found = peaks(raster(points, labels, SOFT), SOFT)
    assert as_set(*found) == as_set(points, labels)


def test_exact_peaks_give_the_place_inside_the_pixel():
    points, labels = separated(5, gap=16)
    points = points + np.random.default_rng(6).uniform(-2, 2, points.shape)
    found, kinds = peaks(raster(points, labels, EXACT), EXACT)
    assert len(found) == len(points)
    away = cdist(points, found) + 1e3 * (labels[:, None] != kinds)
    assert np.median(away.min(1)) < 0.01
    assert away.min(1).max() < 2.9  # at the border it is the pixel's centre
    inner = ((points > 4) & (points < 91)).all(1)
    assert away.min(1)[inner].max() < 0.05


def test_peaks_below_the_threshold_are_none():
    assert len(peaks(np.full((2, 24, 24), 0.5), SOFT)[0]) == 0
