"""The command line, and `cellscaper convert`."""

import gzip
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from cellscaper import cli
from cellscaper.disk import export
from cellscaper.disk.storage import read_layouts, read_provenance, write_layouts
from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet


def example(n=2):
    rng = np.random.default_rng(0)
    items = [
        Layout(rng.uniform(0, 64, (5, 2)).astype(np.float32), rng.integers(0, 2, 5).astype(np.uint8), (64, 64))
        for _ in range(n)
    ]
    return LayoutSet.build(items, ("a", "b"), 0.5, {"k": np.arange(n)})


def test_formats_in_a_ring_end_where_they_began(tmp_path):
    layouts = example()
    write_layouts(tmp_path / "a.h5", layouts, {})
    for one, two in (("a.h5", "b.csv"), ("b.csv", "c.geojson"), ("c.geojson", "d.json"), ("d.json", "e.h5")):
        cli.call(["convert", str(tmp_path / one), str(tmp_path / two)])
    assert export.read(tmp_path / "e.h5") == layouts
    record = read_provenance(tmp_path / "e.h5")
    assert (record["stage"], record["inputs"]["input"]["file"]) == ("convert", "d.json")


def test_one_layout_and_a_file_for_each(tmp_path):
    layouts = example(3)
    write_layouts(tmp_path / "a.h5", {"points": layouts, "other": layouts[:1]}, {})
    cli.call(["convert", str(tmp_path / "a.h5"), str(tmp_path / "one.csv"), "--set", "points", "--layout", "1"])
    assert export.read(tmp_path / "one.csv") == layouts[1:2]
    cli.call(["convert", str(tmp_path / "a.h5"), str(tmp_path / "n{layout}.geojson"), "--set", "points"])
    assert [export.read(tmp_path / f"n{i}.geojson") for i in range(3)] == [layouts[i : i + 1] for i in range(3)]


