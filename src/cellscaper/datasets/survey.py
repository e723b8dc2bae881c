"""A folder of images and dots, read as the workflow will read it: its contents, its faults, and its configuration."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from cellscaper.datasets import discovery, dots, inspection
from cellscaper.datasets.inspection import Cells
from cellscaper.datasets.reading import read_folder
from cellscaper.datasets.record import SPLITS
from cellscaper.errors import CellscaperError

LEAST = 20  # fewest test windows with which layouts can be scored
FEWEST = 200  # test windows: two halves of at least 100, which TopoFD needs
RARE, SHIFTED = 0.01, 1.5  # share of a class; factor between splits
PRESETS = {256: "workflow/presets/brca-small.yaml", 128: "workflow/presets/demo.yaml"}  # by region, px


@dataclass(frozen=True)
class Survey:
    """lines to print, faults that keep the workflow from running, the overlay as YAML, the preset that it changes."""

    lines: list[str]
    faults: list[str]
    overlay: str
    preset: str

    def command(self, output: Path) -> str:
        """The command that runs the workflow on this folder."""
        profile = "--workflow-profile workflow/profiles/local --cores 2"
        return f".venv/bin/snakemake {profile} --configfile {self.preset} {output}"


def survey(
    folder: Path,
    name: str,
    mpp: float | None,
    columns: dict[str, str] | list[str] | None,
    classes: dict[str, str | None] | None,
) -> Survey:
    """Read a folder and describe it. ``mpp``, ``columns`` and ``classes`` are guessed where None.

    CellscaperError for an invalid name and for files that cannot be read at all.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise CellscaperError(f"--name {name!r}: expected small letters, digits and _, a letter first")
    one = read_folder(folder, mpp, columns, classes)
    names, factor = list(one.settings.classes), dots.MPP / one.mpp if one.settings.rescale else 1.0
    text = _Text(one.found, one.columns, one.images, names, factor, one.mpp, one.mpp_how, one.split_how)
    region = text.region()
    overlay = _overlay(name, one.settings, region, text)
    return Survey(text.lines(), text.faults, overlay, PRESETS[region])


class _Text:
    """The text about a folder; warnings begin with '!'. ``faults`` keep the workflow from running."""

    def __init__(
        self,
        found: discovery.Found,
        columns: str,
        images: list[Cells],
        classes: list[str],
        factor: float,
        mpp: float,
        scale: str,
        split: str,
    ):
        self.found, self.columns, self.images, self.classes = found, columns, images, classes
        self.factor, self.mpp, self.scale, self.split = factor, mpp, scale, split
        self.parts = {name: [one for one in images if one.split == name] for name in SPLITS}
        self.faults: list[str] = []
        self._check()

    def _check(self) -> None:
        outside = [(one.name, int(one.outside.sum())) for one in self.images if one.outside.any()]
        if outside:
            total = sum(number for _, number in outside)
            self.faults.append(
                f"{total} dots lie outside their images, first in {outside[0][0]}: correct them or the order of y and x"
            )
        if self.found.without:
            self.faults.append(f"{len(self.found.without)} images have no dot file, first {self.found.without[0].name}")
        for name in SPLITS:
            if not self.parts[name]:
                self.faults.append(f"no image is in split {name}: add images or change the split")
        number = self.windows(self.region(), 4)
        if self.parts["test"] and number < LEAST:
            self.faults.append(
                f"the test images hold {number} windows of {self.region()} px at 20×, at least {LEAST} are needed: add "
                "test images or larger ones"
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
            f"images     {len(self.images)} ({self.found.images}), {sides.min()} to {sides.max()} px a side",
            f"dots       {int(whole.sum())} ({self.found.dots}); columns: {self.columns}",
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
        found = []
        if doubles:
            found.append(
                f"{doubles} cells lie within {inspection.DOUBLE:g} px (at 20×) of another of their class: doubles?"
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
        if self.small():
            found.append(f"{self.small()} images are smaller than {self.region()} px at 20× and are left out of crops")
        number = self.windows(self.region(), self.stride())
        if number < FEWEST:
            found.append(f"{number} test windows, fewer than {FEWEST}: the configuration gives metrics fewer samples")
        return found


def _overlay(name: str, settings: dots.Settings, region: int, text: _Text) -> str:
    """The overlay: the dataset, its tables, and the settings for its sizes."""
    small = "skip" if text.small() else "error"
    number = text.windows(region, text.stride())
    dataset = {
        "reader": "dots",
        **settings.model_dump(mode="json", exclude_defaults=True),
        "split": settings.split.model_dump(),
    }
    features: dict[str, dict[str, object]] = {"tc": {"small": small}, "tc_released": {"small": small}}
    overlay: dict[str, object] = {
        "datasets": {name: dataset},
        "run": {"datasets": [name], "tables": ["tc_table1", "tc_table1_released", "tc_table2"]},
        "fields": {"w256": {"windows": {"stride": text.stride()}, "small": small}},
        "features": features,
        "painters": {"tc": {"small": small}},
    }
    if number < FEWEST:  # metrics refuse fewer layouts a side than samples or features
        half = number // 2
        overlay["metrics"] = {"topofd": {"samples": half}, "mmd": {"layouts": half}, "copies": {"layouts": half}}
        features["tc"]["width"] = min(16, half // 2)
        features["tc_released"]["width"] = min(32, (half - 1) // 8 * 8)
    head = (
        f"# Written by `cellscaper check`. Lay it over a preset: --configfile {PRESETS[region]} this.yaml\n"
        f"# {settings.mpp:g} µm a pixel, {text.scale}.\n# The order of classes is the channel order everywhere.\n"
    )
    return head + yaml.safe_dump(overlay, sort_keys=False, allow_unicode=True, width=110, default_flow_style=None)
