"""Rasters against painting each marker pixel by pixel."""

import numpy as np
import pytest
import torch

from cellscaper.errors import CellscaperError
from cellscaper.views.rasters import Grid, rasterise, to_unit
from cellscaper.views.symmetries import EIGHT, transform

GRIDS = {
    "TC": Grid(region=64, stride=1, marker=3),
    "SD": Grid(region=64, stride=2, marker=3, pad=12, low=-1, high=1),
    "compact": Grid(region=64, stride=4, marker=1, low=-0.2, high=4),
    "wide": Grid(region=60, stride=3, marker=5, pad=1, low=2, high=3),
}
EVERY_GRID = pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)


def cells(n, seed=0, region=60, layouts=4):
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, region, (n, 2)).astype(np.float32)
    edge = np.nextafter(np.float32(region), np.float32(0))
    points[:4] = [[0, 0], [0, edge], [edge, 0], [edge, edge]]
    return points, rng.integers(0, 3, n), rng.integers(0, layouts, n)


def nearest(at, grid):
    """The pixel with the nearest centre; of two equally near ones the second."""
    away = [abs(float(at) - ((i + 0.5) * grid.stride - 0.5)) for i in range(grid.inner)]
    return max(i for i in range(grid.inner) if away[i] == min(away))


def paint(points, labels, index, n, classes, grid):
    """The same by loops over cells and pixels, in a canvas whose rim is wiped afterwards."""
    rim = grid.marker + grid.pad
    canvas = np.full((n, classes, grid.inner + 2 * rim, grid.inner + 2 * rim), grid.low, np.float32)
    for (y, x), label, i in zip(points, labels, index, strict=True):
        row, column = nearest(y, grid) + rim, nearest(x, grid) + rim
        for dy in range(grid.marker):
            for dx in range(grid.marker):
                canvas[i, label, row + dy - grid.marker // 2, column + dx - grid.marker // 2] = grid.high
    maps = np.full((n, classes, grid.side, grid.side), grid.low, np.float32)
    inside, region = slice(grid.pad, grid.pad + grid.inner), slice(rim, rim + grid.inner)
    maps[:, :, inside, inside] = canvas[:, :, region, region]
    return maps


def draw(points, labels, index, n, classes, grid):
    return rasterise(torch.from_numpy(points), torch.from_numpy(labels), torch.from_numpy(index), n, classes, grid)


@EVERY_GRID
@pytest.mark.parametrize("n", [4, 150])
def test_markers_are_painted_where_the_cells_are(grid, n):
    given = cells(n, region=grid.region)
    maps = draw(*given, 5, 3, grid)
    assert maps.dtype == torch.float32
    np.testing.assert_array_equal(maps.numpy(), paint(*given, 5, 3, grid))


@EVERY_GRID
@pytest.mark.parametrize("seed", range(3))
def test_the_centre_of_a_marker_is_the_pixel_nearest_to_the_cell(grid, seed, hard_points, nearest_centres):
    points = hard_points(grid.region, 80, seed)
    single = Grid(grid.region, grid.stride, 1, grid.pad)
    index = np.arange(80)
    maps = draw(points, np.zeros(80, int), index, 80, 1, single)[:, 0].numpy()
    assert np.array_equal(np.argwhere(maps)[:, 0], index)
    assert np.array_equal(np.argwhere(maps)[:, 1:] - grid.pad, nearest_centres(points, grid.region, grid.stride))
    assert np.array_equal(
        draw(points, np.zeros(80, int), index, 80, 1, grid), paint(points, index * 0, index, 80, 1, grid)
    )


@EVERY_GRID
@pytest.mark.parametrize("symmetry", EIGHT)
def test_the_raster_of_turned_cells_is_the_turned_raster(grid, symmetry, hard_points, turned):
    points = hard_points(grid.region, 200, symmetry)
    labels, index = np.arange(200) % 3, np.arange(200) % 5
    maps = draw(points, labels, index, 5, 3, grid).numpy()
    found = draw(transform(points, symmetry, grid.region), labels, index, 5, 3, grid).numpy()
    assert np.array_equal(found, turned(maps, symmetry))


@EVERY_GRID
def test_no_cells_give_background(grid):
    maps = draw(np.zeros((0, 2), np.float32), np.zeros(0, int), np.zeros(0, int), 2, 3, grid)
    assert maps.shape == (2, 3, grid.side, grid.side)
    assert (maps == grid.low).all()


@pytest.mark.parametrize(("point", "area"), [((30, 30), 9), ((0, 30), 6), ((63, 63.9), 4), ((63.9, 5), 6), ((0, 0), 4)])
def test_markers_are_cut_at_the_border_and_do_not_come_in_at_the_other_side(point, area):
    maps = draw(np.array([point], np.float32), np.array([1]), np.array([0]), 1, 3, GRIDS["TC"])
    assert maps.sum() == area
    assert maps[0, 1].sum() == area
    rows, columns = np.nonzero(maps[0, 1].numpy())
    assert (abs(rows - int(point[0])) <= 1).all()
    assert (abs(columns - int(point[1])) <= 1).all()


def test_the_padding_stays_background_beside_a_cell_at_the_border():
    grid = GRIDS["SD"]
    maps = draw(np.array([[0, 0], [63.5, 63.5]], np.float32), np.zeros(2, int), np.zeros(2, int), 1, 1, grid)[0, 0]
    assert (maps[: grid.pad] == -1).all()
    assert (maps[:, : grid.pad] == -1).all()
    assert (maps[-grid.pad :] == -1).all()
    assert maps[grid.pad, grid.pad] == 1
    assert maps[-grid.pad - 1, -grid.pad - 1] == 1


@EVERY_GRID
def test_unit_maps_are_the_raster_in_zero_and_one_without_padding(grid):
    given = cells(80, 1, grid.region)
    unit = to_unit(draw(*given, 4, 3, grid), grid)
    plain = Grid(grid.region, grid.stride, grid.marker)
    torch.testing.assert_close(unit, draw(*given, 4, 3, plain))
    between = torch.full((1, 1, grid.side, grid.side), (3 * grid.low + grid.high) / 4)
    torch.testing.assert_close(to_unit(between, grid), torch.full((1, 1, grid.inner, grid.inner), 0.25))


def test_the_papers_grids_have_the_papers_sizes():
    assert (Grid(256).inner, Grid(256).side) == (256, 256)
    sd = Grid(464, 2, 3, 12, -1, 1)
    assert (sd.inner, sd.side) == (232, 256)
    compact = Grid(256, 4, 1)
    assert (compact.inner, compact.side) == (64, 64)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"region": 0}, "region 0 px must be a positive multiple"),
        ({"region": 64, "stride": 0}, "stride 0 px"),
        ({"region": 64, "stride": 5}, "region 64 px must be a positive multiple of stride 5 px"),
        ({"region": 64, "marker": 2}, "marker 2 must be odd"),
        ({"region": 64, "marker": -1}, "marker -1 must be odd"),
        ({"region": 64, "pad": -1}, "pad -1 must be ≥ 0"),
        ({"region": 64, "low": 1, "high": 1}, "low 1 below high 1"),
        ({"region": 64, "low": float("nan")}, "low nan below high"),
    ],
)
def test_grids_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(CellscaperError, match=message):
        Grid(**settings)


