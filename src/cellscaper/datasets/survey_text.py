"""The text of `cellscaper check` about a folder: counts, scale, splits, faults and warnings."""

from collections.abc import Sequence

import numpy as np

from cellscaper.datasets import dots, inspection
from cellscaper.datasets.inspection import Cells
from cellscaper.datasets.record import SPLITS
from cellscaper.disk.formats.counted import are, counted, counted_are

LEAST = 20  # fewest test windows with which layouts can be scored
FEWEST = 200  # test windows: two halves of at least 100, which TopoFD needs
RARE, SHIFTED = 0.01, 1.5  # share of a class; factor between splits


class Report:
    """The text about a folder; warnings begin with '!'. ``faults`` keep the workflow from running.

    ``images`` are the cells of each image, ``factor`` px of the files are one at 20×; ``said`` and ``faults`` are
    sentences about the reading.
    """

    def __init__(
        self,
        settings: dots.Settings,
        columns: str,
        images: list[Cells],
        factor: float,
        scale: str,
        split: str,
        said: Sequence[str],
        faults: Sequence[str],
    ):
        self.settings, self.columns, self.images, self.classes = settings, columns, images, settings.classes
        self.factor, self.mpp, self.scale, self.split = factor, settings.mpp, scale, split
        self.parts = {name: [one for one in images if one.split == name] for name in SPLITS}
        self.said, self.faults = list(said), list(faults)
        self._check()

    def _check(self) -> None:
        known = any(one.split for one in self.images)
        for name in SPLITS:
            if known and not self.parts[name]:
                self.faults.append(f"no image is in split {name}: add images or change the split")
        number = self.windows(self.region(), 4)
        if self.parts["test"] and number < LEAST:
            self.faults.append(
                f"the test images hold {counted(number, 'windows')} of {self.region()} px at 20×, at least {LEAST} "
                "are needed: add test images or larger ones"
            )

    def region(self) -> int:
        """The region that fits in most images at 20×: 256 px, or 128."""
        held = [min(one.size) / self.factor >= 256 for one in self.images]
        return 256 if held and np.mean(held) >= 0.5 else 128

    def small(self) -> int:
        """Number of images that are smaller than the region."""
        return sum(round(min(one.size) / self.factor) < self.region() for one in self.images)

    def windows(self, region: int, stride: int) -> int:
        return inspection.windows(self.parts["test"], self.factor, region, stride)

    def stride(self) -> int:
        """The largest stride that gives FEWEST test windows, else the smallest stride."""
        usual = (32, 16, 8, 4)
        return next((one for one in usual if self.windows(self.region(), one) >= FEWEST), usual[-1])

    def lines(self) -> list[str]:
        whole = inspection.counts(self.images, len(self.classes))
        sides = np.array([one.size for one in self.images])
        doubles = inspection.doubles(self.images, self.factor)
        lines = [
            f"images     {len(self.images)} ({_joined(self.settings.images)}), "
            f"{sides.min()} to {sides.max()} px a side",
            f"dots       {int(whole.sum())} ({_joined(self.settings.dots)}); columns: {self.columns}",
            f"scale      {self.mpp:g} µm a pixel, {self.scale}"
            + (f"; will be rescaled to {dots.MPP} (×{1 / self.factor:.3g})" if self.factor != 1 else ""),
            f"density    {inspection.per_window(self.images, self.factor):.1f} cells on {inspection.WINDOW}×"
            f"{inspection.WINDOW} px at 20×",
            f"splits     {self.split}",
            "",
            self._row("split", ["images", *self.classes, "all", "a window"]),
        ]
        for name, part in [*self.parts.items(), ("all", self.images)]:
            counted = inspection.counts(part, len(self.classes))
            density = f"{inspection.per_window(part, self.factor):.1f}" if part else "–"
            lines.append(self._row(name, [str(len(part)), *map(str, counted), str(counted.sum()), density]))
        lines += ["", *(f"✗ {fault}" for fault in self.faults), *(f"! {one}" for one in self._warnings(doubles))]
        return lines if lines[-1] else lines[:-1]

    def _row(self, first: str, cells: list[str]) -> str:
        widths = [max(8, len(one)) for one in ("images", *self.classes, "all", "a window")]
        return f"{first:10} " + " ".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))

    def _warnings(self, doubles: int) -> list[str]:
        found = list(self.said)
        if doubles:
            found.append(
                f"{counted(doubles, 'cells')} {'lies' if doubles == 1 else 'lie'} within {inspection.DOUBLE:g} px (at "
                f"20×) of another of {'its' if doubles == 1 else 'their'} class: doubles?"
            )
        whole = inspection.shares(inspection.counts(self.images, len(self.classes)))
        for name, share in zip(self.classes, whole, strict=True):
            if share < RARE:
                found.append(f"class {name} is {share:.2%} of the cells: its numbers will be noise")
        if min(len(self.parts[name]) for name in SPLITS) and len(self.images):
            dense = {name: inspection.per_window(part, self.factor) for name, part in self.parts.items()}
            low, high = min(dense.values()), max(dense.values())
            if low == 0 or high / low > SHIFTED:
                text = ", ".join(f"{name} {value:.1f}" for name, value in dense.items())
                found.append(f"the splits differ in density (cells a window: {text}): read scores beside the floor")
            train, test = (
                inspection.shares(inspection.counts(self.parts[name], len(self.classes))) for name in ("train", "test")
            )
            for name, one, other in zip(self.classes, train, test, strict=True):
                if max(one, other) > 0.05 and max(one, other) > SHIFTED * min(one, other):
                    found.append(f"class {name} is {one:.0%} of the training cells and {other:.0%} of the test cells")
        if small := self.small():
            found.append(
                f"{counted_are(small, 'images')} smaller than {self.region()} px at 20× and {are(small)} left out of "
                "crops"
            )
        number = self.windows(self.region(), self.stride())
        if self.parts["test"] and number < FEWEST:
            found.append(
                f"{counted(number, 'test windows')}, fewer than {FEWEST}: the configuration gives metrics fewer samples"
            )
        return found


def _joined(patterns: str | Sequence[str]) -> str:
    """One pattern, or the first of several and their number."""
    listed = [patterns] if isinstance(patterns, str) else list(patterns)
    return ", ".join(listed) if len(listed) <= 4 else f"{', '.join(listed[:3])} and {len(listed) - 3} more"
