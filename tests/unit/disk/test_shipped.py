"""The weights in the package: the files of this version, their headers, and what is said if there are none."""

import json
import struct
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file

from cellscaper.disk import shipped
from cellscaper.disk.files import checksum
from cellscaper.disk.weights import read_weights, write_weights
from cellscaper.disk.weights_header import read_header
from cellscaper.errors import CellscaperError
from cellscaper.generators.packing import LARGEST
from cellscaper.generators.protocol import read_recipe


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A package with the weights `toy`."""
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    write_weights(tmp_path / "toy.safetensors", {"a": torch.ones(2)}, {"seed": 3}, classes=["x"])
    (tmp_path / "toy.sha256").write_text(f"{checksum(tmp_path / 'toy.safetensors')}  toy.safetensors\n")
    return tmp_path


NAMES = (*shipped.shipped_names(), *shipped.shipped_names("demo"))


@pytest.mark.parametrize("name", NAMES)
def test_the_files_are_those_of_this_version_and_say_what_they_are(name):
    file = shipped.shipped_file(name)
    assert file.stat().st_size <= LARGEST
    weights, facts = read_weights(file)
    assert read_header(file)[0] == facts
    packed, recipe = facts["package"], read_recipe(facts["section"])
    assert packed["name"] == name and packed["data"] and packed["licence"] and packed["how"]
    assert set(packed["counts"]) == {*facts["classes"], "all"} and recipe.region > 0
    assert {one.dtype for one in weights.values()} <= {torch.float16, torch.float32}
    assert (packed["precision"] == "fp32") == all(one.dtype == torch.float32 for one in weights.values())


def test_nothing_else_lies_among_them():
    known = {f"{name}{ending}" for name in NAMES for ending in (".safetensors", ".sha256")}
    assert {str(one.relative_to(shipped.FOLDER)) for one in shipped.FOLDER.rglob("*.*")} == known
    assert "point_diffusion" in shipped.shipped_names() and "demo/adm" in NAMES


def test_weights_that_are_not_there_are_one_line_that_says_how_to_train_them(folder):
    assert shipped.shipped_file("toy") == folder / "toy.safetensors"
    with pytest.raises(CellscaperError) as caught:
        shipped.shipped_file("topocellgen")
    assert str(caught.value) == (
        "this installation has no weights of topocellgen (it has toy); train them, for example with `make brca "
        "TRAIN=1`, and give the training's model.safetensors (docs/weights.md)"
    )


@pytest.mark.parametrize("name", ["../toy", "demo/../toy", "demo", "", "toy.safetensors", "/etc/passwd"])
def test_only_the_names_of_weights_name_weights(name, folder):
    (folder / "demo").mkdir()
    (folder / "toy.sha256").rename(folder / "demo/toy.sha256")
    with pytest.raises(CellscaperError, match=r"has no weights of .* \(it has demo/toy\)"):
        shipped.shipped_file(name)


def test_another_or_no_file_is_refused(folder):
    (folder / "toy.safetensors").write_bytes(b"x")
    with pytest.raises(CellscaperError, match="is not the file this version came with; install cellscaper again"):
        shipped.shipped_file("toy")
    (folder / "toy.safetensors").unlink()
    with pytest.raises(CellscaperError, match="is missing from this installation"):
        shipped.shipped_file("toy")


def test_a_header_is_read_without_the_tensors_and_without_torch(folder):
    file = folder / "toy.safetensors"
    assert read_header(file) == ({"classes": ["x"]}, {"seed": 3})
    file.write_bytes(file.read_bytes()[:-4])  # the end of the tensors is gone
    assert read_header(file)[0] == {"classes": ["x"]}
    code = "import sys, cellscaper.plan.weights; assert 'torch' not in sys.modules and 'h5py' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    "content",
    [b"", b"short", struct.pack("<Q", 10**12) + b"{}", struct.pack("<Q", 2) + b"{}", struct.pack("<Q", 4) + b"[1]"],
)
def test_other_files_have_no_header(content, tmp_path):
    file = tmp_path / "w.safetensors"
    file.write_bytes(content)
    with pytest.raises(CellscaperError, match="is not a readable weights file of cellscaper"):
        read_header(file)
    with pytest.raises(CellscaperError, match="does not exist"):
        read_header(tmp_path / "none.safetensors")


def test_weights_of_another_program_or_version_have_no_header(tmp_path):
    file = tmp_path / "w.safetensors"
    save_file({"a": torch.ones(1)}, file)
    with pytest.raises(CellscaperError, match="is not a readable weights file of cellscaper"):
        read_header(file)
    save_file({"a": torch.ones(1)}, file, {"cellscaper": json.dumps({"schema": "cellscaper/weights"})})
    with pytest.raises(CellscaperError, match="version None, this cellscaper reads cellscaper/weights version 1"):
        read_header(file)
