"""Cells of large images: tiles give what one pass gives, and a cell at a border is found once."""

import numpy as np
import pytest
import torch
from torch import nn

from cellscaper.detectors import decoupled, mcspatnet, unet
from cellscaper.detectors.packaged import load
from cellscaper.detectors.peaks import image_maps
from cellscaper.detectors.symmetries import over_symmetries
from cellscaper.detectors.whole_image import MARGIN, cells_of_image, number_of_tiles, parts
from cellscaper.metrics.detection import match

SETTINGS = decoupled.Settings(smooth=0.3)
TILE, OVERLAP = 256, 144  # of small images; strips of 112 px


def as_seen(image: torch.Tensor) -> torch.Tensor:
    """Maps that need no network: red on 0…1 is a centre, green the first class, blue the second."""
    return image / 2 + 0.5


def dotted(size, points, labels):
    """An image whose only bright pixels are the cells."""
    image = np.zeros((*size, 3), np.uint8)
    for (y, x), label in zip(points, labels, strict=True):
        image[y, x] = 255, 255 * (label == 0), 255 * (label == 1)
    return image


def read(maps):
    return decoupled.cells(40 * maps, SETTINGS)  # so high that the Gaussian leaves peaks above the threshold


def sorted_cells(points, labels):
    order = np.lexsort(points.T)
    return points[order], labels[order]


