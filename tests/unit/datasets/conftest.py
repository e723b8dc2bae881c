"""Folders as people have them: images with dark nuclei, and their cells, for the tests of `cellscaper check`."""

import contextlib
import io
import json
from collections import Counter
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import pytest
import yaml
from PIL import Image

from cellscaper import cli
from cellscaper.datasets import dots
from cellscaper.errors import CellscaperError
from cellscaper.run.settings import read

CLASSES = ("lymphocyte", "tumor")


@dataclass
class Result:
    """What a check said and wrote; ``fault`` is its error line, else the records that the workflow would read."""

    said: str
    fault: str = ""
    settings: dict = field(default_factory=dict)
    records: list = field(default_factory=list)

    @property
    def complaints(self):
        return [line for line in self.said.splitlines() if line.startswith(("!", "✗"))] + [self.fault] * bool(
            self.fault
        )

    @property
    def counts(self):
        names = self.settings["classes"]
        return dict(Counter(names[k] for one in self.records for k in one.labels.tolist()))

    @property
    def cells(self):
        return sum(len(one.labels) for one in self.records)

    @property
    def splits(self):
        return {one.image_id: one.split for one in self.records}

    def complains(self, *parts):
        """Whether one line of complaint has all these words."""
        return any(all(part in line for part in parts) for line in self.complaints)


class World:
    """Images of 168 × 196 px of 0.5 µm with cells on a jittered grid."""

    size = (168, 196)
    n = 6

    def points(self, i):
        rng = np.random.default_rng([5, i])
        axes = [np.arange(9, side - 8, 18.0) for side in self.size]
        grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
        return np.round(grid + rng.uniform(-2.5, 2.5, grid.shape), 2)

    def cells(self, i):
        """[(y, x, class), …] of image i."""
        rng = np.random.default_rng([6, i])
        return [(y, x, CLASSES[int((x < 100) ^ (rng.random() < 0.1))]) for y, x in self.points(i).tolist()]

    def image(self, i):
        return Image.fromarray(self._pixels(i))

    @staticmethod
    @cache
    def _pixels(i):
        self = World()
        rng = np.random.default_rng([7, i])
        pixels = np.full((*self.size, 3), (226, 180, 208), float) + rng.integers(-9, 9, (*self.size, 1))
        yy, xx = np.mgrid[: self.size[0], : self.size[1]]
        for y, x, kind in self.cells(i):
            pixels[(yy - y) ** 2 + (xx - x) ** 2 <= (5.4 if kind == "tumor" else 4.4) ** 2] = (90, 60, 130)
        return np.clip(pixels, 0, 255).astype(np.uint8)

    def save(self, folder, name="s_{:02d}.png", n=None, **more):
        folder.mkdir(parents=True, exist_ok=True)
        for i in range(n or self.n):
            path = folder / name.format(i)
            path.parent.mkdir(parents=True, exist_ok=True)
            self.image(i).save(path, **more)

    def table(self, path, i, head="y,x,class", row="{y},{x},{c}", cells=None):
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [row.format(y=y, x=x, c=c, j=j, k=j + 1) for j, (y, x, c) in enumerate(cells or self.cells(i))]
        path.write_text("\n".join(([head] if head else []) + lines) + "\n", encoding="utf-8")

    def plain(self, folder, **layout):
        """Images with a table each, side by side."""
        self.save(folder)
        for i in range(self.n):
            self.table(folder / f"s_{i:02d}.csv", i, **layout)
        return folder

    def geojson(self, folder, make, extra=()):
        """Images with a GeoJSON each; ``make(j, y, x, class)`` is a feature."""
        self.save(folder)
        for i in range(self.n):
            found = [make(j, y, x, c) for j, (y, x, c) in enumerate(self.cells(i))]
            data = {"type": "FeatureCollection", "features": [*extra, *found]}
            (folder / f"s_{i:02d}.geojson").write_text(json.dumps(data), encoding="utf-8")
        return folder

    def counts(self, keep=lambda j: True, n=None):
        found = [c for i in range(n or self.n) for j, (*_, c) in enumerate(self.cells(i)) if keep(j)]
        return dict(Counter(found))

    def total(self):
        return sum(self.counts().values())

    def check(self, folder, *more):
        """Check a folder, and read what was written as the workflow does."""
        out, target = io.StringIO(), folder.parent / f"{folder.name}.yaml"
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
                cli.call(["check", str(folder), "-o", str(target), *more])
        except CellscaperError as error:
            assert "\n" not in str(error) and not target.exists()
            return Result(out.getvalue(), str(error))
        block = yaml.safe_load(target.read_text(encoding="utf-8"))["datasets"]["mine"]
        block.pop("reader")
        settings = read(dots.Settings, block, "datasets mine")
        assert dots.files(settings, folder)
        return Result(out.getvalue(), "", block, list(dots.read(settings, folder)))

    def right(self, result):
        """Whether all cells were read, at their places and with their classes."""
        assert not result.fault, result.fault
        assert result.counts == self.counts(), (result.counts, result.said)
        first = sorted(result.records, key=lambda one: one.image_id)[0]
        found = sorted(first.points.tolist())
        np.testing.assert_allclose(found, sorted(self.points(0).tolist()), atol=0.02)
        return True


@pytest.fixture(scope="session")
def world():
    return World()


def square(x, y, r=5):
    return [[x - r, y - r], [x + r, y - r], [x + r, y + r], [x - r, y + r], [x - r, y - r]]


def outlined(x, y, r=5, **properties):
    """A feature with a square outline."""
    geometry = {"type": "Polygon", "coordinates": [square(x, y, r)]}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


@pytest.fixture(scope="session")
def feature():
    return outlined
