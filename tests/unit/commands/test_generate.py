"""`cellscaper generate` with an untrained network: everything but what the model has learned."""

import contextlib
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from PIL import Image

from cellscaper import cli
from cellscaper.disk import export
from cellscaper.disk.storage import read_provenance
from cellscaper.disk.weights import write_weights
from cellscaper.errors import CellscaperError
from cellscaper.generators.pointsets.constraints import too_close
from cellscaper.generators.pointsets.network import PointDenoiser
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.metrics.cross_class import nearest_neighbours

CLASSES = ("lymphocyte", "epithelial", "stromal")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """An untrained model of the kind that `--weights` takes."""
    torch.manual_seed(0)
    network = {"width": 16, "layers": 1, "heads": 2, "neighbours": 4, "edge_width": 8, "expansion": 2}
    section = {"method": "point_diffusion", "region": 256, "settings": {"network": network}}
    path = tmp_path_factory.mktemp("model") / "own.safetensors"
    state = PointDenoiser(3, 256, **network).state_dict()
    write_weights(path, state, {}, classes=list(CLASSES), mpp=0.5, section=section)
    return path


@pytest.fixture
def call(weights, tmp_path, monkeypatch):
    """Run `generate` with that model in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def generate(*words):
        cli.call(["generate", "--weights", str(weights), "--threads", "1", "--steps", "3", *words])

    return generate


@pytest.mark.slow
def test_layouts_have_the_counts_and_say_where_they_come_from(call, weights):
    call("--counts", "lymphocyte=12,epithelial=60", "-n", "3", "--seed", "5", "-o", "out.h5", "--png", "out.png")
    layouts = export.read(Path("out.h5"))
    assert layouts.classes == CLASSES
    assert layouts.mpp == 0.5
    assert layouts.counts().tolist() == [[12, 60, 0]] * 3
    assert layouts.common_size() == (256, 256)
    assert layouts.columns["requested"].tolist() == [[12, 60, 0]] * 3
    assert len(set(layouts.columns["seed"].tolist())) == 3
    assert all(len(too_close(one.points, 4)) == 0 for one in layouts)
    record = read_provenance(Path("out.h5"))
    assert (record["stage"], record["seed"], record["config"]["size"]) == ("generate", 5, [256, 256])
    assert record["inputs"]["weights"]["file"] == weights.name
    with Image.open("out.png") as picture:
        assert min(picture.size) > 200
    assert sorted(p.name for p in Path().iterdir()) == ["out.h5", "out.png"]


@pytest.mark.slow
def test_the_same_seed_gives_the_same_layouts_in_every_format(call):
    words = ["--counts", "stromal=9,lymphocyte=3", "-n", "2", "--size", "120,300", "--min-distance", "5"]
    for ending in export.ENDINGS:
        call(*words, "-o", f"out{ending}")
    first = export.read(Path("out.h5"))
    assert all(export.read(Path(f"out{ending}")) == first for ending in export.ENDINGS)
    call(*words, "--seed", "1", "-o", "other.h5")
    assert not np.array_equal(export.read(Path("other.h5")).points, first.points)


def test_densities_are_per_square_millimetre_of_the_mask(call):
    mask = np.zeros((200, 400), np.uint8)
    mask[:, :100] = 255
    Image.fromarray(mask).save("mask.png")
    np.save("mask.npy", mask > 0)
    for name in ("mask.png", "mask.npy"):
        call("--density", "epithelial=3000,stromal=1000", "--mask", name, "-o", "out.csv")
        (layout,) = export.read(Path("out.csv"))
        assert layout.size == (200, 400)
        # 20 000 px² are 0.005 mm²
        assert np.bincount(layout.labels, minlength=3).tolist() == [0, 15, 5]
        assert (layout.points[:, 1] < 100).all()


@pytest.mark.slow
def test_given_cells_stay_and_others_come_around_them(call):
    cells = "y,x,class\n30.25,40.5,stromal\n60,10,lymphocyte\n"
    Path("cells.csv").write_text(cells)
    points = np.array([[30.25, 40.5], [60, 10]], np.float32)
    given = LayoutSet.build([Layout(points, np.array([1, 0], np.uint8), (128, 96))], ("lymphocyte", "stromal"), 0.5)
    for ending in (".h5", ".geojson", ".json"):
        export.write(Path(f"cells{ending}"), given, {})
    for name in ("cells.csv", "cells.h5", "cells.geojson", "cells.json"):
        size = ["--size", "128,96"] if name == "cells.csv" else []
        call("--counts", "epithelial=30", "--around", name, "--min-distance", "6", "-o", "out.h5", *size)
        (layout,) = layouts = export.read(Path("out.h5"))
        assert layout.points[:2].tolist() == points.tolist()
        assert layout.labels.tolist() == [2, 0] + [1] * 30
        assert layout.size == (128, 96)
        assert len(too_close(layout.points, 6)) == 0
        assert layouts.columns["given"].tolist() == [2]


def test_steps_and_spread(call):
    np.save("spread.npy", np.array([[1.0, 0.0]]))
    call("--counts", "epithelial=40", "--size", "256,1024", "--spread", "spread.npy", "--steps", "1", "-o", "out.h5")
    assert (export.read(Path("out.h5")).points[:, 1] < 600).mean() > 0.8
    assert read_provenance(Path("out.h5"))["config"]["sampling"]["steps"] == 1


GOOD = ("--counts", "epithelial=20", "-o", "out.h5")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--counts", "tumor=5", "-o", "out.h5"), "unknown class 'tumor'"),
        (("--counts", "epithelal=5", "-o", "out.h5"), "did you mean epithelial?"),
        (
            ("--counts", "epithelial=-5", "-o", "out.h5"),
            "--counts epithelial=-5: expected a whole number of at least 0",
        ),
        (("--counts", "epithelial=2.5", "-o", "out.h5"), "expected a whole number"),
        (("--counts", "epithelial=nan", "-o", "out.h5"), "expected a number"),
        (("--counts", "epithelial", "-o", "out.h5"), "expected CLASS=NUMBER"),
        (("--counts", "epithelial=1,epithelial=2", "-o", "out.h5"), "each class once"),
        (("--counts", "epithelial=0", "-o", "out.h5"), "no cells are asked for"),
        (("-o", "out.h5"), "give either --counts or --density"),
        ((*GOOD, "--density", "epithelial=20"), "give either --counts or --density"),
        (("--counts", "epithelial=20"), "required: -o/--output"),
        ((*GOOD, "-n", "0"), "-n '0': expected a whole number from 1"),
        ((*GOOD, "--part", "2"), "--part '2': expected K/N in whole numbers"),
        ((*GOOD, "--part", "1/0"), "--part '1/0': a set has at least one part, for example 1/1"),
        ((*GOOD, "--part", "0/2"), "--part '0/2': expected a part from 1 to 2"),
        ((*GOOD, "--part", "3/2"), "--part '3/2': expected a part from 1 to 2"),
        ((*GOOD, "-n", "3", "--part", "1/4"), "4 parts of 3 layouts: there can be at most 3 parts"),
        ((*GOOD, "--size", "0,10"), "at least 1 px"),
        ((*GOOD, "--size", "10"), "expected HEIGHT,WIDTH"),
        ((*GOOD, "--size", "12,12"), "20 cells at least 4 px apart do not fit into 144 px²: at most 17 do"),
        ((*GOOD, "--size", "8,8"), "20 cells at least 4 px apart do not fit into 64 px²"),
        ((*GOOD, "--min-distance", "-1"), "--min-distance -1"),
        ((*GOOD, "--min-distance", "100"), "do not fit"),
        ((*GOOD, "--mask", "none.png"), "--mask none.png: there is no such file"),
        ((*GOOD, "--mask", "black.png"), "the mask allows no pixel"),
        ((*GOOD, "--mask", "dot.png"), "do not fit into 4 px²"),
        ((*GOOD, "--mask", "dot.png", "--size", "256,256"), "the mask has 64×64 px, the region 256×256"),
        ((*GOOD, "--mask", "bad.png"), "is not a readable .png file"),
        ((*GOOD, "--mask", "bad.npy"), "is not a readable .npy file"),
        ((*GOOD, "--mask", "flat.npy"), "has the shape (7,)"),
        ((*GOOD, "--mask", "cells.csv"), "expected a .png or .npy file"),
        (
            (*GOOD, "--around", "cells.csv", "--size", "50,50"),
            "dot y=60 x=10 of layout cells lies outside its 50×50 px",
        ),
        ((*GOOD, "--around", "cells.csv"), "does not say how large its region is; give --size"),
        ((*GOOD, "--around", "cells.csv", "--size", "90,90", "--min-distance", "9"), "given cells 0 and 2 are 8 px"),
        ((*GOOD, "--around", "two.h5"), "--around two.h5 holds 2 layouts, expected one"),
        ((*GOOD, "--around", "other.csv", "--size", "90,90"), "--around: unknown class 'plasma'"),
        ((*GOOD, "--steps", "0"), "--steps '0'"),
        ((*GOOD, "--steps", "10001"), "--steps '10001': expected a whole number from 1 to 10000"),
        ((*GOOD, "--steps", "99999999999"), "--steps '99999999999': expected a whole number from 1 to 10000"),
        ((*GOOD, "--weights", "cells.csv"), "is not a readable weights file"),
        (("--counts", "epithelial=20", "-o", "out.xyz"), "unknown ending"),
        (("--counts", "epithelial=20", "-o", "none/out.h5"), "there is no folder none"),
        ((*GOOD, "--png", "none/out.png"), "there is no folder none"),
        (("--counts", "epithelial=6000", "-o", "out.h5", "--min-distance", "0"), "more than the model can hold"),
    ],
)
def test_impossible_requests_are_one_line_and_write_nothing(call, words, message):
    (Path("cells.csv")).write_text("y,x,class\n30,40,stromal\n60,10,lymphocyte\n38,40,stromal\n")
    (Path("other.csv")).write_text("y,x,class\n30,40,plasma\n")
    Image.fromarray(np.zeros((64, 64), np.uint8)).save("black.png")
    dot = np.zeros((64, 64), np.uint8)
    dot[3:5, 3:5] = 1
    Image.fromarray(dot).save("dot.png")
    Path("bad.png").write_bytes(b"\x89PNG\r\n\x1a\n not")
    Path("bad.npy").write_bytes(b"\x93NUMPY")
    np.save("flat.npy", np.ones(7))
    layout = Layout(np.array([[1, 1]], np.float32), np.zeros(1, np.uint8), (90, 90))
    export.write(Path("two.h5"), LayoutSet.build([layout, layout], CLASSES, 0.5), {})
    before = sorted(p.name for p in Path().iterdir())
    with pytest.raises(CellscaperError) as caught:
        call(*words)
    assert message in str(caught.value)
    assert sorted(p.name for p in Path().iterdir()) == before


@pytest.mark.slow
def test_an_interrupt_leaves_nothing_behind(weights, tmp_path):
    words = ["generate", "--weights", str(weights), "--density", "epithelial=4000", "--size", "2048,2048", "-n", "500"]
    process = subprocess.Popen(
        [sys.executable, "-m", "cellscaper", *words, "-o", "out.h5"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background shell ignores it
    )
    try:
        limit = time.monotonic() + 120
        while not list(tmp_path.iterdir()) and time.monotonic() < limit:
            time.sleep(0.05)
        assert list(tmp_path.iterdir())
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=120)[1]
    finally:
        process.kill()
    assert process.returncode == 1
    assert said.splitlines()[-1] == "cellscaper: stopped"
    assert list(tmp_path.iterdir()) == []


# -- parts ---------------------------------------------------------------------------------------------------


PARTS = {  # of 100 layouts of one window, and of larger and masked ones, which are denoised one by one
    "plain": ("--counts", "lymphocyte=2,epithelial=5", "-n", "100", "--min-distance", "0"),
    "small": ("--counts", "epithelial=6,stromal=2", "-n", "9", "--size", "90,120"),
    "large": ("--counts", "epithelial=20", "-n", "7", "--size", "300,260"),
}


SHORT = {"plain": [3], "small": [1, 2, 3, 7], "large": [2, 7]}  # the others are for `make test-long`
CASES = [
    pytest.param(PARTS[name], parts, id=f"{parts}-{name}", marks=[] if parts in SHORT[name] else pytest.mark.long)
    for name in PARTS for parts in (1, 2, 3, 7)
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("request_", "parts"), CASES)
def test_parts_of_any_number_are_the_whole(call, request_, parts):
    words = [*request_, "--steps", "2"]
    call(*words, "-o", "whole.h5")
    Path("parts").mkdir()
    for number in range(1, parts + 1):
        call(*words, "--part", f"{number}/{parts}", "-o", f"parts/{number}.h5")
    whole, found = export.read(Path("whole.h5")), export.read(Path("parts"))
    assert found == whole
    with h5py.File("whole.h5") as one, contextlib.ExitStack() as files:
        others = [files.enter_context(h5py.File(f"parts/{number}.h5")) for number in range(1, parts + 1)]
        for name in ("points", "labels", "size", "source", "origin", *(f"columns/{key}" for key in one["columns"])):
            assert np.array_equal(one[name][()], np.concatenate([other[name][()] for other in others]))
            assert all(one[name].dtype == other[name].dtype for other in others)


@pytest.mark.slow
@pytest.mark.parametrize("ending", [".csv", ".geojson", ".json"])
def test_parts_in_other_formats_hold_the_same_records(call, ending):
    words = ["--counts", "lymphocyte=2,epithelial=5", "-n", "7", "--steps", "1"]
    call(*words, "-o", f"whole{ending}")
    for number in (1, 2, 3):
        call(*words, "--part", f"{number}/3", "-o", f"part{number}{ending}")
    parts = [export.read(Path(f"part{number}{ending}")) for number in (1, 2, 3)]
    assert [len(one) for one in parts] == [2, 2, 3]
    assert LayoutSet.joined(parts) == export.read(Path(f"whole{ending}"))


def test_a_lost_part_is_made_again_alone(call):
    words = ["--counts", "epithelial=9", "-n", "5", "--steps", "1"]
    Path("parts").mkdir()
    for number in (1, 2):
        call(*words, "--part", f"{number}/2", "-o", f"parts/{number}.h5")
    before = Path("parts/2.h5").read_bytes()
    Path("parts/2.h5").unlink()
    with pytest.raises(CellscaperError, match="lacks part 2 of 2"):
        export.read(Path("parts"))
    call(*words, "--part", "2/2", "-o", "parts/2.h5")
    assert Path("parts/2.h5").read_bytes() == before


@pytest.mark.slow
def test_a_folder_of_parts_is_converted_like_a_file(call):
    words = ["--counts", "epithelial=9", "-n", "5", "--steps", "1"]
    Path("parts").mkdir()
    for number in (1, 2):
        call(*words, "--part", f"{number}/2", "-o", f"parts/{number}.h5")
    cli.call(["convert", "parts", "all.csv"])
    call(*words, "-o", "whole.h5")
    assert export.read(Path("all.csv")) == export.read(Path("whole.h5"))
    cli.call(["convert", "parts", "all.h5"])
    assert {one["file"] for one in read_provenance(Path("all.h5"))["inputs"].values()} == {"1.h5", "2.h5"}


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_layouts(weights, peak):
    words = ["generate", "--weights", str(weights), "--counts", "epithelial=3", "--steps", "1"]
    words += ["--min-distance", "0", "--threads", "1", "-o", "out.h5"]
    few, many = peak(*words, "-n", "500"), peak(*words, "-n", "5000")
    assert many < few + 15, f"{few:.0f} MB for 500, {many:.0f} MB for 5000"


# -- as installed --------------------------------------------------------------------------------------------


def test_the_wheel_holds_the_command_and_the_weights():
    """What pyproject promises: the console script, and package data that match every file beside the modules."""
    source = Path(cli.__file__).resolve().parent
    project = tomllib.loads((source.parent.parent / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["scripts"]["cellscaper"] == "cellscaper.cli:main"
    patterns = project["tool"]["setuptools"]["package-data"]["cellscaper"]
    listed = {path for pattern in patterns for path in source.glob(pattern)}
    data = {
        p for p in source.rglob("*") if p.is_file() and p.suffix not in (".py", ".pyc") and not p.name.startswith(".")
    }
    assert data <= listed, "add these to package-data"
    assert all((path.parent / "__init__.py").exists() for path in source.rglob("*.py"))


@pytest.mark.slow
def test_the_first_command_of_the_documentation_works_with_the_packaged_weights(tmp_path):
    """As a program of its own, in an empty folder; the layouts have the short range of tissue (real: 9.8 px)."""
    what = ["--counts", "lymphocyte=12,epithelial=60,stromal=20", "-n", "8"]
    words = [*what, "-o", "out.h5", "--png", "out.png", "--threads", "1"]
    call = [sys.executable, "-m", "cellscaper", "generate", *words]
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.h5", "out.png"]
    layouts = export.read(tmp_path / "out.h5")
    assert layouts.counts().tolist() == [[12, 60, 20]] * 8
    assert all(len(too_close(one.points, 4)) == 0 for one in layouts)
    fifth = np.percentile(nearest_neighbours(layouts)[0], 5)
    assert 6 < fifth < 13  # 4 px is the limit, uniform cells have 4.1 px there once pushed apart
