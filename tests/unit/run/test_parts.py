"""Rows of parts, and parts that are kept while the others are made."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellscaper.disk.storage import write_layouts
from cellscaper.errors import CellscaperError
from cellscaper.layouts import LayoutSet
from cellscaper.run.parts import KeptParts, part_numbers, part_rows


@given(st.integers(1, 5000), st.integers(1, 64), st.data())
def test_parts_are_all_rows_once_and_begin_with_a_batch(total, unit, data):
    parts = data.draw(st.integers(1, -(-total // unit)))
    found = [part_rows(total, unit, number, parts) for number in range(1, parts + 1)]
    assert [row for rows in found for row in rows] == list(range(total))
    assert all(rows.start % unit == 0 and len(rows) for rows in found)
    units = [-(-len(rows) // unit) for rows in found]
    assert max(units) - min(units) <= 1


@pytest.mark.parametrize(("number", "parts"), [(0, 3), (4, 3), (1, 6)])
def test_parts_that_cannot_be_are_refused(number, parts):
    with pytest.raises(CellscaperError, match="part"):
        part_rows(100, 20, number, parts)


@pytest.mark.parametrize("part", ["", "x", "-1", "1.5", "²"])
def test_a_part_that_is_no_number_is_one_line(part):
    assert part_numbers("3", "50") == (3, 50)
    for texts in ((part, "3"), ("1", part)):
        with pytest.raises(CellscaperError, match="expected whole numbers"):
            part_numbers(*texts)


@pytest.fixture
def keep(tmp_path):
    """Parts 0, 1 and 3 of an output."""
    kept = KeptParts(tmp_path / "out.h5", "cellscaper/layouts", ["all", 1])
    layouts = LayoutSet(np.ones((4, 2)), np.zeros(4), [0, 4], [[9, 9]], ("a",), 0.5, [""], [[0, 0]])
    for number in (0, 1, 3):
        write_layouts(kept.file(number), layouts, kept.provenance)
    return kept


def test_parts_in_a_row_are_finished(keep):
    assert keep.finished() == 2


def test_a_damaged_part_is_made_again(keep, capsys):
    content = bytearray(keep.file(1).read_bytes())
    for at in range(len(content) // 2, len(content), 97):
        content[at] ^= 255
    keep.file(1).write_bytes(content)
    assert keep.finished() == 1
    assert "this saved part is damaged" in capsys.readouterr().err


def test_parts_of_something_else_are_ignored_with_a_line_and_removed(keep, tmp_path, capsys):
    other = KeptParts(tmp_path / "out.h5", "cellscaper/layouts", ["all", 2])
    assert other.finished() == 0
    assert "of other code, data or settings; starting anew" in capsys.readouterr().err
    assert not other.folder.exists()


def test_clearing_leaves_what_is_not_a_part(keep):
    (keep.folder / ".part000004.h5.partial").touch()
    (keep.folder / "notes.txt").touch()
    keep.clear()
    assert [file.name for file in keep.folder.iterdir()] == ["notes.txt"]
    (keep.folder / "notes.txt").unlink()
    keep.clear()
    assert not keep.folder.exists()
