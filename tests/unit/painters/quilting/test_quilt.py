"""Quilted images: nuclei of the right class at the dots and none elsewhere, the same image whatever the batch."""

from functools import partial

import numpy as np
import pytest

from cellscaper.disk.storage import write_images, write_layouts
from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.painters import quilt
from cellscaper.painters.protocol import Request
from cellscaper.painters.quilting.library import densest

COLOURS = np.array([[200, 40, 40], [40, 200, 40], [40, 40, 200], [200, 200, 40], [40, 200, 200], [200, 40, 200]])
GROUND = 120


def scattered(rng, size, n, classes, apart=9.0):
    """Up to ``n`` cells with a minimum distance."""
    points: list = []
    for _ in range(20 * n):
        one = rng.uniform(0, np.array(size) - 0.01)
        if len(points) < n and all(np.hypot(*(one - other)) >= apart for other in points):
            points.append(one)
    found = np.array(points, np.float32).reshape(-1, 2)
    return Layout(found, rng.integers(0, classes, len(found)).astype(np.uint8), size)


def drawn(layout, rng):
    """An image with a disc of its class's colour, 7 px wide on each side, at every cell, on grey noise."""
    image = rng.integers(GROUND - 6, GROUND + 7, (*layout.size, 3)).astype(np.uint8)
    y, x = np.mgrid[: layout.size[0], : layout.size[1]]
    if len(layout):
        away = np.hypot(y[None] - layout.points[:, 0, None, None], x[None] - layout.points[:, 1, None, None])
        nearest = away.argmin(axis=0)
        inside = away.min(axis=0) <= 7
        image[inside] = COLOURS[layout.labels[nearest[inside]]]
    return image


@pytest.fixture(scope="session")
def tissue():
    """Make n images of ``classes`` classes: cells and pixels."""

    def make(n=3, classes=3, size=(160, 150), cells=90, seed=0):
        rng = np.random.default_rng(seed)
        layouts = [scattered(rng, size, cells, classes) for _ in range(n)]
        layouts = [Layout(one.points, one.labels, one.size, f"image{i}") for i, one in enumerate(layouts)]
        names = tuple("abcdef"[:classes])
        return LayoutSet.build(layouts, names, 0.5), [drawn(one, rng) for one in layouts]

    return make


SMALL = {"radius": 14, "free_radius": 16, "keep": 16, "step": 8}


def painter(cells, images, **settings):
    chosen = quilt.Settings(**{**SMALL, **settings})
    return partial(quilt.paint_one, chosen, quilt.library(chosen, cells, lambda i: images[i]))


def wanted(seed=5, size=(120, 110), cells=40, classes=3):
    return scattered(np.random.default_rng(seed), size, cells, classes)


def colour_of(pixels):
    """The class whose colour each pixel has, −1 for none."""
    apart = np.abs(pixels[..., None, :].astype(int) - COLOURS).sum(axis=-1)
    return np.where(apart.min(axis=-1) <= 60, apart.argmin(axis=-1), -1)


@pytest.mark.parametrize(("classes", "reuse"), [(3, 2.0), (3, 0.0), (6, 2.0)])
def test_the_core_of_a_cell_is_of_a_patch_of_its_class(tissue, classes, reuse):
    cells, images = tissue(classes=classes)
    layout = wanted(classes=classes)
    image = painter(cells, images, reuse=reuse)(layout, 3)
    assert image.shape == (*layout.size, 3) and image.dtype == np.uint8
    y, x = np.mgrid[: layout.size[0], : layout.size[1]]
    away = np.hypot(y[None] - layout.points[:, 0, None, None], x[None] - layout.points[:, 1, None, None])
    inside = away.min(axis=0) <= 3  # of the core of 6 px: the rest may be feathered, or 2 px beside the nucleus
    assert (colour_of(image)[inside] == layout.labels[away.argmin(axis=0)[inside]]).mean() > 0.99


def test_there_are_no_nuclei_where_the_layout_has_none(tissue):
    cells, images = tissue(n=4, cells=40)
    layout = wanted(cells=8)
    image = painter(cells, images)(layout, 1)
    y, x = np.mgrid[: layout.size[0], : layout.size[1]]
    away = np.hypot(y[None] - layout.points[:, 0, None, None], x[None] - layout.points[:, 1, None, None]).min(axis=0)
    assert (colour_of(image)[away > 12] >= 0).mean() < 0.01


def test_empty_layouts_are_tissue_without_cells(tissue):
    cells, images = tissue(n=4, cells=30)
    nothing = Layout(np.zeros((0, 2), np.float32), np.zeros(0, np.uint8), (90, 130))
    image = painter(cells, images)(nothing, 1)
    assert (colour_of(image) >= 0).mean() < 0.01
    assert abs(int(image.mean()) - 120) < 8  # every pixel is painted


