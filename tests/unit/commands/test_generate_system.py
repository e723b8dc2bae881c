"""`cellscaper generate` with systems other than point diffusion, by toy weights: what they can do, and what not."""

from pathlib import Path

import numpy as np
import pytest
import torch

from cellscaper import cli
from cellscaper.disk import export, shipped
from cellscaper.disk.files import checksum
from cellscaper.disk.storage import read_provenance
from cellscaper.disk.weights import write_weights
from cellscaper.errors import CellscaperError
from cellscaper.generators.protocol import Request, read_recipe
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.run.methods import method
from cellscaper.run.seeds import sample_seeds

CLASSES = ("lymphocyte", "epithelial", "stromal")
NETWORK = {"channels": 16, "blocks": 1, "multipliers": [1, 2], "attention": [], "head_channels": 16, "fold": 2}
MAPS = {
    "settings": {"network": NETWORK, "diffusion": {"steps": 50, "prediction": "v", "learn_variance": False}},
    "grid": {"region": 128, "stride": 4, "marker": 1, "low": -0.2, "high": 4.0},
    "condition": {"kind": "class_counts", "scale": 10.0, "drop": 0.1},
}
SYSTEMS = {
    "topocellgen": MAPS,
    "adm": {**MAPS, "condition": {"kind": "class_counts", "scale": 10.0}},
    "spatial_diffusion": {**MAPS, "density": {"method": "gmm", "settings": {}}},
    "tmccg": {
        "settings": {
            "network": {"width": 16, "layers": 2, "radial": 6, "noise": 2},
            "discriminator": {"width": 8},
            "radii": [6, 12],
            "bank": 8,
        }
    },
}
RANGE = {"lymphocyte": [0, 9], "epithelial": [0, 30], "stromal": [0, 9], "all": [1, 40]}


