"""`cellscaper envelope`: page, table and picture, the same for the same seed, and refusals in one line."""

import csv
import re

import numpy as np
import pytest
from PIL import Image

from cellscaper import cli
from cellscaper.disk import export
from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet


def layouts(n=40, classes=("lymphocyte", "epithelial", "stromal"), size=(96, 96), mpp=0.5, used=2, many=1):
    rng = np.random.default_rng(0)
    items = [
        Layout(rng.uniform(0, size, (n, 2)).astype(np.float32), rng.integers(0, used, n).astype(np.uint8), size)
        for _ in range(many)
    ]
    return LayoutSet.build(items, classes, mpp)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    export.write(tmp_path / "cells.csv", layouts(), {})
    return tmp_path


def call(*words):
    cli.call(["envelope", *words, "--threads", "1"])


@pytest.mark.slow
def test_page_table_and_picture_are_written_and_depend_on_the_seed_alone(folder, capsys):
    words = ["cells.csv", "--null", "csr,labels", "-n", "19", "--radius", "20"]
    call(*words, "-o", "a.html")
    said = capsys.readouterr().out
    assert re.search(r"40 cells \(\d+ lymphocyte, \d+ epithelial\) in 1 layout, 96×96 px; distances to 20 px", said)
    assert "! class stromal has no cells" in said and said.count("functions together") == 2
    rows = list(csv.DictReader((folder / "a.csv").open(encoding="utf-8")))
    assert {row["null"] for row in rows} == {"csr", "labels"}
    assert {row["statistic"] for row in rows} == {"cross-K", "pair correlation", "neighbours", "mixing"}
    for row in rows:
        low, observed, high, out = (float(row[name]) for name in ("low", "observed", "high", "outside"))
        assert out == (observed > high) - (observed < low)
        assert float(row["p"]) >= 0.05 and float(row["p"]) * 20 == pytest.approx(round(float(row["p"]) * 20))
    page = (folder / "a.html").read_text(encoding="utf-8")
    assert "data:image/png;base64," in page and "http" not in page.replace("http-equiv", "")
    assert Image.open(folder / "a.png").width > 1000
    call(*words, "-o", "b.html")
    call(*words, "-o", "c.html", "--seed", "1")
    assert (folder / "a.csv").read_bytes() == (folder / "b.csv").read_bytes() != (folder / "c.csv").read_bytes()
    assert (folder / "a.png").read_bytes() == (folder / "b.png").read_bytes()


