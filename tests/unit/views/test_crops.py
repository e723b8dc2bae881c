"""Random crops against brute force: the same windows of points, images and maps."""

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.views.crops import CropBatch, CropSampler, cut_maps, to_layouts
from cellscaper.views.grid import Grid
from cellscaper.views.rasters import rasterise

SIZES = [(70, 64), (64, 101), (90, 80)]


def split(whole: bool = True) -> LayoutSet:
    """Three images with 60 cells each, no two on one pixel; ``whole`` px or anywhere."""
    rng = np.random.default_rng(0)
    layouts = []
    for i, (height, width) in enumerate(SIZES):
        pixel = rng.choice(height * width, 60, replace=False)
        points = np.stack([pixel // width, pixel % width], 1) + (0 if whole else rng.uniform(0, 0.999, (60, 2)))
        labels = rng.integers(0, 3, 60).astype(np.uint8)
        layouts.append(Layout(points.astype(np.float32), labels, (height, width), f"i{i}"))
    return LayoutSet.build(layouts, ("a", "b", "c"), 0.5, {"patient": np.array([7, 8, 9])})


def draw(n: int, seed: int = 0, region: int = 48, **options: object) -> CropBatch:
    return CropSampler(split(), region, **options).sample(n, torch.Generator().manual_seed(seed))  # type: ignore[arg-type]


def dot_maps(cells: LayoutSet) -> list[torch.Tensor]:
    """One map (C, H, W) uint8 per image with 1 at each cell."""
    maps = []
    for layout in cells:
        one = torch.zeros(3, *layout.size, dtype=torch.uint8)
        for (y, x), k in zip(layout.points.astype(int), layout.labels, strict=True):
            one[int(k), y, x] = 1
        maps.append(one)
    return maps


def test_points_flip_as_images_do() -> None:
    batch = draw(40)
    drawn = torch.zeros(40, 3, 48, 48, dtype=torch.uint8)
    y, x = batch.points.long().T
    drawn[batch.index, batch.labels, y, x] = 1
    assert batch.flip.any(0).all() and not batch.flip.all(0).any()
    assert torch.equal(drawn, cut_maps(dot_maps(split()), batch))


def test_points_flip_as_coarse_maps_do() -> None:
    cells, grid = split(), Grid(48, stride=4, marker=1)
    batch = draw(40, align=4)
    coarse = [torch.nn.functional.max_pool2d(one[None].float(), 4)[0] for one in dot_maps(cells)]
    drawn = rasterise(batch.points, batch.labels, batch.index, 40, 3, grid)
    assert torch.equal(drawn, cut_maps(coarse, batch, stride=4))
    assert (batch.corner % 4 == 0).all() and len(batch.corner.unique(dim=0)) > 10


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_cells_anywhere_flip_as_their_rasters_do(hard_points, stride: int) -> None:
    """Crops of one seed, with flips and without: the same maps, flipped exactly."""
    points = hard_points(100, 300, stride)
    layout = Layout(points, (np.arange(300) % 3).astype(np.uint8), (100, 100))
    cells, grid = LayoutSet.build([layout], ("a", "b", "c"), 0.5), Grid(64, stride, marker=1)
    maps = {}
    for flips in ("none", "both"):
        batch = CropSampler(cells, 64, flips=flips).sample(24, torch.Generator().manual_seed(stride))
        maps[flips] = rasterise(batch.points, batch.labels, batch.index, 24, 3, grid)
    for plain, found, flip in zip(maps["none"], maps["both"], batch.flip, strict=True):
        assert torch.equal(found, plain.flip([axis + 1 for axis in (0, 1) if flip[axis]]))
    assert len(batch.flip.unique(dim=0)) == 4


def test_counts_equal_brute_force_windows() -> None:
    cells, batch = split(), draw(30)
    expected = []
    for row, (y, x) in zip(batch.layout_index.tolist(), batch.corner.tolist(), strict=True):
        layout = cells.layout(row)
        inside = ((layout.points >= (y, x)) & (layout.points < (y + 48, x + 48))).all(1)
        expected.append(np.bincount(layout.labels[inside], minlength=3))
    assert batch.counts(3).dtype == torch.float32
    assert np.array_equal(batch.counts(3).numpy(), expected)


def test_images_and_corners_are_uniform() -> None:
    batch = draw(12_000, region=60)
    image = batch.layout_index.numpy()
    assert chisquare(np.bincount(image)).pvalue > 1e-3
    for row, size in enumerate(SIZES):
        corner = batch.corner.numpy()[image == row]
        places = np.array(size) - 60 + 1
        flat = np.ravel_multi_index(tuple(corner.T), tuple(places))
        assert chisquare(np.bincount(flat, minlength=places.prod())).pvalue > 1e-3
    assert chisquare(np.bincount(batch.flip.numpy() @ [1, 2])).pvalue > 1e-3


def test_a_dot_stays_inside_its_crop_wherever_it_lies() -> None:
    batch = CropSampler(split(whole=False), 48).sample(400, torch.Generator().manual_seed(2))
    assert batch.points.min() >= 0 and batch.points.max() < 48
    to_layouts(batch, split(whole=False))  # checks the same


def test_without_flips_points_are_only_shifted() -> None:
    cells, batch = split(), draw(20, flips="none")
    assert not batch.flip.any()
    back = batch.points + batch.corner[batch.index]
    known = {(i, *p, k) for i, p, k in zip(cells.index, map(tuple, cells.points), cells.labels, strict=True)}
    rows = batch.layout_index[batch.index].tolist()
    assert all((i, *p, k) in known for i, p, k in zip(rows, back.tolist(), batch.labels.tolist(), strict=True))


def test_flips_choose_the_mirrored_axes_and_draw_the_same_numbers() -> None:
    """Each crop takes five numbers: layout, corner (y, x), flip (y, x)."""
    numbers = torch.rand((50, 5), generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    y, x = (numbers[:, 3:] < 0.5).T
    both, horizontal, none = (draw(50, seed=4, flips=flips) for flips in ("both", "horizontal", "none"))
    assert y.any() and x.any() and (y != x).any()
    assert torch.equal(both.flip, torch.stack([y, x], dim=1)) and torch.equal(draw(50, seed=4).flip, both.flip)
    assert torch.equal(horizontal.flip, torch.stack([torch.zeros_like(y), x], dim=1))
    assert not none.flip.any()
    for batch in (horizontal, none):
        assert torch.equal(batch.corner, both.corner) and torch.equal(batch.layout_index, both.layout_index)


def test_a_seed_decides_the_crops() -> None:
    one, same, other = draw(9, seed=5), draw(9, seed=5), draw(9, seed=6)
    assert torch.equal(one.points, same.points) and torch.equal(one.corner, same.corner)
    assert torch.equal(one.flip, same.flip) and not torch.equal(one.corner, other.corner)


def test_crops_become_layouts_with_source_origin_and_columns() -> None:
    cells, batch = split(), draw(25, flips="none")
    layouts = to_layouts(batch, cells)
    assert np.array_equal(layouts.counts(), batch.counts(3).numpy())
    assert layouts.common_size() == (48, 48)
    assert layouts.source.tolist() == [f"i{row}" for row in batch.layout_index.tolist()]
    assert np.array_equal(layouts.origin, batch.corner.numpy())
    assert np.array_equal(layouts.columns["patient"], layouts.columns["image"] + 7)
    assert np.array_equal(layouts.points, batch.points.numpy())


def test_a_batch_without_cells_is_no_special_case() -> None:
    empty = LayoutSet.build([Layout(np.zeros((0, 2), np.float32), np.zeros(0, np.uint8), (50, 50), "e")], ("a",), 0.5)
    batch = CropSampler(empty, 50).sample(3, torch.Generator().manual_seed(0))
    assert batch.counts(1).tolist() == [[0], [0], [0]]
    assert len(to_layouts(batch, empty)) == 3


def test_small_images_are_an_error_or_left_out() -> None:
    with pytest.raises(CellscaperError, match=r"layout i0 is 70×64 px .* the 80×80 px region"):
        CropSampler(split(), 80)
    batch = CropSampler(split(), 80, small="skip").sample(10, torch.Generator().manual_seed(0))
    assert batch.layout_index.unique().tolist() == [2]  # rows count in the set given
    with pytest.raises(CellscaperError, match="none of the 3 layouts"):
        CropSampler(split(), 200, small="skip")


def test_misaligned_windows_and_foreign_maps_are_told() -> None:
    with pytest.raises(CellscaperError, match="does not fall on whole 4 px pixels"):
        cut_maps([torch.zeros(1, 30, 30)] * 3, draw(20), stride=4)
    with pytest.raises(CellscaperError, match="does not fall on whole 1 px pixels inside map"):
        cut_maps([torch.zeros(1, 40, 40)] * 3, draw(5))
    with pytest.raises(CellscaperError, match="multiple of the alignment 5 px"):
        CropSampler(split(), 48, align=5)
