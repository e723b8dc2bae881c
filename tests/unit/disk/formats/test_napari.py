"""napari's points: its own column names, read as napari's own reader reads them, and back."""

import csv

import numpy as np
import pytest

from cellscaper import cli
from cellscaper.disk import export
from cellscaper.disk.formats.facts import Given
from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet


def example():
    rng = np.random.default_rng(0)
    items = [Layout(rng.uniform(0, 40, (n, 2)).astype(np.float32), np.arange(n) % 2, (40, 50), "s") for n in (3, 0, 2)]
    return LayoutSet.build(items, ("a, b", "c"), 0.5)


def test_napari_takes_it_for_points_with_features(tmp_path):
    """What napari documents of its points: columns axis-N are coordinates, index is skipped, the others features."""
    export.write(tmp_path / "x.napari.csv", example(), {})
    with open(tmp_path / "x.napari.csv", encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["index", "axis-0", "axis-1", "class", "layout", "cellscaper"]
    table = np.array(rows)
    axes = [name.startswith("axis-") for name in header]
    assert np.array_equal(table[:, axes].astype(np.float32), example().points)
    assert table[:, 3].tolist() == ["a, b", "c", "a, b", "a, b", "c"] and table[:, 4].tolist() == list("00022")


def test_it_comes_back_by_any_name(tmp_path):
    export.write(tmp_path / "x.napari.csv", example(), {})
    (tmp_path / "x.napari.csv").rename(tmp_path / "y.csv")
    assert export.read(tmp_path / "y.csv") == example()
    cli.call(["convert", str(tmp_path / "y.csv"), str(tmp_path / "z.h5")])
    assert export.read(tmp_path / "z.h5") == example()


def test_points_that_napari_saved(tmp_path):
    (tmp_path / "p.csv").write_text("index,axis-0,axis-1,axis-2,class\n0.0,0.0,5.5,6.0,a\n1.0,2.0,7.0,8.25,b\n")
    layouts = export.read(tmp_path / "p.csv", Given((9, 9), 0.5))
    assert len(layouts) == 3 and layouts.points.tolist() == [[5.5, 6], [7, 8.25]] and layouts.classes == ("a", "b")
    (tmp_path / "q.csv").write_text("index,axis-0,axis-1\n0.0,5.5,6.0\n")
    assert export.read(tmp_path / "q.csv", Given((9, 9), 0.5)).classes == ("unclassified",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("index,axis-0,axis-1,axis-2,axis-3\n0,1,1,1,1\n", "expected two, or three"),
        ("index,axis-0,axis-1\n0,nan,1\n", "nan"),
        ("index,axis-0,axis-1,layout\n0,1,1,0.5\n", "a whole number"),
        ("index,axis-0,axis-1\n0,1\n", "zip"),
    ],
)
def test_other_tables_are_refused(tmp_path, text, message):
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(CellscaperError, match=message):
        export.read(tmp_path / "p.csv", Given((9, 9), 0.5))


def test_no_cells_are_no_file(tmp_path):
    with pytest.raises(CellscaperError, match="there are no cells"):
        export.write(tmp_path / "x.napari.csv", example()[1:2], {})
    assert list(tmp_path.iterdir()) == []
