"""The page of a model: what stands in it, and that docs/page.html is today's."""

import base64
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from cellscaper import cli
from cellscaper.disk import export
from cellscaper.disk.weights import write_weights
from cellscaper.errors import CellscaperError
from cellscaper.generators.pointsets.network import PointDenoiser
from cellscaper.generators.pointsets.packaged import load_packaged
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.page.assemble import LARGEST, VIEW, WORKER, packaged_curves
from cellscaper.page.weights import packed, unpacked

ROOT = Path(__file__).resolve().parents[3]
SMALL = {"width": 16, "layers": 1, "heads": 2, "neighbours": 4, "edge_width": 8, "expansion": 2}


@pytest.fixture(scope="module")
def bundled(tmp_path_factory):
    """The page that the command makes."""
    path = tmp_path_factory.mktemp("page") / "page.html"
    cli.call(["page", "-o", str(path)])
    return path


def own_model(path, classes=("a", "b"), **changes):
    torch.manual_seed(0)
    settings = SMALL | changes
    section = {"method": "point_diffusion", "region": 128, "settings": {"network": settings}}
    state = PointDenoiser(len(classes), 128, **settings).state_dict()
    write_weights(path, state, {}, classes=list(classes), mpp=0.5, section=section)
    return path


def model_of(page):
    text = page.read_text(encoding="utf-8")
    return json.loads(re.search(r'id="model">(.*?)</script>', text)[1])


def weights_of(page):
    return re.search(r'id="weights">(.*?)</script>', page.read_text(encoding="utf-8"))[1]


def test_the_page_in_docs_is_todays(bundled):
    same = (ROOT / "docs/page.html").read_bytes() == bundled.read_bytes()
    assert same, "its sources changed: run `python docs/make_page.py`"  # pytest would compare 3 MB for minutes


def test_it_is_small_and_needs_nothing_else(bundled):
    text = bundled.read_text(encoding="utf-8")
    assert bundled.stat().st_size <= LARGEST
    assert "default-src 'none'" in text
    assert not re.search(r"(src|href)=\"(?!data:)", text)
    assert set(re.findall(r"https?://[^\s\"]*", text)) == {"http://www.w3.org/2000/svg"}  # a name, not a place
    assert not re.search(r"\b(fetch|XMLHttpRequest|WebSocket|importScripts)\b", text)
    assert not re.search(r"__[A-Z]+__", text)


