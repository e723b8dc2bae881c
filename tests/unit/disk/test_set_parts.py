"""Folders with the parts of a set, read like one file."""

import numpy as np
import pytest

from cellscaper.disk import export
from cellscaper.disk.set_parts import part_files
from cellscaper.disk.storage import ImageSet, read_layouts, write_images, write_layouts
from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.plan.provenance import record

ABOUT = {"stage": "generate_set", "config": {"layouts": 23}, "seed": 0}
CUTS = [0, 8, 8, 16, 23]  # of the layouts; the second part is empty


def whole():
    rng = np.random.default_rng(0)
    made = [
        Layout(rng.random((k, 2), np.float32) * 50, np.zeros(k, np.uint8), (50, 50)) for k in rng.integers(0, 9, 23)
    ]
    return LayoutSet.build(made, ("a", "b"), 0.5, {"target": np.arange(23)})


def pictures():
    return list(np.random.default_rng(1).integers(0, 256, (23, 6, 5, 3), dtype=np.uint8))


@pytest.fixture
def folder(tmp_path):
    """A set in four parts, as the workflow makes them, named so that the order of names is another."""
    layouts, images = whole(), pictures()
    for number in range(1, 5):
        rows = slice(CUTS[number - 1], CUTS[number])
        about = {**ABOUT, "part": [number, 4]}
        write_layouts(tmp_path / f"part{13 - number}-of-4" / "layouts.h5", {"points": layouts[rows]}, about)
        with write_images(tmp_path / f"part{13 - number}-of-4" / "images.h5", about) as out:
            for image in images[rows]:
                out.append(image)
    return tmp_path


def test_a_folder_is_read_as_one_set(folder):
    assert read_layouts(folder, "points") == whole()
    assert export.read(folder, name="points") == whole()
    for rows in (slice(0, 3), slice(5, 20), slice(8, 8), slice(22, None), slice(-2, None), slice(0, 0)):
        assert read_layouts(folder, "points", rows) == whole()[rows]


def test_images_of_a_folder_are_read_as_one_set(folder):
    with ImageSet(folder) as images:
        assert len(images) == 23
        assert images.shape.tolist() == [[6, 5, 3]] * 23
        assert all(np.array_equal(one, other) for one, other in zip(images, pictures(), strict=True))
        for i in (22, 0, 15, 16, 7, -1):
            assert np.array_equal(images[i], pictures()[i])
        with pytest.raises(IndexError):
            images[23]


def test_files_side_by_side_are_parts_too(tmp_path):
    for number in (1, 2):
        write_layouts(
            tmp_path / f"{3 - number}.h5", whole()[10 * number - 10 : 10 * number], {**ABOUT, "part": [number, 2]}
        )
    (tmp_path / ".3.h5.partial").write_bytes(b"what a killed writer leaves")
    assert part_files(tmp_path, "cellscaper/layouts") == [tmp_path / "2.h5", tmp_path / "1.h5"]
    assert read_layouts(tmp_path) == whole()[:20]


def write(path, **about):
    write_layouts(path, whole()[:2], {**ABOUT, **about})


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "a folder without parts of a set"),
        ({"a.h5": {"part": [1, 3]}, "b.h5": {"part": [3, 3]}}, "lacks part 2 of 3; make it first"),
        ({"a.h5": {"part": [1, 2]}, "b.h5": {"part": [1, 2]}}, "holds part 1 of 2 twice"),
        ({"a.h5": {"part": [1, 2]}, "b.h5": {"part": [2, 3]}}, "holds parts of 2 and of 3"),
        ({"a.h5": {"part": [1, 2]}, "b.h5": {"part": [2, 2], "seed": 1}}, "holds parts of different sets"),
        ({"a.h5": {"part": [1, 1]}, "b.h5": {}}, "b.h5 is no part of a set"),
        *(
            ({"a.h5": {"part": bad}}, "a.h5 is no part of a set")
            for bad in ([1], ["1", "2"], [0, 3], [4, 3], [1, 2, 3])
        ),
        ({"a.h5": {"part": [7, 999_999_999]}}, "lacks part 1 of 999999999 and 999999997 others; make them first"),
        (
            {
                "a.h5": {"part": [1, 2], "inputs": {"mask": {"file": "mask.png", "sha256": "a"}}},
                "b.h5": {"part": [2, 2], "inputs": {"mask": {"file": "mask.png", "sha256": "b"}}},
            },
            "holds parts of different sets",
        ),
    ],
)
def test_a_folder_that_is_not_one_set_is_refused(tmp_path, files, message):
    for name, about in files.items():
        write(tmp_path / name, **about)
    with pytest.raises(CellscaperError) as caught:
        read_layouts(tmp_path)
    assert message in str(caught.value)


def test_the_provenance_of_what_is_made_from_a_folder_depends_on_each_part(folder):
    before = record("fit_density", {}, 0, {"layouts": folder})["inputs"]["layouts"]
    assert before == record("fit_density", {}, 0, {"layouts": folder})["inputs"]["layouts"]
    write(folder / "part10-of-4" / "layouts.h5", part=[3, 4])
    assert record("fit_density", {}, 0, {"layouts": folder})["inputs"]["layouts"] != before


def test_a_damaged_part_is_named(folder):
    file = folder / "part11-of-4" / "images.h5"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 255
    file.write_bytes(content)
    (folder / "part10-of-4" / "layouts.h5").write_bytes(b"no HDF5")
    with pytest.raises(CellscaperError, match="part10-of-4"):
        read_layouts(folder, "points")


def test_the_images_of_each_part_are_made_of_its_own_layouts(tmp_path):
    for number in (1, 2):
        inputs = {"layouts": {"file": "layouts.h5", "sha256": str(number)}, "model": {"file": "m", "sha256": "a"}}
        write(tmp_path / f"{number}.h5", part=[number, 2], inputs=inputs)
    assert len(read_layouts(tmp_path)) == 4
