"""The command line, and `cellscaper convert`."""

import os
import subprocess
import sys

import numpy as np
import pytest

from cellscaper import cli
from cellscaper.disk import export
from cellscaper.disk.storage import read_provenance, write_layouts
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


def test_errors_are_one_line_and_status_1(tmp_path):
    for words in (["convert", str(tmp_path / "no.h5"), "x.csv"], ["convert"], ["nonsense"], []):
        done = command(*words)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("cellscaper: error: ")
        assert done.stderr.count("\n") == 1


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