def luminance(shade):
    parts = [int(shade[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return np.dot([0.2126, 0.7152, 0.0722], [((p + 0.055) / 1.055) ** 2.4 if p > 0.04 else p / 12.92 for p in parts])


def test_fields_and_words_stand_out_in_light_and_dark():
    """WCAG 2.2: 4.5 for words, 3 for the border of a field."""
    style = (ROOT / "src/cellscaper/page/page.css").read_text(encoding="utf-8")
    schemes = re.findall(r"--ink:.*?\}", style, re.DOTALL)
    assert len(schemes) == 2
    for text in schemes:
        shades = {name: luminance(shade) for name, shade in re.findall(r"--(\w+): (#[0-9a-f]{6})\b", text)}
        ground = luminance(re.search(r"--ground: (#\w+)", text)[1].ljust(7, "f"))  # #fff
        for name, least in (("ink", 4.5), ("soft", 4.5), ("link", 4.5), ("warn", 4.5), ("button", 3)):
            light, dark = max(shades[name], ground), min(shades[name], ground)
            assert (light + 0.05) / (dark + 0.05) >= least, name


def test_every_program_is_in_the_page():
    folder = ROOT / "src/cellscaper/page"
    for name, listed in (("worker", WORKER), ("view", VIEW)):
        assert sorted(listed) == sorted(file.stem for file in (folder / name).glob("*.js"))
    for file in folder.rglob("*.js"):
        assert file.read_text(encoding="utf-8").count("\n") <= 300, file


def test_the_weights_of_the_page_are_the_models(bundled):
    network, _ = load_packaged()
    found = unpacked(weights_of(bundled), model_of(bundled)["tensors"])
    assert found.keys() == network.state_dict().keys()
    for name, one in network.state_dict().items():
        rows = one.numpy().reshape(len(one) if one.ndim > 1 else 1, -1)
        error = np.abs(found[name].reshape(rows.shape) - rows).max(axis=1)
        assert (error <= np.abs(rows).max(axis=1) / 32767 * 0.51 + 1e-9).all(), name


def test_a_row_of_zeros_stays_zero():
    text, shapes = packed({"one": torch.zeros(2, 3), "two": torch.tensor([0.0, -1.0, 0.25])})
    found = unpacked(text, shapes)
    assert not found["one"].any()
    assert np.allclose(found["two"], [0, -1, 0.25], atol=1e-5)
    assert len(base64.b64decode(text)) == 4 * 3 + 2 * 9


def test_an_own_model_has_a_page_with_its_own_tissue(tmp_path):
    rng = np.random.default_rng(0)
    layouts = [Layout(rng.uniform(0, 300, (200, 2)), rng.integers(0, 2, 200), (300, 300)) for _ in range(8)]
    export.write(tmp_path / "real.h5", LayoutSet.build(layouts, ("a", "b"), 0.5), {})
    model = own_model(tmp_path / "my model.safetensors")
    cli.call(["page", str(model), "--real", str(tmp_path / "real.h5"), "-o", str(tmp_path / "own.html")])
    found = model_of(tmp_path / "own.html")
    assert found["classes"] == ["a", "b"] and found["network"]["region"] == 128
    assert found["command"] == "cellscaper generate --weights 'my model.safetensors'"
    assert found["size"] == 128  # its counts are of such a region
    real = found["curves"]["real"]
    assert real["name"] == "real.h5" and real["windows"] == 8 * 9
    assert set(real["pairs"]) == {"a-a", "a-b", "b-b"} and set(real["nearest"]) == {"a", "b", "any"}
    middle = np.array(real["pairs"]["a-b"]["middle"])
    assert len(middle) == sum(r <= 64 for r in found["curves"]["radii"])
    assert np.abs(middle[5:]).max() < 3  # independent cells
    assert sum(real["counts"]) == pytest.approx(200 * (128 / 300) ** 2, abs=3)
    cli.call(["page", str(model), "-o", str(tmp_path / "bare.html")])
    assert model_of(tmp_path / "bare.html")["curves"]["real"] is None


def test_names_that_look_like_parts_of_the_page_stay_names(tmp_path):
    model = own_model(tmp_path / "my__WEIGHTS__.safetensors", classes=("__WORKER__", "__VIEW__"))
    cli.call(["page", str(model), "-o", str(tmp_path / "own.html")])
    assert "The model is my__WEIGHTS__.safetensors." in (tmp_path / "own.html").read_text(encoding="utf-8")
    assert model_of(tmp_path / "own.html")["classes"] == ["__WORKER__", "__VIEW__"]


def test_bad_input_is_one_line_and_writes_nothing(tmp_path):
    model = own_model(tmp_path / "own.safetensors")
    (tmp_path / "text.safetensors").write_text("not a model", encoding="utf-8")
    layouts = LayoutSet.build([Layout(np.zeros((1, 2)), np.zeros(1), (300, 300))], ("a", "other"), 0.5)
    export.write(tmp_path / "real.h5", layouts, {})
    layouts = LayoutSet.build([Layout(np.zeros((1, 2)), np.zeros(1), (300, 300))], ("a", "b"), 0.25)
    export.write(tmp_path / "fine.h5", layouts, {})
    large = own_model(tmp_path / "large.safetensors", width=512)
    for words, message in (
        (["text.safetensors", "-o", "p.html"], "is not a readable weights file"),
        (["missing.safetensors", "-o", "p.html"], "there is no such file"),
        (["real.h5", "-o", "p.html"], "unknown ending '.h5', expected .safetensors"),
        (["own.safetensors", "-o", "p.png"], "unknown ending '.png', expected .html"),
        (["own.safetensors", "-o", "no/p.html"], "there is no folder"),
        (["own.safetensors", "--real", "real.h5", "-o", "p.html"], "has the classes a, other, the model a, b"),
        (["own.safetensors", "--real", "fine.h5", "-o", "p.html"], "has 0.25 µm a pixel, the model 0.5; rescale"),
        (["--real", "real.h5", "-o", "p.html"], "the model lymphocyte, epithelial, stromal"),
        (["large.safetensors", "-o", "p.html"], "expected at most 4; train a smaller network"),
    ):
        words = [str(tmp_path / word) if "." in word else word for word in words]
        with pytest.raises(CellscaperError) as error:
            cli.call(["page", *words])
        assert message in str(error.value) and "\n" not in str(error.value)
    assert model.exists() and large.exists()
    assert not (tmp_path / "p.html").exists()


def test_the_curves_of_the_bundled_model_hold_statistics_alone():
    curves = packaged_curves()
    assert set(curves) == {"name", "windows", "counts", "pairs", "nearest"}
    for kind in ("pairs", "nearest"):
        for one in curves[kind].values():
            assert set(one) == {"low", "middle", "high"}
            low, middle, high = (np.array(one[key]) for key in ("low", "middle", "high"))
            assert (low <= middle).all() and (middle <= high).all()