def test_what_is_left_out_of_the_cells_is_said_and_stands_on_the_page(folder, capsys):
    lines = (folder / "cells.csv").read_text(encoding="utf-8").splitlines()[1:]
    rows = [",".join(line.split(",")[1:4]) for line in lines]
    (folder / "hand.csv").write_text("\n".join(["y,x,class", *rows, ",,epithelial"]), encoding="utf-8")
    call("hand.csv", "--null", "labels", "-n", "19", "--size", "96,96", "--mpp", "0.5", "-o", "a.html")
    said = "hand.csv: 1 line without a place is left out"
    assert f"! {said}" in capsys.readouterr().out
    assert said in (folder / "a.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_masks_several_layouts_and_composite_models(folder, capsys):
    mask = np.zeros((96, 96), np.uint8)
    mask[:, :70] = 255
    Image.fromarray(mask).save("mask.png")
    call("cells.csv", "--null", "hard_core", "--mask", "mask.png", "-n", "19", "-o", "a.html")
    said = capsys.readouterr().out
    assert re.search(r"! \d+ cells lie outside the mask and are left out", said) and "Composite: the distance" in said
    call("cells.csv", "--null", "hard_core", "--min-distance", "0.5", "-n", "19", "-o", "b.html")
    assert "was given, nothing is fitted" in capsys.readouterr().out
    export.write(folder / "two.h5", layouts(many=2), {})
    call("two.h5", "--null", "csr", "-n", "19", "-o", "c.html")
    assert "80 cells" in (said := capsys.readouterr().out) and "in 2 layouts, pooled" in said
    call("two.h5", "--null", "csr", "-n", "19", "-o", "d.html", "--layout", "1")
    assert "40 cells" in capsys.readouterr().out


@pytest.mark.slow
def test_the_learned_model_has_exact_counts_and_its_own_classes_in_any_order(folder, capsys):
    from cellscaper.envelopes.learned import simulate_learned
    from cellscaper.envelopes.trial import prepare

    data = prepare(layouts(30, ("stromal", "epithelial", "lymphocyte")), 20, np.arange(96) < np.full((96, 1), 60))
    made = list(simulate_learned(data.layouts, data.classes, 0.5, 2, 0, 4.0, 2))
    again = next(simulate_learned(data.layouts, data.classes, 0.5, 1, 0, 4.0, 2))
    for ((points, labels),) in made:
        assert np.array_equal(np.bincount(labels, minlength=3), data.counts[0])
        assert data.layouts[0].region.holds(points).all()
    assert np.allclose(made[0][0][0], again[0][0], atol=1e-3) and not np.allclose(made[0][0][0], made[1][0][0])
    call("cells.csv", "--null", "learned", "-n", "19", "--steps", "1", "-o", "a.html")
    assert "Composite: its weights" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["no.csv", "--null", "csr"], "there is no such file"),
        (
            ["cells.csv", "--null", "poisson"],
            "--null 'poisson': expected one or more of csr, labels, hard_core, learned",
        ),
        (["cells.csv", "--null", "csr,csr"], "different names"),
        (["cells.csv", "--null", "csr", "-n", "18"], "-n 18 cannot reject at --alpha 0.05: give at least -n 19"),
        (["cells.csv", "--null", "csr", "-n", "19", "--alpha", "0.01"], "give at least -n 99"),
        (["cells.csv", "--null", "csr", "--alpha", "1.5"], "expected a share between 0 and 1"),
        (["cells.csv", "--null", "csr", "--radius", "5"], "--radius 5: expected at least 8 px"),
        (["cells.csv", "--null", "csr", "--mask", "small.png"], "--mask has 9×9 px, the 1 layouts 96×96"),
        (["cells.csv", "--null", "csr", "--mask", "empty.png"], "allows no pixel"),
        (["cells.csv", "--null", "csr", "--mask", "thin.png"], "the mask is too thin or too scattered"),
        (
            ["cells.csv", "--null", "csr", "--mask", "corner.png"],
            "fewer than two cells inside the mask; 40 lie outside",
        ),
        (["cells.csv", "--null", "csr", "--layout", "1"], "has 1 layout, numbered from 0"),
        (["cells.csv", "--null", "hard_core", "--min-distance", "-1"], "expected px from 0"),
        (["cells.csv", "--null", "hard_core", "--min-distance", "40"], "cells find room 40 px apart"),
        (["none.csv", "--null", "csr"], "there are fewer than two cells"),
        (["one.csv", "--null", "labels"], "needs two classes in a layout, the cells have one"),
        (["own.csv", "--null", "learned"], "the model knows lymphocyte, epithelial, stromal, the cells have tumour"),
        (["fine.csv", "--null", "learned"], "the model knows 0.5 µm a pixel, the cells have 0.25"),
        (["plain.csv", "--null", "csr"], "give --mpp"),
    ],
)
def test_what_cannot_be_is_one_line_and_no_file(folder, words, message):
    export.write(folder / "none.csv", layouts(0), {})
    export.write(folder / "one.csv", layouts(used=1), {})
    export.write(folder / "own.csv", layouts(classes=("tumour", "stromal")), {})
    export.write(folder / "fine.csv", layouts(mpp=0.25), {})
    (folder / "plain.csv").write_text("y,x,class\n1,2,a\n")
    Image.fromarray(np.full((9, 9), 255, np.uint8)).save("small.png")
    Image.fromarray(np.zeros((96, 96), np.uint8)).save("empty.png")
    thin = np.zeros((96, 96), np.uint8)
    thin[:, ::4] = 255
    Image.fromarray(thin).save("thin.png")
    corner = np.zeros((96, 96), np.uint8)
    corner[0, 0] = 255
    Image.fromarray(corner).save("corner.png")
    before = sorted(folder.iterdir())
    with pytest.raises(CellscaperError) as caught:
        call(*words, "-o", "out.html")
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("output", ["out.csv", "nowhere/out.html"])
def test_the_name_of_the_page_is_checked_first(folder, output):
    with pytest.raises(CellscaperError, match="expected a name that ends in .html|there is no folder"):
        call("cells.csv", "--null", "csr", "-o", output)