@pytest.mark.parametrize("size", [(20, 33), (1, 70), (300, 60)])
def test_any_size(tissue, size):
    cells, images = tissue()
    image = painter(cells, images)(wanted(size=size, cells=max(size[0] * size[1] // 400, 1)), 2)
    assert image.shape == (*size, 3)
    assert (image.max(axis=-1) > 0).all()


def files(folder, cells, images):
    """The two files of a data set, with an image of the test split that is never to be used."""
    split = np.array(["train"] * (len(cells) - 1) + ["test"])
    write_layouts(folder / "cells.h5", cells.with_columns(split=split), {})
    with write_images(folder / "images.h5", {}) as out:
        for image in images:
            out.append(image)
    return {"cells": folder / "cells.h5", "images": folder / "images.h5"}


def test_the_same_seed_gives_the_same_image_whatever_the_batch(tissue, tmp_path):
    cells, images = tissue(n=4)
    images[3][:] = (1, 2, 3)  # the test image
    layouts = LayoutSet.build([wanted(seed) for seed in range(3)], cells.classes, 0.5)
    request = Request(layouts, [7, 8, 9], quilt.Settings(**SMALL), **files(tmp_path, cells, images))
    together = list(quilt.paint(request))
    alone = [next(quilt.paint(request.part(i, i + 1))) for i in (2, 0, 1)]
    assert all(np.array_equal(one, together[i]) for one, i in zip(alone, (2, 0, 1), strict=True))
    assert not any((image == (1, 2, 3)).all(axis=-1).any() for image in together)
    (other,) = quilt.paint(Request(layouts[:1], [8], request.settings, cells=request.cells, images=request.images))
    assert not np.array_equal(other, together[0])


def test_an_image_does_not_paint_the_layout_that_was_cut_from_it(tissue):
    cells, images = tissue(n=2)
    images[0] = images[0] // 2
    own = Layout(*(getattr(cells.layout(0), name) for name in ("points", "labels", "size")), "image0")
    assert painter(cells, images)(own, 1).mean() > 1.5 * images[0].mean()
    assert painter(cells[:1], images)(own, 1).mean() < 1.5 * images[0].mean()  # there is no other


def test_a_class_that_the_image_lacks_is_borrowed_in_its_stain(tissue):
    cells, images = tissue(n=2)
    first = cells.layout(0)
    only = Layout(first.points[first.labels == 0], first.labels[first.labels == 0], first.size, "image0")
    both = LayoutSet.build([only, cells.layout(1)], cells.classes, 0.5)
    images[0][(images[0] != COLOURS[0]).any(axis=-1)] = 120  # no nuclei of other classes
    layout = Layout(np.array([[60, 50], [60, 80]], np.float32), np.array([0, 1], np.uint8), (120, 110))
    made = quilt.library(quilt.Settings(**SMALL), both, lambda i: images[i])
    borrowed = made.of_class([0], 1, 8, "")
    assert [source.pixels is images[1] for source, _ in borrowed] == [False]
    image = quilt.paint_one(quilt.Settings(**SMALL, nearest=1), made, layout, 0)
    assert image.shape == (120, 110, 3)


def test_another_scale_has_larger_patches(tissue):
    cells, images = tissue()
    double = LayoutSet.build(list(cells), cells.classes, 0.25)
    assert quilt.library(quilt.Settings(**SMALL), double, lambda i: images[i]).cell.radius == 28


# -- bad input ---------------------------------------------------------------------------------------------------


def test_layouts_that_the_images_cannot_show_are_one_line(tissue):
    cells, images = tissue(n=2)
    made = quilt.library(quilt.Settings(**SMALL), cells, lambda i: images[i])

    def told(layouts):
        with pytest.raises(CellscaperError) as error:
            quilt.check(made, layouts)
        return str(error.value)

    layouts = LayoutSet.build([wanted()], cells.classes, 0.5)
    quilt.check(made, layouts)
    assert told(LayoutSet.build([wanted()], ("a", "b", "x"), 0.5)) == (
        "the layouts have the classes a, b, x, the training images a, b, c; give the same"
    )
    assert "0.25 µm a pixel, the training images 0.5" in told(LayoutSet.build([wanted()], cells.classes, 0.25))
    large = Layout(np.zeros((0, 2), np.float32), np.zeros(0, np.uint8), (4097, 10))
    assert "up to 4096 px a side" in told(LayoutSet.build([large], cells.classes, 0.5))
    without = [Layout(one.points[one.labels < 2], one.labels[one.labels < 2], one.size) for one in cells]
    made = quilt.library(quilt.Settings(**SMALL), LayoutSet.build(without, cells.classes, 0.5), lambda i: images[i])
    assert told(layouts).startswith("the layouts have cells of class c, and no training image shows one 14 px or more")


def test_images_smaller_than_a_patch_are_left_out_or_one_line(tissue, capfd):
    cells, images = tissue(n=2)
    sizes = LayoutSet.build([cells.layout(0), scattered(np.random.default_rng(0), (20, 90), 4, 3)], cells.classes, 0.5)
    quilt.library(quilt.Settings(**SMALL), sizes, lambda i: [images[0], images[0][:20, :90]][i])
    assert "left out: 1 of 2 images, smaller than a patch of 33×33 px" in capfd.readouterr().err
    with pytest.raises(CellscaperError, match="of 1 training image none holds a patch of 33×33 px .the largest is 90"):
        quilt.library(quilt.Settings(**SMALL), sizes[1:], lambda i: images[0][:20, :90])


def test_layouts_denser_than_any_source_are_told(tissue, capfd):
    cells, images = tissue(n=2, cells=20)
    made = quilt.library(quilt.Settings(**SMALL), cells, lambda i: images[i])
    dense = LayoutSet.build([wanted(cells=100), wanted(cells=1)], cells.classes, 0.5)
    quilt.check(made, dense)
    assert "1 of 2 layouts is denser than any training image" in capfd.readouterr().err


def test_the_densest_box():
    points = np.array([[5, 5], [6, 40], [40, 40], [90, 90]], np.float32)
    layout = Layout(points, np.zeros(4, np.uint8), (96, 96))
    assert densest(layout, 64) == 3 / 64**2
    assert densest(layout, 500) == 4 / 96**2


def test_the_files_of_the_data_set_are_needed(tissue):
    layouts = LayoutSet.build([wanted()], ("a", "b", "c"), 0.5)
    with pytest.raises(CellscaperError, match="give the files of cells and images"):
        next(quilt.paint(Request(layouts, [1], quilt.Settings())))