CELLS = [(10.5, 20.0, "a"), (30.0, 40.25, "b"), (50.0, 7.0, "a")]
OTHERS = {
    "labelme.json": {"shapes": [{"label": c, "points": [[x, y]], "shape_type": "point"} for y, x, c in CELLS],
                     "imagePath": "s.png", "imageHeight": 64, "imageWidth": 80},
    "cellvit.json": {"type_map": {"1": "a", "2": "b"},
                     "cells": [{"centroid": [x, y], "type": 1 + (c == "b")} for y, x, c in CELLS]},
    "hovernet.json": {"nuc": {str(k): {"centroid": [x, y], "type": c} for k, (y, x, c) in enumerate(CELLS)}},
    "um.csv": "Centroid X µm,Centroid Y µm,Class\n" + "".join(f"{x / 2},{y / 2},{c}\n" for y, x, c in CELLS),
    "r.txt": '"y" "x" "class"\n' + "".join(f'"{k}" {y} {x} "{c}"\n' for k, (y, x, c) in enumerate(CELLS)),
    "packed.csv.gz": gzip.compress(("y;x;class\n" + "".join(f"{y};{x};{c}\n" for y, x, c in CELLS)).encode()),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_files_of_other_programs_are_converted_whole(tmp_path, name):
    content = OTHERS[name]
    data = (
        content
        if isinstance(content, bytes)
        else (content if isinstance(content, str) else json.dumps(content)).encode()
    )
    (tmp_path / name).write_bytes(data)
    cli.call(["convert", str(tmp_path / name), str(tmp_path / "x.h5"), "--size", "64,80", "--mpp", "0.5"])
    found = export.read(tmp_path / "x.h5")
    assert (found.classes, found.common_size()) == (("a", "b"), (64, 80))
    assert sorted(found.points.tolist()) == sorted([y, x] for y, x, _ in CELLS)


def test_a_label_mask_is_converted_with_its_own_size(tmp_path):
    values = np.zeros((40, 50), np.uint16)
    values[3:6, 10:13], values[20:23, 30:33] = 1, 7
    Image.fromarray(values).save(tmp_path / "m.tif")
    cli.call(["convert", str(tmp_path / "m.tif"), str(tmp_path / "x.csv"), "--mpp", "0.5"])
    found = export.read(tmp_path / "x.csv")
    assert found.points.tolist() == [[4, 11], [21, 31]] and found.common_size() == (40, 50)


def test_what_is_left_out_and_doubted_is_said(tmp_path, capsys):
    rows = [f"{1 + k % 9},{1 + k // 9},{'' if k % 3 else 'a'}" for k in range(81)]
    (tmp_path / "a.csv").write_text("y,x,class\n" + "\n".join(rows))
    cli.call(["convert", str(tmp_path / "a.csv"), str(tmp_path / "b.csv"), "--size", "64,80", "--mpp", "0.5"])
    said = capsys.readouterr().err
    assert "! a.csv: 54 cells without a class are left out; --classes a,unclassified keeps them" in said
    assert "upper left 14% of the sides" in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["no.h5", "x.csv"], "there is no such file"),
        (["a.h5", "x.txt"], "unknown ending '.txt'"),
        (["a.h5", "nowhere/x.csv"], "there is no folder"),
        (["a.h5", "x.csv", "--layout", "2"], "has 2 layouts, numbered from 0"),
        (["a.h5", "x.csv", "--layout", "-1"], "expected a whole number from 0"),
        (["a.h5", "x.csv", "--set", "points"], "has no layouts 'points'"),
        (["plain.csv", "x.h5"], "give --mpp"),
        (["plain.csv", "x.h5", "--mpp", "0.5"], "give --size"),
        (["plain.csv", "x.h5", "--mpp", "0.5", "--size", "0,9"], "at least 1 px"),
        (["plain.csv", "x.h5", "--mpp", "zero", "--size", "9,9"], "--mpp 'zero'"),
        (["plain.csv", "x.h5", "--mpp", "0.5", "--size", "9,9", "--classes", "a,a"], "different names"),
        (["a.h5"], "the following arguments are required: OUT"),
        (["a.h5", "x.csv", "--colour"], "unrecognized arguments"),
    ],
)
def test_bad_requests_are_refused_and_write_nothing(tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    write_layouts(tmp_path / "a.h5", example(), {})
    (tmp_path / "plain.csv").write_text("y,x,class\n1,2,a\n")
    with pytest.raises(CellscaperError) as caught:
        cli.call(["convert", *words])
    assert message in str(caught.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.h5", "plain.csv"]


def command(*words):
    """What the program says when it is called from a shell."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    call = [sys.executable, "-m", "cellscaper", *words]
    return subprocess.run(call, capture_output=True, text=True, env=environment, timeout=60)


@pytest.mark.slow
def test_errors_are_one_line_and_status_1(tmp_path):
    for words in (["convert", str(tmp_path / "no.h5"), "x.csv"], ["convert"], ["nonsense"], []):
        done = command(*words)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("cellscaper: error: ")
        assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_help_of_every_command_imports_nothing_heavy():
    done = command("--help")
    assert done.returncode == 0
    assert all(name in done.stdout for name in cli.COMMANDS)
    code = (
        "import sys; from cellscaper import cli; cli.parser(); print(sys.modules.keys() & {'numpy', 'torch', 'h5py'})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "set()\n", done.stderr
    for name in cli.COMMANDS:
        assert f"usage: cellscaper {name}" in command(name, "--help").stdout


def test_the_columns_of_a_table_can_be_named(tmp_path, capsys):
    (tmp_path / "a.csv").write_text("a,b µm,kind\n" + "\n".join(f"{k},{2 * k},{'xy'[k % 2]}" for k in range(1, 9)))
    arguments = ["convert", str(tmp_path / "a.csv"), str(tmp_path / "a.h5"), "--size", "50,50", "--mpp", "0.5"]
    with pytest.raises(CellscaperError, match="no columns y and x among a, b µm, kind; name them with --columns"):
        cli.call(arguments)
    cli.call([*arguments, "--columns", "y=b µm,x=a,class=kind"])
    found = read_layouts(tmp_path / "a.h5")
    assert found.points[0].tolist() == [4.0, 2.0] and found.classes == ("x", "y")  # µm by the name of y


def test_fields_of_view_are_images_of_their_own(tmp_path, capsys):
    rows = [f"{k % 3},{k},{2 * k},a" for k in range(24)]
    (tmp_path / "a.csv").write_text("fov,y,x,class\n" + "\n".join(rows))
    cli.call(["convert", str(tmp_path / "a.csv"), str(tmp_path / "a.h5"), "--size", "50,50", "--mpp", "0.5"])
    assert np.diff(read_layouts(tmp_path / "a.h5").offsets).tolist() == [8, 8, 8]
    assert "each value of column 'fov' is taken as an image" in capsys.readouterr().err


def test_a_size_that_contradicts_the_file_stops(tmp_path):
    data = {"shapes": [{"label": "a", "points": [[3, 4]], "shape_type": "point"}], "imagePath": "a.png"}
    (tmp_path / "a.json").write_text(json.dumps(data | {"imageHeight": 30, "imageWidth": 40}))
    words = ["convert", str(tmp_path / "a.json"), str(tmp_path / "a.h5"), "--mpp", "0.5"]
    with pytest.raises(CellscaperError, match="says 30 × 40 px .*--size says 50 × 50"):
        cli.call([*words, "--size", "50,50"])
    assert not (tmp_path / "a.h5").exists()
    cli.call(words)
    assert read_layouts(tmp_path / "a.h5").size.tolist() == [[30, 40]]


@pytest.mark.parametrize("mpp", ["250", "0.0005", "0", "-1", "nan"])
def test_a_scale_of_no_microscope_is_refused(tmp_path, mpp):
    (tmp_path / "a.csv").write_text("y,x,class\n1,2,a\n")
    with pytest.raises(CellscaperError, match=r"expected µm a pixel of a microscope|expected a number"):
        cli.call(["convert", str(tmp_path / "a.csv"), str(tmp_path / "b.csv"), "--size", "9,9", f"--mpp={mpp}"])
    assert not (tmp_path / "b.csv").exists()


@pytest.mark.parametrize("how", ["same", "link", "hard link", "folder"])
def test_a_file_that_is_read_is_not_overwritten(tmp_path, how):
    source, target = tmp_path / "a.csv", tmp_path / "b.csv"
    source.write_text("y,x,class\n1,2,a\n")
    if how == "link":
        target.symlink_to(source)
    elif how == "hard link":
        os.link(source, target)
    elif how == "folder":
        (tmp_path / "sub").symlink_to(tmp_path)
        target = tmp_path / "sub" / "a.csv"
    else:
        target = source
    with pytest.raises(CellscaperError, match="would be overwritten; name another"):
        cli.call(["convert", str(source), str(target), "--size", "9,9", "--mpp", "0.5"])
    assert source.read_text() == "y,x,class\n1,2,a\n"


@pytest.mark.parametrize(
    "words",
    [
        ["envelope", "a.csv", "--null", "csr", "-o", "a.html", "--size", "9,9", "--mpp", "0.5"],
        ["generate", "--counts", "epithelial=3", "--around", "a.csv", "-o", "a.csv"],
        ["generate", "--counts", "epithelial=3", "--mask", "m.png", "-o", "o.csv", "--png", "m.png"],
        ["convert", "0.csv", "{layout}.csv", "--size", "9,9", "--mpp", "0.5"],
    ],
)
def test_other_commands_spare_what_they_read(tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("y,x,class\n1,2,epithelial\n")
    (tmp_path / "0.csv").symlink_to(tmp_path / "a.csv")
    Image.new("L", (9, 9), 255).save(tmp_path / "m.png")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(CellscaperError, match="would be overwritten; name another"):
        cli.call(words)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
