"""All training images of a painter, few of them in memory, and the choice of those that an image is made of."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cellscaper.disk.formats.counted import are, counted
from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.metrics.frechet import frechet_distance
from cellscaper.painters.quilting.patch import Patch
from cellscaper.painters.quilting.sources import Image, Places, Source
from cellscaper.run.progress import Progress, log
from cellscaper.views.stain import Stain, stain, transfer

KEPT = 12  # sources in memory; of 500 × 500 px and three classes each has about 25 MB
SPARSE = 4  # px between the pixels whose stain is measured
BINS = 32  # px of the boxes that densities are counted in
Found = list[tuple[Source, Places]]


class Library:
    """Training images and their cells.

    cells      the cells of each image; ``open_image``: the pixels (H, W, 3) uint8 of image number i
    cell, free the shapes of patches around a cell and of patches without a cell in the middle
    step       px between the centres of the latter; ``clear``: px from their centres to any cell

    Reads every image once, for its stain. Images that hold no patch are left out, with a log line. CellscaperError if
    none remains.
    """

    def __init__(
        self,
        cells: LayoutSet,
        open_image: Callable[[int], Image],
        cell: Patch,
        free: Patch,
        step: int,
        clear: float,
    ):
        side = max(cell.side, free.side)
        large = np.flatnonzero((cells.size >= side).all(axis=1))
        if not len(large):
            raise CellscaperError(
                f"of {counted(len(cells), 'training images')} none holds a patch of {side}×{side} px (the largest "
                f"is {cells.size.max(initial=0)} px); give larger images or a smaller radius"
            )
        if len(large) < len(cells):
            log(
                f"left out: {len(cells) - len(large)} of {counted(len(cells), 'images')}, smaller than a patch of "
                f"{side}×{side} px"
            )
        self.cells, self._open = cells[large], lambda i: open_image(int(large[i]))
        self.cell, self.free = cell, free
        self._how = (cell, free, step, clear)
        self._density = self.cells.counts() / self.cells.size.prod(axis=1)[:, None]  # cells of each class a px²
        self._usable = self._usable_cells()
        self.stains: list[Stain] = []
        with Progress(len(self.cells), "training images", quiet=len(self.cells) < 200) as progress:
            for i in range(len(self.cells)):
                self.stains.append(stain([self._open(i)[::SPARSE, ::SPARSE]]))
                progress.update()
        self.source = lru_cache(KEPT)(self._source)
        self.borrowed = lru_cache(KEPT)(self._borrowed)

    def _usable_cells(self) -> NDArray[np.int64]:
        """(L, C) cells whose patch lies inside their image."""
        radius, size = self.cell.radius, self.cells.size[self.cells.index]
        inside = ((self.cells.points >= radius) & (self.cells.points < size - radius - 1)).all(axis=1)
        found = np.zeros((len(self.cells), self.cells.n_classes), np.int64)
        np.add.at(found, (self.cells.index[inside], self.cells.labels[inside]), 1)
        return found

    def _source(self, i: int) -> Source:
        return Source(self._open(i), self.cells.layout(i), *self._how)

    def _borrowed(self, i: int, like: int) -> Source:
        own = self.source(i)
        return own.recoloured(transfer(own.pixels, self.stains[i], self.stains[like]))

    # -- choice --------------------------------------------------------------------------------------------------

    def check(self, layouts: LayoutSet) -> None:
        """CellscaperError if layouts have other classes or µm a pixel, or cells of a class that no source shows.

        A log line if some are denser than any training image.
        """
        if layouts.classes != self.cells.classes:
            own, theirs = ", ".join(self.cells.classes), ", ".join(layouts.classes)
            raise CellscaperError(f"the layouts have the classes {theirs}, the training images {own}; give the same")
        if not 0.98 < layouts.mpp / self.cells.mpp < 1.02:
            raise CellscaperError(
                f"the layouts have {layouts.mpp:g} µm a pixel, the training images {self.cells.mpp:g}; bring them to "
                "one scale"
            )
        lacking = (layouts.counts().sum(axis=0) > 0) & (self._usable.sum(axis=0) == 0)
        if lacking.any():
            names = ", ".join(name for name, none in zip(layouts.classes, lacking, strict=True) if none)
            raise CellscaperError(
                f"the layouts have cells of class {names}, and no training image shows one {self.cell.radius} px or "
                "more from its border; leave the class out of the layouts or give images with it"
            )
        self._report_dense(layouts)

    def _report_dense(self, layouts: LayoutSet) -> None:
        """A log line if layouts have more cells a px² than any box of the training images of their size."""
        if not len(layouts):
            return
        own = np.diff(layouts.offsets) / layouts.size.prod(axis=1)
        most = max(densest(one, int(layouts.size.min())) for one in self.cells)
        if (own > most).any():
            per_mm2 = 1e6 / layouts.mpp**2
            many = int((own > most).sum())
            log(
                f"{many} of {counted(len(layouts), 'layouts')} {are(many)} denser than any training image "
                f"({own.max() * per_mm2:.0f} against {most * per_mm2:.0f} cells per mm²): nuclei will be cut there"
            )

    def choose(self, layout: Layout, nearest: int, number: int, rng: np.random.Generator, own: bool) -> list[int]:
        """``number`` different images for a layout, at random among the ``nearest`` of its class mix and density.

        The first gives the stain. ``own``: whether the image that the layout was cut from may be among them; it is if
        there is no other.
        """
        counts = np.bincount(layout.labels, minlength=self.cells.n_classes) / (layout.size[0] * layout.size[1])
        apart = np.abs(np.sqrt(self._density) - np.sqrt(counts)).sum(axis=1)
        if not own and layout.source:
            others = self.cells.source != layout.source
            apart = np.where(others, apart, np.inf) if others.any() else apart
        order = np.argsort(apart, kind="stable")[: max(nearest, number)]
        order = order[np.isfinite(apart[order])]
        return rng.permutation(order)[:number].tolist()

    def of_class(self, images: list[int], label: int, least: int, barred: str) -> Found:
        """Patches around cells of a class: of the chosen images, and of others until there are ``least``.

        Others come in the order of their stain's distance to the first, and take its stain. ``barred``: the source
        whose image is taken only if there is no other.
        """
        first = images[0]
        chosen = [i for i in images if self._usable[i, label]]
        number = int(self._usable[chosen, label].sum())
        if number < least:
            others = [i for i in self._by_stain(first) if i not in images and self._usable[i, label]]
            others.sort(key=lambda i: bool(barred) and self.cells.source[i] == barred)
            for i in others:
                if number >= least or (number and barred and self.cells.source[i] == barred):
                    break
                chosen.append(i)
                number += int(self._usable[i, label])
        sources = [self.source(i) if i == first else self.borrowed(i, first) for i in chosen]
        return [(one, one.of_class[label]) for one in sources if label in one.of_class]

    def without_cell(self, images: list[int]) -> Found:
        """Patches of the chosen images without a cell in the middle."""
        first = images[0]
        sources = [self.source(i) if i == first else self.borrowed(i, first) for i in images]
        return [(one, one.free) for one in sources if len(one.free.centres)]

    @lru_cache(256)  # noqa: B019 (as long as the library)
    def _by_stain(self, like: int) -> tuple[int, ...]:
        """All images from the nearest in stain; those without tissue last."""
        wanted = self.stains[like]

        def apart(i: int) -> float:
            one = self.stains[i]
            if np.isnan(one.mean).any() or np.isnan(wanted.mean).any():
                return np.inf
            return frechet_distance(one.mean, one.cov, wanted.mean, wanted.cov)

        return tuple(sorted(range(len(self.cells)), key=lambda i: (apart(i), i)))


def densest(layout: Layout, side: int) -> float:
    """The most cells a px² in a box of about ``side`` px, or in the whole layout if it is smaller."""
    bins = np.ceil(np.array(layout.size) / BINS).astype(int)
    rows = (layout.points // BINS).astype(int)
    counts = np.zeros(bins + 1, np.int64)
    np.add.at(counts, (rows[:, 0] + 1, rows[:, 1] + 1), 1)
    below = counts.cumsum(axis=0).cumsum(axis=1)
    n = np.minimum(max(side // BINS, 1), bins)
    inside = below[n[0] :, n[1] :] - below[: -n[0], n[1] :] - below[n[0] :, : -n[1]] + below[: -n[0], : -n[1]]
    area = min(int(n[0]) * BINS, layout.size[0]) * min(int(n[1]) * BINS, layout.size[1])
    return float(inside.max()) / area
