"""Quilting: an image is put together from patches of real training images around the cells of the layout. No training.

Graph-cut textures (Kwatra et al., SIGGRAPH 2003) with cells. A cell takes a patch around a training cell of its class
whose neighbours lie alike, in one of eight symmetries. What is left takes patches without a cell in the middle. Where
an old and a new patch overlap, a minimum cut decides. The pixels are copies of training images: they are for the
training of one's own detectors and are no synthetic data to be shared.
"""

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cellscaper.disk.storage import ImageSet, read_layouts
from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.painters.protocol import Request
from cellscaper.painters.quilting.cells import Limits
from cellscaper.painters.quilting.library import Library
from cellscaper.painters.quilting.patch import Patch
from cellscaper.painters.quilting.quilt import Choice, Quilt, Sources
from cellscaper.run.settings import Count, Positive
from cellscaper.run.settings import Settings as Base

LARGEST = 4096  # px: side of a layout
MPP = 0.5  # µm a pixel of the lengths below


class Settings(Base):
    """Patches, their choice, and the images that they come from. Lengths are px at 20×; at another scale they grow."""

    radius: Count = Field(24, ge=8, description="px: half the side of a patch around a cell")
    free_radius: Count = Field(32, ge=8, description="px: half the side of a patch without a cell in the middle")
    core: Positive = Field(6.0, description="px around a cell that a patch of its class paints")
    reach: Positive = Field(14.0, description="px at which a cell stops to count as a neighbour of a place")
    ghost: Positive = Field(8.0, description="px around cells of the source that the layout lacks: never taken")
    match: Positive = Field(4.0, description="px within which a cell of the source is one of the layout")
    reuse: float = Field(
        2.0, ge=0, description="px within which a cell beside the patch's own needs no patch of its own; 0: all do"
    )
    step: Count = Field(12, description="px between the places of patches without a cell in the middle")
    keep: Count = Field(48, description="patches of nearest neighbourhood whose pixels are compared")
    overlap: float = Field(8.0, ge=0, description="weight of the pixels' difference against that of the neighbourhoods")
    top: Count = Field(3, description="best patches among which one is taken at random")
    gradient: Positive = Field(
        0.1, description="share of the grey range at which a local gradient halves the cost of a seam"
    )
    nearest: Count = Field(6, description="images nearest in class mix and density, of which an image is made")
    area: Positive = Field(262144.0, description="px² for each image that an image is made of")
    least: Count = Field(8, description="cells of a class below which its patches are borrowed from more images")
    own: bool = Field(False, description="whether the image that a layout was cut from may paint it")
    batch: Count = Field(8, description="a killed job repeats eight times as many images at most")


def paint(request: Request) -> Iterator[NDArray[np.uint8]]:
    """See `painters.protocol.Painter`; CellscaperError for layouts that the training images cannot show."""
    if request.cells is None or request.images is None:
        raise CellscaperError("quilt paints with training images: give the files of cells and images")
    cells = read_layouts(request.cells)
    rows = np.flatnonzero(cells.columns["split"] == "train")
    with ImageSet(request.images) as images:
        if not np.array_equal(images.shape[:, :2], cells.size):
            raise CellscaperError(
                f"{request.images} and {request.cells} do not hold the same images; run read_cells again"
            )
        made = library(request.settings, cells[rows], lambda i: images[int(rows[i])])
        check(made, request.layouts)
        draw = partial(paint_one, request.settings, made)
        yield from map(draw, request.layouts, request.seeds)


def library(settings: Settings, cells: LayoutSet, open_image) -> Library:  # type: ignore[no-untyped-def]
    """The training images ``open_image(i)`` of the ``cells``, ready to be cut into patches."""
    if settings.core > min(settings.radius, settings.free_radius):
        raise CellscaperError(
            f"painters quilt: core {settings.core:g} px is larger than a patch's radius; give a smaller core"
        )
    px = MPP / cells.mpp
    reach, classes = settings.reach * px, cells.n_classes
    cell, free = (Patch(round(radius * px), reach, classes) for radius in (settings.radius, settings.free_radius))
    return Library(cells, open_image, cell, free, round(settings.step * px) or 1, settings.ghost * px)


def check(made: Library, layouts: LayoutSet) -> None:
    """CellscaperError for layouts that the training images cannot show, and for sides beyond LARGEST px."""
    made.check(layouts)
    if layouts.size.max(initial=0) > LARGEST:
        height, width = layouts.size[int(layouts.size.max(axis=1).argmax())].tolist()
        raise CellscaperError(f"a layout has {height}×{width} px, quilt paints up to {LARGEST} px a side; cut it")


def paint_one(settings: Settings, made: Library, layout: Layout, seed: int) -> NDArray[np.uint8]:
    """The image (H, W, 3) of one layout, determined by its seed."""
    px = MPP / made.cells.mpp
    quilt = Quilt(
        layout,
        made,
        settings.core * px,
        Limits(settings.ghost * px, settings.match * px, settings.reuse * px),
        Choice(settings.keep, settings.overlap, settings.top, settings.gradient),
        Sources(settings.nearest, settings.area * px**2, settings.least, settings.own),
        np.random.default_rng(seed),
    )
    return quilt.paint()