# -- soft markers -----------------------------------------------------------------------------------------------------

SOFT = {
    "pixel": Grid(region=64, stride=4, marker=3, low=-0.5, high=2.5, soft=0.9),
    "exact": Grid(region=64, stride=4, marker=3, low=-0.5, high=2.5, soft=0.9, exact=True),
    "wide": Grid(region=60, stride=3, marker=5, pad=2, soft=1.3, exact=True),
}


@pytest.mark.parametrize("grid", SOFT.values(), ids=SOFT)
def test_soft_markers_are_gaussians_and_the_higher_value_stands(grid):
    points, labels, index = cells(60)
    made = rasterise(*(torch.as_tensor(a) for a in (points, labels, index)), 4, 3, grid)
    wanted = np.full((4, 3, grid.side, grid.side), grid.low)
    for point, label, i in zip(points, labels, index, strict=True):
        own = [nearest(at, grid) for at in point]
        place = [(float(at) + 0.5) / grid.stride - 0.5 for at in point] if grid.exact else own
        least = sum((a - b) ** 2 for a, b in zip(own, place, strict=True))
        for row in range(max(own[0] - grid.marker // 2, 0), min(own[0] + grid.marker // 2 + 1, grid.inner)):
            for column in range(max(own[1] - grid.marker // 2, 0), min(own[1] + grid.marker // 2 + 1, grid.inner)):
                away = (row - place[0]) ** 2 + (column - place[1]) ** 2 - least
                value = grid.low + (grid.high - grid.low) * np.exp(-away / (2 * grid.soft**2))
                at = (i, label, row + grid.pad, column + grid.pad)
                wanted[at] = max(wanted[at], value)
    np.testing.assert_allclose(made.numpy(), wanted, atol=2e-4)


def test_exact_needs_a_soft_marker():
    with pytest.raises(CellscaperError, match="soft 0.0 must be 0 or above, and above 0 where exact is true"):
        Grid(region=64, exact=True)
