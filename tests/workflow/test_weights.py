"""Given weights in the workflow: sampled without a training, started from, and only their own jobs rerun."""

import os

import numpy as np
import pytest
import torch

from cellscaper.disk.files import checksum
from cellscaper.disk.storage import read_layouts, read_provenance
from cellscaper.disk.weights import read_weights, write_weights
from cellscaper.generators import point_diffusion
from cellscaper.generators.protocol import read_recipe
from cellscaper.layouts import Layout, LayoutSet

NETWORK = {"width": 16, "layers": 1, "heads": 2, "neighbours": 4, "edge_width": 8, "expansion": 2}
OVERLAY = """
experiments:
  given: {{base: point_diffusion, weights: {given!r}}}
  fewer: {{base: given, sampling: {{steps: 3}}}}
  tuned: {{base: point_diffusion, init: {start!r}, training: {{steps: 4}}}}
  tuned_too: {{base: point_diffusion, init: tuned, training: {{steps: 3}}}}
tables:
  mine:
    title: Mine
    kind: layouts
    rows:
      given: {{label: given, experiment: given, decoder: points}}
      fewer: {{label: fewer, experiment: fewer, decoder: points}}
      tuned: {{label: tuned, experiment: tuned_too, decoder: points}}
      trained: {{label: trained, experiment: point_diffusion, decoder: points}}
    columns: [{{metric: tce}}]
run: {{tables: [mine]}}
"""
LAYOUTS = "results/phantom/sample_layouts/{}/test/seed0/layouts.h5"
MODEL = "results/phantom/train_layout/{}/seed0/model.safetensors"


def toy(file, classes, seed):
    """Weights of the network of `ci`."""
    torch.manual_seed(seed)
    section = {"method": "point_diffusion", "region": 128, "small": "error", "settings": {"network": NETWORK}}
    recipe = read_recipe({**section, "training": {"steps": 5, "lr": 1e-3}})
    cells = LayoutSet.build([Layout(np.zeros((1, 2), np.float32), np.zeros(1, np.uint8), (128, 128))], classes, 0.5)
    found = point_diffusion.prepare(recipe, cells, None, torch.device("cpu"))
    with torch.no_grad():
        for one in found.model.parameters():
            one.add_(0.1 * torch.randn_like(one))
    told = recipe.model_dump(mode="json")
    write_weights(file, found.model.state_dict(), {"inputs": {}, "seed": 0}, section=told, classes=classes, mpp=0.5)


@pytest.fixture(scope="module")
def run(house, tmp_path_factory):
    """A house with two files of weights in which the layouts of all four experiments were made."""
    own = house.copy(tmp_path_factory.mktemp("weights") / "my house")
    made = own.snakemake("results/phantom/read_cells/cells.h5")
    assert made.status == 0, made.text
    classes = read_layouts(own.results / "read_cells/cells.h5", select=slice(0, 0)).classes
    toy(own.folder / "given one.safetensors", classes, 1)
    toy(own.folder / "start.safetensors", (classes[1], "other", classes[0]), 2)
    overlays = own.overlay("own.yaml", OVERLAY.format(given="given one.safetensors", start="start.safetensors"))
    names = ("given", "fewer", "tuned_too", "point_diffusion")
    ended = own.snakemake(*(LAYOUTS.format(name) for name in names), overlays=overlays)
    assert ended.status == 0, ended.text
    return own, overlays, ended.text


def test_given_weights_are_sampled_and_starts_trained(run):
    own, _, text = run
    trained = {path.parent.parent.name for path in own.results.glob("train_layout/*/*/model.safetensors")}
    assert trained == {"tuned", "tuned_too", "point_diffusion"}
    assert "phantom: the weights given one.safetensors (5 training steps): no training of fewer, given" in text
    assert "training starts from start.safetensors (point_diffusion, 5 steps)" in text
    assert "starting anew: " in text and "left out: other" in text
    assert f"training starts from {MODEL.format('tuned')} (point_diffusion, 4 steps), 100.00% of the numbers" in text
    given = read_provenance(own.folder / LAYOUTS.format("given"))
    sha = checksum(own.folder / "given one.safetensors")
    assert given["inputs"]["model"]["sha256"] == given["config"]["weights"] == sha
    one, other = (read_layouts(own.folder / LAYOUTS.format(name), "points") for name in ("given", "point_diffusion"))
    assert np.array_equal(one.counts(), other.counts()) and not np.array_equal(one.points, other.points)
    assert read_weights(own.folder / MODEL.format("tuned"))[1]["section"]["init"] == checksum(
        own.folder / "start.safetensors"
    )


