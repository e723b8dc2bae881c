"""The real BRCA-M2C as read: counts, sizes, distances (docs/methods.md, section 1.1), and the checksums."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import cKDTree

from cellscaper.datasets import brca_m2c
from cellscaper.datasets.record import Record
from cellscaper.disk.files import checksum


@pytest.fixture(scope="module")
def records(brca_m2c_path: Path) -> list[Record]:
    return list(brca_m2c.read(brca_m2c.Settings(), brca_m2c_path))


@pytest.mark.parametrize(
    ("split", "images", "cells"),
    [("train", 80, [3541, 9956, 5150]), ("val", 10, [1358, 733, 1042]), ("test", 30, [960, 6109, 1789])],
)
def test_images_and_cells_of_each_split_and_class(
    records: list[Record], split: str, images: int, cells: list[int]
) -> None:
    part = [r for r in records if r.split == split]
    assert len(part) == images
    assert sum(np.bincount(r.labels, minlength=3) for r in part).tolist() == cells


def test_image_sides_are_328_to_505_px(records: list[Record]) -> None:
    sides = np.array([r.image.shape[:2] for r in records])
    assert (sides.min(), sides.max()) == (328, 505)


def test_distances_between_neighbours(records: list[Record]) -> None:
    nearest = np.concatenate([cKDTree(r.points).query(r.points, 2)[0][:, 1] for r in records])
    first, fifth, median = np.percentile(nearest, [1, 5, 50])
    assert first == pytest.approx(6, abs=0.5)
    assert fifth == pytest.approx(9, abs=0.5)
    assert 16 <= median <= 17


def test_dots_lie_on_nuclei_and_swapped_dots_do_not(records: list[Record]) -> None:
    """Nuclei take up red light: in each image the red value is lower at the dots than at their mirror places."""
    darker = []
    for one in records:
        red, side = one.image[..., 0].astype(float), min(one.image.shape[:2])
        y, x = one.points[(one.points < side).all(axis=1)].astype(int).T
        darker.append(red[y, x].mean() < red[x, y].mean())
    assert all(darker)


def test_the_packaged_checksums_are_those_of_the_data(brca_m2c_path: Path) -> None:
    packaged = {file.path: file.sha256 for file in brca_m2c.remote()}
    found = brca_m2c.files(brca_m2c.Settings(), brca_m2c_path)
    assert {path: checksum(brca_m2c_path / path) for path in packaged} == packaged
    assert {str(file.relative_to(brca_m2c_path)) for file in found} == packaged.keys() - {"LICENSE"}
