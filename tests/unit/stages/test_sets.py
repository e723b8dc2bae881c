"""generate_set and paint_set: the parts of any number are the whole set, with systems that compute in batches."""

import json
import sys

import numpy as np
import pytest
import torch

from cellscaper.disk.storage import ImageSet, read_array, read_layouts, read_provenance, write_layouts
from cellscaper.disk.weights import write_weights
from cellscaper.errors import CellscaperError
from cellscaper.generators.protocol import read_recipe
from cellscaper.painters import diffusion
from cellscaper.run.methods import method
from cellscaper.stages import generate_set, paint_set
from cellscaper.training.settings import Training

from .conftest import CLASSES, some_layouts

NETWORK = {"channels": 8, "blocks": 1, "multipliers": [1, 2], "attention": [], "head_channels": 8}
GRID = {"region": 64, "stride": 4, "marker": 1, "low": -1, "high": 1}
SYSTEMS = {
    "spatial_diffusion": {
        "settings": {"network": NETWORK},
        "grid": GRID,
        "density": {"method": "kde", "settings": {}},
        "sampling": {"steps": 3, "batch": 4, "keep_density": 6},
    },
    "point_diffusion": {
        "settings": {
            "network": {"width": 16, "layers": 1, "heads": 2, "neighbours": 4, "edge_width": 8, "expansion": 2}
        },
        "sampling": {"steps": 3, "batch": 4},
    },
    "random": {"sampling": {}},
}
NUMBER = 30


def shaken(model):
    """The model with weights that are not those of its start, so that it answers to its input."""
    with torch.no_grad():
        for one in model.parameters():
            one.add_(0.1 * torch.randn(one.shape))
    return model.state_dict()


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with the training cells and weights of the systems and of a painter."""
    folder = tmp_path_factory.mktemp("sets")
    cells = some_layouts(3, 96, 0, split=np.array(["train", "train", "test"]))
    write_layouts(folder / "cells.h5", cells, {})
    torch.manual_seed(0)
    for name, system in SYSTEMS.items():
        if "settings" in system:
            own = {key: system[key] for key in ("settings", "grid", "density") if key in system}
            training = Training(steps=1, batch=1, lr=1e-3).model_dump(mode="json")
            recipe = read_recipe({"method": name, "training": training, "region": 64, "small": "error", **own})
            made = method("generators", name).prepare(recipe, cells, None, torch.device("cpu"))
            facts = {"section": made.recipe.model_dump(mode="json"), "classes": list(CLASSES), "mpp": 0.5, **made.facts}
            write_weights(folder / f"{name}.safetensors", shaken(made.model), {}, **facts)
    settings = {"grid": {**GRID, "stride": 1}, "network": NETWORK, "training": training}
    network = diffusion.ImageNetwork(diffusion.Settings(**settings), 3)
    section = {"method": "diffusion", "settings": settings}
    write_weights(folder / "painter.safetensors", shaken(network), {}, section=section, classes=list(CLASSES), mpp=0.5)
    return folder


@pytest.fixture
def stage(home, monkeypatch):
    """Run a stage's command line in the folder."""
    monkeypatch.chdir(home)

    def run(module, config, *words):
        line = ["stage", "--threads", "1", "--config", json.dumps(config), *map(str, words)]
        monkeypatch.setattr(sys, "argv", line)
        module.main()

    return run


def generate(stage, system, parts, folder):
    section = {"method": system, "settings": SYSTEMS[system]["sampling"], "region": 64, "small": "error"}
    section |= {"counts": "crops", "layouts": NUMBER, "unit": 4}
    model = [] if system == "random" else [f"{system}.safetensors"]
    for part in range(1, parts + 1):
        out = folder / f"part{part}-of-{parts}" / "layouts.h5"
        words = ["--cells", "cells.h5", "--targets", "--model", *model, "--part", part, "--parts", parts]
        stage(generate_set, section, *words, "--layouts", out)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("system", SYSTEMS)
def test_parts_of_any_number_are_the_whole(stage, system, tmp_path):
    whole = generate(stage, system, 1, tmp_path / "1")
    decoder = "requested" if system == "spatial_diffusion" else "points"
    wanted = read_layouts(whole, decoder)
    assert len(wanted) == NUMBER
    assert wanted.columns["target"].tolist() == list(range(NUMBER))
    assert np.array_equal(wanted.columns["requested"], wanted.counts())
    assert len({one.points.tobytes() for one in wanted}) == NUMBER
    for parts in (2, 3, 7):
        found = generate(stage, system, parts, tmp_path / str(parts))
        assert read_layouts(found, decoder) == wanted
        if system == "spatial_diffusion":
            first = [
                read_array(one / f"part1-of-{n}" / "layouts.h5", "density") for one, n in ((whole, 1), (found, parts))
            ]
            assert len(first[0]) == 6
            assert np.array_equal(first[0][: len(first[1])], first[1])


@pytest.mark.slow
def test_images_of_any_number_of_parts_are_the_whole(stage, tmp_path):
    config = {"method": "diffusion", "settings": {"steps": 3, "batch": 2}, "layouts": NUMBER, "unit": 4}
    images = {}
    for parts in (1, 2, 3, 7):
        folder = generate(stage, "random", parts, tmp_path / str(parts))
        for part in range(1, parts + 1):
            own = folder / f"part{part}-of-{parts}"
            words = ["--layouts", own / "layouts.h5", "--decoder", "points", "--model", "painter.safetensors"]
            words += ["--cells", "--images", "--part", part, "--parts", parts, "--painted", own / "images.h5"]
            stage(paint_set, config, *words)
        with ImageSet(folder) as found:
            images[parts] = list(found)
    assert len(images[1]) == NUMBER
    assert len({one.tobytes() for one in images[1]}) == NUMBER
    for parts in (2, 3, 7):
        assert all(np.array_equal(one, other) for one, other in zip(images[parts], images[1], strict=True))


def test_a_part_says_which_it_is(stage, tmp_path):
    generate(stage, "random", 3, tmp_path)
    record = read_provenance(tmp_path / "part2-of-3" / "layouts.h5")
    assert (record["stage"], record["part"], record["config"]["layouts"]) == ("generate_set", [2, 3], NUMBER)


def test_layouts_of_another_number_of_parts_are_not_painted(stage, tmp_path):
    generate(stage, "random", 3, tmp_path)
    config = {"method": "diffusion", "settings": {"steps": 2}, "layouts": NUMBER, "unit": 4}
    words = [
        "--layouts",
        tmp_path / "part1-of-3" / "layouts.h5",
        "--decoder",
        "points",
        "--model",
        "painter.safetensors",
    ]
    with pytest.raises(CellscaperError, match="expected 4"):
        stage(paint_set, config, *words, "--part", 1, "--parts", 7, "--painted", tmp_path / "images.h5")