def planned(run, overlays=None):
    own, same, _ = run
    names = ("given", "fewer", "tuned_too", "point_diffusion")
    plan = own.plan(*(LAYOUTS.format(name) for name in names), overlays=overlays or same)
    return {f"{job.rule} {job.pairs('wildcards')['experiment']}" for job in plan}, plan


def test_only_the_content_of_a_file_counts(run):
    own, _, _ = run
    assert planned(run)[0] == set()
    os.utime(own.folder / "given one.safetensors")
    os.utime(own.folder / "start.safetensors")
    assert planned(run)[0] == set()
    for name in ("given one", "start"):
        (own.folder / f"moved {name}.safetensors").write_bytes((own.folder / f"{name}.safetensors").read_bytes())
    moved = OVERLAY.format(given="moved given one.safetensors", start="moved start.safetensors")
    assert planned(run, own.overlay("moved.yaml", moved))[0] == set()


def test_another_file_reruns_what_names_it_and_nothing_else(run):
    own, _, _ = run
    classes = read_layouts(own.results / "read_cells/cells.h5", select=slice(0, 0)).classes
    toy(own.folder / "other.safetensors", classes, 3)
    given = own.overlay("a.yaml", OVERLAY.format(given="other.safetensors", start="start.safetensors"))
    jobs, plan = planned(run, given)
    assert jobs == {"sample_layouts given", "sample_layouts fewer"}
    assert all("Params have changed" in job.entries["reason"] for job in plan)
    start = own.overlay("b.yaml", OVERLAY.format(given="given one.safetensors", start="other.safetensors"))
    jobs, _ = planned(run, start)
    assert jobs == {"train_layout tuned", "train_layout tuned_too", "sample_layouts tuned_too"}
    bundled = own.folder / "src/cellscaper/weights/another.safetensors"
    bundled.write_bytes((own.folder / "other.safetensors").read_bytes())
    bundled.with_suffix(".sha256").write_text(f"{checksum(bundled)}  {bundled.name}\n")
    assert planned(run)[0] == set()  # other weights in the package rerun nothing
    bundled.unlink()
    bundled.with_suffix(".sha256").unlink()


def test_weights_of_other_cells_are_one_line(run):
    own, _, _ = run
    toy(own.folder / "strange.safetensors", ("x", "y"), 4)
    overlays = own.overlay("c.yaml", OVERLAY.format(given="strange.safetensors", start="start.safetensors"))
    ended = own.snakemake(LAYOUTS.format("fewer"), overlays=overlays)
    assert ended.status == 1
    assert "strange.safetensors was trained on the classes x, y, " in ended.text and "Traceback" not in ended.text


@pytest.mark.parametrize(
    ("presets", "trained"),
    [
        (["brca-small"], False),
        (["brca-small", "brca-train"], True),
    ],
)
def test_make_brca_trains_point_diffusion_only_if_it_is_asked_to(house, presets, trained, tmp_path):
    own = house.copy(tmp_path / "house")
    files = [f"workflow/presets/{name}.yaml" for name in presets]
    (own.folder / "my cells").mkdir()
    (own.folder / "mine.yaml").write_text("datasets: {brca_m2c: {path: my cells}}")
    jobs, ended = own.planned(overlays=(*files, "mine.yaml"))
    names = {job.pairs("wildcards")["experiment"] for job in jobs if job.rule == "train_layout"}
    assert ("point_diffusion" in names) == trained and "topocellgen" in names
    said = (
        "brca_m2c: the bundled weights point_diffusion (16 500 training steps on cells of the 80 training images of "
        "BRCA-M2C (Abousamra et al. 2021)): no training of point_diffusion"
    )
    assert (said in ended.text) != trained
