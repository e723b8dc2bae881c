"""Outlines as lines of numbers: of Cellpose and of YOLO's segmentation."""

import numpy as np
import pytest

from cellscaper.disk.export import read
from cellscaper.disk.formats.facts import Given
from cellscaper.disk.formats.outline_lines import are_outlines, read_outlines
from cellscaper.errors import CellscaperError


def corners(y, x, n):
    turn = np.linspace(0, 2 * np.pi, n, endpoint=False)
    return np.stack([x + 4 * np.cos(turn), y + 4 * np.sin(turn)], 1)


def test_outlines_of_cellpose(world, tmp_path):
    world.save(tmp_path / "d")
    for i in range(world.n):
        lines = [
            ",".join(str(round(v)) for v in corners(y, x, 8 + k % 3).ravel())
            for k, (y, x) in enumerate(world.points(i))
        ]
        (tmp_path / f"d/s_{i:02d}_cp_outlines.txt").write_text("\n".join(lines) + "\n")
    found = world.check(tmp_path / "d")
    assert not found.fault and found.cells == world.total() and set(found.counts) == {"unclassified"}
    away = np.abs(found.records[0].points[:, None] - world.points(0)).max(axis=-1)
    assert away.min(axis=0).max() < 1 and away.min(axis=1).max() < 1


def test_polygons_of_yolo_with_an_image_without_cells(world, tmp_path):
    world.save(tmp_path / "d/images")
    (tmp_path / "d/labels").mkdir()
    for i in range(world.n):
        size = np.array(world.size)[::-1]
        lines = [
            f"{int(c == 'tumor')} " + " ".join(f"{v:.6f}" for v in (corners(y, x, 6 + k % 2) / size).ravel())
            for k, (y, x, c) in enumerate(world.cells(i))
        ]
        (tmp_path / f"d/labels/s_{i:02d}.txt").write_text("\n".join(lines if i else []))
    found = world.check(tmp_path / "d", "--mpp", "0.5", "--classes", "0=lymphocyte,1=tumor")
    assert not found.fault
    assert found.cells == world.total() - len(world.cells(0)) and len(found.records) == world.n
    first = next(one for one in found.records if one.image_id == "s_01")
    np.testing.assert_allclose(sorted(first.points.tolist()), sorted(world.points(1).tolist()), atol=0.2)


@pytest.mark.parametrize(
    ("name", "text", "outlines"),
    [
        ("a.txt", "1,2,3,4,5,6\n1,2,3,4,5,6,7,8\n", True),
        ("a.txt", "1,2,3,4,5,6\n1,2,3,4,5,6\n", False),  # a table, perhaps
        ("a_cp_outlines.txt", "1,2,3,4,5,6\n1,2,3,4,5,6\n", True),
        ("a.txt", "0 .1 .2 .3 .4 .5 .6\n", True),
        ("a.txt", "0 0.1 0.2 0.3 0.4\n", False),  # a box
        ("a.txt", "y,x\n1,2\n", False),
        ("a.txt", "1,2\n3,4\n", False),
        ("a.txt", "µ", False),
        ("a.txt", "", False),
    ],
)
def test_outlines_are_told_from_tables(tmp_path, name, text, outlines):
    (tmp_path / name).write_text(text)
    assert are_outlines(tmp_path / name) == outlines


def test_a_line_that_is_no_outline_is_named():
    for text in ("1,2,3,4,5,6\n1,2,3\n", "0 .1 .2 .3\n", "1,2,a,4\n"):
        with pytest.raises(ValueError, match="line "):
            read_outlines(text)


def test_convert_reads_them_with_a_size(tmp_path):
    (tmp_path / "a.txt").write_text("1 0.1 0.1 0.3 0.1 0.2 0.4\n")
    found = read(tmp_path / "a.txt", Given((100, 200), 0.5, None))
    np.testing.assert_allclose(found.points, [[20, 40]], atol=1e-3)
    with pytest.raises(CellscaperError, match="--size"):
        read(tmp_path / "a.txt", Given(None, 0.5, None))