@pytest.mark.parametrize("length", [1, 144, 255, 256, 257, 368, 369, 1000])
def test_parts_cover_an_axis_once_and_see_half_the_overlap_beyond(length):
    found = parts(length, TILE, OVERLAP)
    assert [i for one in found for i in range(one.own.start, one.own.stop)] == list(range(length))
    for one in found:
        assert one.seen.stop - one.seen.start <= TILE
        assert one.seen.start % (TILE - OVERLAP) == 0
        assert one.own.start - one.seen.start >= (OVERLAP // 2 if one.seen.start else 0)
        assert one.seen.stop - one.own.stop >= (OVERLAP // 2 if one.seen.stop < length else 0)


@pytest.mark.parametrize("size", [(300, 900), (900, 300), (700, 700), (369, 257), (100, 100)])
def test_every_cell_is_found_once_at_borders_too(size):
    """Cells on all lines where parts meet, in both directions and where two lines cross."""
    rng = np.random.default_rng(0)
    lines = [sorted({i for one in parts(n, TILE, OVERLAP) for i in (one.own.start, one.own.stop - 1)}) for n in size]
    near = [[p for line in one for p in (line, line + 7) if p < n] for one, n in zip(lines, size, strict=True)]
    points = {(y, x) for y in near[0] for x in near[1]}
    points |= {tuple(p) for p in rng.integers(0, size, (200, 2)).tolist()}
    kept = []
    for p in sorted(points):
        if all(np.hypot(p[0] - q[0], p[1] - q[1]) > 6 for q in kept):
            kept.append(p)
    labels = rng.integers(0, 2, len(kept))
    image, seen = dotted(size, kept, labels), []
    found = cells_of_image(as_seen, read, image, advance=seen.append, tile=TILE, overlap=OVERLAP)
    wanted = sorted_cells(np.array(kept, np.float32), labels)
    assert all(np.array_equal(a, b) for a, b in zip(sorted_cells(*found), wanted, strict=True))
    assert sum(seen) == number_of_tiles(size, TILE, OVERLAP) > (0 if size == (100, 100) else 1)


def test_two_pixels_of_equal_height_across_a_border_are_one_cell_between_them():
    border = parts(700, TILE, OVERLAP)[0].own.stop
    image = dotted((700, 100), [(border - 1, 50), (border, 50)], [0, 0])
    points, _ = cells_of_image(as_seen, read, image, tile=TILE, overlap=OVERLAP)
    assert points.tolist() == [[border - 0.5, 50]]


def without_norm(model: nn.Module) -> nn.Module:
    """The network without the layers whose statistics are of the whole input."""
    for name, child in model.named_children():
        if isinstance(child, nn.GroupNorm):
            setattr(model, name, nn.Identity())
        else:
            without_norm(child)
    return model


DETECTORS = {
    "decoupled": (decoupled, decoupled.Settings(width=4, depth=2, threshold=0.0)),
    "unet": (unet, unet.Settings(width=4, depth=2, min_area=2)),
    "mcspatnet": (mcspatnet, mcspatnet.Settings(width=0.05, norm="group", init="he", min_area=2)),
}


def with_small_regions(module, maps, image):
    """The maps, changed so that what an untrained network takes for cells covers 2 % of the image, in small regions."""
    whole = torch.from_numpy(image_maps(maps, image, tile=1024))
    if module is unet:
        lower = (whole[1:].amax(0) - whole[0]).flatten().quantile(0.98)
        return lambda x: torch.cat([maps(x)[:, :1] + lower, maps(x)[:, 1:]], 1)
    if module is mcspatnet:
        lower = whole[0].flatten().quantile(0.98) - mcspatnet.THRESHOLD
        return lambda x: torch.cat([maps(x)[:, :1] - lower, maps(x)[:, 1:]], 1)
    return maps


@pytest.mark.slow
@pytest.mark.parametrize("name", DETECTORS)
def test_tiles_give_the_cells_of_one_pass_where_nothing_is_taken_over_the_whole_input(name):
    module, settings = DETECTORS[name]
    torch.manual_seed(0)
    model = without_norm(module.build(settings, 3)).eval()
    image = np.random.default_rng(1).integers(0, 256, (600, 420, 3)).astype(np.uint8)

    maps = with_small_regions(module, lambda x: module.maps(model, x), image)

    def cells(probability):
        return module.cells(probability, settings)

    whole = sorted_cells(*cells(image_maps(maps, image, tile=1024)))
    tiled = sorted_cells(*cells_of_image(maps, cells, image, tile=512, overlap=320))
    assert len(whole[0]) > 20
    pairs = match(whole[0], tiled[0], 0.01)
    assert len(pairs) == len(whole[0]) == len(tiled[0])
    assert np.array_equal(whole[1][pairs[:, 0]], tiled[1][pairs[:, 1]])


@pytest.mark.slow
def test_a_trained_detector_finds_nearly_the_same_cells_in_tiles(trained, scenes):
    """Group normalisation sees a tile: at most 2 cells in 100 differ, the others move by less than half a px."""
    one = load(trained)
    (image,), layouts = scenes(range(7, 8), size=(400, 380), cells=200)
    layout = layouts.layout(0)
    maps = one.on(torch.device("cpu"))
    whole = one.read_cells(image_maps(maps, image, tile=1024))
    tiled = cells_of_image(maps, one.read_cells, image, tile=256, overlap=160)
    pairs = match(whole[0], tiled[0], 0.5)
    assert len(pairs) >= 0.98 * max(len(whole[0]), len(tiled[0]))
    assert (whole[1][pairs[:, 0]] == tiled[1][pairs[:, 1]]).mean() > 0.98
    assert len(match(layout.points, tiled[0], 6)) > 0.9 * len(layout)
    alone = cells_of_image(maps, one.read_cells, image)
    assert all(np.array_equal(a, b) for a, b in zip(alone, whole, strict=True))  # one tile is one pass


@torch.inference_mode()
@pytest.mark.parametrize("name", DETECTORS)
def test_means_over_symmetries_turn_and_flip_with_the_image(name):
    module, settings = DETECTORS[name]
    torch.manual_seed(0)
    model, image = module.build(settings, 2).eval(), torch.rand(1, 3, 32, 48) * 2 - 1
    maps = over_symmetries(module.maps)
    whole = maps(model, image)
    for change in (lambda x: x.flip(-1), lambda x: torch.rot90(x, 1, (-2, -1)), lambda x: x.mT):
        assert torch.allclose(maps(model, change(image)), change(whole), atol=1e-5)
    views = [lambda x, k=k, f=f: torch.rot90(x.flip(-1) if f else x, k, (-2, -1)) for k in range(4) for f in (0, 1)]
    back = [lambda x, k=k, f=f: (lambda y: y.flip(-1) if f else y)(torch.rot90(x, -k, (-2, -1)))
            for k in range(4) for f in (0, 1)]  # fmt: skip
    mean = sum(b(module.maps(model, v(image))) for v, b in zip(views, back, strict=True)) / 8
    assert torch.allclose(whole, mean, atol=1e-5)


def test_the_margin_exceeds_what_reading_cells_looks_at():
    settings = decoupled.Settings()
    assert 2 * (4 * settings.smooth + settings.gap) < MARGIN