def trained(name):
    """An untrained network of a system with its facts, as the package has them."""
    rng = np.random.default_rng(0)
    points, labels = rng.uniform(0, 140, (60, 2)).astype(np.float32), rng.integers(0, 3, 60).astype(np.uint8)
    cells = LayoutSet.build([Layout(points, labels, (140, 140))], CLASSES, 0.5)
    training = {"steps": 2, "lr": 1e-3}
    section = {"method": name, "region": 128, "small": "error", "training": training, **SYSTEMS[name]}
    torch.manual_seed(0)
    density = [torch.zeros(3, 35, 35)] if "density" in section else None
    found = method("generators", name).prepare(read_recipe(section), cells, density, torch.device("cpu"))
    with torch.no_grad():
        for one in found.model.parameters():
            one.add_(0.1 * torch.randn_like(one))
    sampling = {"batch": 4} if name == "tmccg" else {"steps": 3, "batch": 4}
    packed = {"name": name, "counts": RANGE, "sampling": sampling}
    facts = {"section": found.recipe.model_dump(mode="json"), "classes": list(CLASSES), "mpp": 0.5, "package": packed}
    return found.model.state_dict(), {**facts, **found.facts}


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A folder of the package with toy weights of every other system."""
    folder = tmp_path_factory.mktemp("weights")
    for name in SYSTEMS:
        tensors, facts = trained(name)
        file = folder / f"{name}.safetensors"
        halves = {key: one.half() if one.dim() > 1 else one for key, one in tensors.items()}
        write_weights(file, halves, {"seed": 0}, **facts)
        file.with_suffix(".sha256").write_text(f"{checksum(file)}  {file.name}\n")
    return folder


@pytest.fixture
def call(package, tmp_path, monkeypatch):
    """Run `generate` with that package, in an empty folder."""
    monkeypatch.setattr(shipped, "FOLDER", package)
    monkeypatch.chdir(tmp_path)

    def generate(*words):
        cli.call(["generate", "--threads", "1", *words])

    return generate


COUNTS = ("--counts", "lymphocyte=3,epithelial=12")


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_system_makes_exactly_the_counts(call, name, capsys):
    call("--system", name, *COUNTS, "-n", "3", "--seed", "5", "-o", "out.h5", "--png", "out.png")
    layouts = export.read(Path("out.h5"))
    assert layouts.classes == CLASSES and layouts.mpp == 0.5 and layouts.common_size() == (128, 128)
    assert layouts.counts().tolist() == [[3, 12, 0]] * 3
    assert layouts.columns["requested"].tolist() == [[3, 12, 0]] * 3
    record = read_provenance(Path("out.h5"))["config"]
    assert (record["model"], record["system"], record["size"]) == (f"package:{name}", name, [128, 128])
    assert "warning" not in capsys.readouterr().err
    call("--system", name, *COUNTS, "-n", "3", "--seed", "5", "-o", "again.h5")
    assert export.read(Path("again.h5")) == layouts
    call("--system", name, *COUNTS, "-n", "1", "--seed", "6", "-o", "other.h5")
    assert not np.array_equal(export.read(Path("other.h5")).points, layouts[:1].points)


def test_the_layouts_are_those_of_the_generator_with_these_seeds(call, package):
    """The command adds nothing to the generator: same weights, seeds, settings."""
    call("--system", "topocellgen", *COUNTS, "-n", "2", "--decoder", "peaks", "--guidance", "1.5", "-o", "out.h5")
    from cellscaper.disk.weights import read_weights

    weights, facts = read_weights(package / "topocellgen.safetensors")
    generator = method("generators", "topocellgen")
    labels = np.repeat([0, 1], [3, 12]).astype(np.uint8)
    target = Layout(np.ones((15, 2), np.float32), labels, (128, 128))
    targets = LayoutSet.build([target] * 2, CLASSES, 0.5)
    settings = generator.Sampling(steps=3, guidance=1.5)
    seeds = sample_seeds(0, 2, 0)
    wanted = generator.generate(Request(targets, seeds, settings, targets, 128, weights=weights, facts=facts))
    found, own = export.read(Path("out.h5")), wanted.sets["peaks"]
    assert found.columns["seed"].tolist() == seeds
    assert np.array_equal(found.points, own.points) and np.array_equal(found.labels, own.labels)


def test_other_decoders_say_how_far_the_counts_are(call, capsys):
    call("--system", "topocellgen", *COUNTS, "-n", "2", "--decoder", "components", "-o", "out.csv")
    said = capsys.readouterr().err
    assert "topocellgen, decoder components: 15 cells asked for, " in said
    assert "of 2 layouts have exactly the counts (--decoder requested: all)" in said


def test_densities_are_per_square_millimetre_of_the_region(call):
    call("--system", "tmccg", "--density", "epithelial=5000,stromal=1000", "-o", "out.h5")  # 0.004096 mm²
    assert export.read(Path("out.h5")).counts().tolist() == [[0, 20, 4]]


def test_your_own_weights_say_which_system_they_are(call, package):
    file = str(package / "tmccg.safetensors")
    call("--weights", file, *COUNTS, "--size", "128,128", "-o", "out.h5")
    record = read_provenance(Path("out.h5"))
    assert record["config"]["model"] == "own" and record["config"]["system"] == "tmccg"
    assert record["inputs"]["weights"]["sha256"] == checksum(Path(file))
    with pytest.raises(
        CellscaperError, match="tmccg.safetensors is a model of tmccg, --system says adm; leave one out"
    ):
        call("--weights", file, "--system", "adm", *COUNTS, "-o", "out.h5")


def test_counts_that_were_not_trained_are_a_warning(call, capsys):
    call("--system", "tmccg", "--counts", "lymphocyte=20,epithelial=25", "-o", "out.h5")
    assert (
        "warning: lymphocyte 20 (trained on 0 to 9), all 45 (trained on 1 to 40) in 128 × 128 px: the model has seen "
        "no such counts\n"
    ) in capsys.readouterr().err
    assert export.read(Path("out.h5")).counts().tolist() == [[20, 25, 0]]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["topocellgen", "tmccg"])
def test_parts_of_any_number_are_the_whole(call, name):
    words = ["--system", name, *COUNTS, "-n", "38"]
    call(*words, "-o", "whole.h5")
    call(*words, "-n", "3", "-o", "few.h5")
    assert export.read(Path("few.h5")) == export.read(Path("whole.h5"))[:3]
    for parts in (2, 3, 10):
        Path(f"in{parts}").mkdir()
        for number in range(1, parts + 1):
            call(*words, "--part", f"{number}/{parts}", "-o", f"in{parts}/{number}.h5")
        assert export.read(Path(f"in{parts}")) == export.read(Path("whole.h5"))


@pytest.mark.slow
@pytest.mark.long
def test_memory_does_not_grow_with_the_number_of_layouts(package, peak):
    words = ["generate", "--weights", str(package / "topocellgen.safetensors"), *COUNTS]
    words += ["--steps", "2", "--threads", "1", "-o", "out.h5"]
    few, many = peak(*words, "-n", "64"), peak(*words, "-n", "960")
    assert many < few + 15, f"{few:.0f} MB for 64, {many:.0f} MB for 960"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--system", "point_diffusion"), "this installation has no weights of point_diffusion (it has adm, spatial"),
        (("-n", "9", "--part", "1/4"), "4 parts of 9 layouts, made 4 at a time,: there can be at most 3 parts"),
        (("--system", "gan"), "this installation has no weights of gan (it has adm, spatial_diffusion, tmccg, topoc"),
        (("--mask", "mask.npy"), "--mask: topocellgen makes whole regions of 128 × 128 px; leave it out, or take --s"),
        (("--around", "mask.npy"), "--around: topocellgen makes whole regions"),
        (("--spread", "mask.npy"), "--spread: topocellgen makes whole regions"),
        (("--min-distance", "4"), "--min-distance: topocellgen makes whole regions"),
        (("--size", "256,256"), "--size 256,256: topocellgen makes regions of 128,128 px, no others; leave it out"),
        (("--decoder", "points"), "--decoder points: layouts of topocellgen are read by components or released or pe"),
        (("--counts", "tumour=3"), "--counts: unknown class 'tumour'. The model has lymphocyte, epithelial, stromal"),
        (("--counts", "epithelial=0"), "no cells are asked for; give at least one class a count above 0"),
        (
            ("--counts", "epithelial=2000"),
            "2000 cells of class 1 (counted from 0) requested on a map of 32 × 32 pixels: only 1024 markers of",
        ),
        (("--steps", "60"), "60 sampling steps"),
        (("--guidance", "-1"), "--guidance '-1': expected a number of at least 0"),
        (
            ("--system", "tmccg", "--steps", "5"),
            "--steps: tmccg makes a layout in one pass, without steps; leave it out",
        ),
        (("--system", "tmccg", "--guidance", "1"), "--guidance: tmccg makes a layout in one pass, without guidance"),
        (("--system", "tmccg", "--decoder", "peaks"), "--decoder peaks: layouts of tmccg are read by points"),
        (("--system", "adm", "--guidance", "2"), "guidance = 2: the training withheld no counts; train with condition"),
    ],
)
def test_what_a_system_cannot_do_is_one_line_and_writes_nothing(call, words, line):
    np.save("mask.npy", np.ones((128, 128), bool))
    given = [] if "--system" in words else ["--system", "topocellgen"]
    counts = [] if "--counts" in words else ["--counts", "epithelial=20"]
    with pytest.raises(CellscaperError) as caught:
        call(*given, *counts, *words, "-o", "out.h5")
    assert line in str(caught.value) and "\n" not in str(caught.value)
    assert [file.name for file in Path().iterdir()] == ["mask.npy"]


def test_point_diffusion_has_no_maps_to_decode(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for option in ("--decoder", "--guidance"):
        with pytest.raises(CellscaperError, match=f"{option}: point_diffusion places cells and makes no maps"):
            cli.call(["generate", "--counts", "epithelial=3", option, "1", "-o", "out.h5"])


def test_the_bundled_model_warns_of_counts_that_it_has_not_seen(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["--min-distance", "0", "--steps", "1", "--threads", "1", "-o", "out.h5"]
    cli.call(["generate", "--counts", "stromal=10", "--size", "64,64", *words])
    assert "warning: stromal 160 (trained on 0 to 86) in 256 × 256 px" in capsys.readouterr().err
    cli.call(["generate", "--counts", "stromal=4", "--size", "64,64", *words])
    assert "warning" not in capsys.readouterr().err
