"""score_images on images whose scores are known: the training images themselves, and darker ones."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from cellscaper.detectors import unet
from cellscaper.disk.storage import write_images, write_layouts
from cellscaper.disk.weights import write_weights
from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.metrics import image_copies
from cellscaper.metrics.image_quality import image_windows
from cellscaper.stages import draw_copies, score_images

CLASSES = ("a", "b")
SETTINGS = unet.Settings(width=4, depth=2, min_area=4)
DETECTOR = {"method": "unet", "settings": SETTINGS.model_dump()}
CONFIG = {"region": 32, "small": "error", "tile": 16, "glass": 0.15, "shrinkage": "none", "radius": 6}
SIDE = 64


def darker(image):
    """Its stain by log10 2 stronger, rounded."""
    return ((image.astype(int) + 1) // 2 - 1).clip(0).astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four training and two test images, a U-Net, and painted images that are the windows of the training images."""
    folder, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    pixels = [rng.integers(0, 180, (SIDE, SIDE, 3)).astype(np.uint8) for _ in range(6)]
    pixels[4:] = [darker(image) for image in pixels[4:]]
    points = rng.uniform(0, SIDE - 1, (6, 30, 2)).astype(np.float32)
    labels = rng.integers(0, 2, (6, 30)).astype(np.uint8)
    items = [Layout(points[i], labels[i], (SIDE, SIDE), f"i{i}") for i in range(6)]
    cells = LayoutSet.build(items, CLASSES, 0.5, {"split": np.array(["train"] * 4 + ["test"] * 2)})
    write_layouts(folder / "cells.h5", cells, {})
    with write_images(folder / "images.h5", {}) as file:
        for image in pixels:
            file.append(image)
    layouts, images = image_windows(cells.where(split="train"), pixels[:4], CONFIG["region"])
    write_layouts(folder / "layouts.h5", {"points": layouts}, {})
    with write_images(folder / "painted.h5", {}) as file:
        for image in images:
            file.append(image)
    torch.manual_seed(0)
    write_weights(
        folder / "unet.safetensors", unet.build(SETTINGS, 2).state_dict(), {}, section=DETECTOR, classes=list(CLASSES)
    )
    return folder


def scores(folder, monkeypatch, model="unet.safetensors", **config):
    given = {"cells": "cells.h5", "images": "images.h5", "model": model, "scores": "scores.csv"}
    if config["real"] is None:
        given |= {"layouts": "layouts.h5", "painted": "painted.h5"}
    words = [word for name, file in given.items() for word in (f"--{name}", str(folder / file))]
    words += [
        "--dataset",
        "d",
        "--experiment",
        "e",
        "--decoder",
        "points",
        "--config",
        json.dumps({**CONFIG, **config}),
    ]
    monkeypatch.setattr("sys.argv", ["stage", *words])
    score_images.main()
    frame = pd.read_csv(folder / "scores.csv", keep_default_na=False)
    return frame.set_index(["metric", "class"])["value"].astype(float), frame["n"].iloc[0]


def test_the_training_images_themselves_are_at_distance_zero(folder, monkeypatch):
    found, n = scores(folder, monkeypatch, real=None)
    assert n == 16
    assert found[["stain_mean", "stain_frechet", "glass", "image_fid"]].to_numpy() == pytest.approx(0, abs=1e-5)
    assert {name for metric, name in found.index if metric == "dot_recall"} == {"a", "b", "mean", "detection"}


def test_darker_test_images_are_as_far_as_they_are_darker(folder, monkeypatch):
    found, n = scores(folder, monkeypatch, real="test")
    assert n == 8
    assert found["stain_mean", ""] == pytest.approx(np.sqrt(3) * np.log10(2), rel=0.05)
    assert found["image_fid", ""] > 0 and "dot_recall" in found.index.get_level_values(0)


def test_halves_of_the_training_images_have_no_recall(folder, monkeypatch):
    found, n = scores(folder, monkeypatch, real="halves", tile=8)
    assert n == 8 and found["stain_mean", ""] < 0.02
    assert not {"dot_recall", "dot_precision"} & set(found.index.get_level_values(0))


def test_the_copy_audit_is_made_where_a_table_shows_it(folder, monkeypatch):
    audit = image_copies.Settings().model_dump()
    found, _ = scores(folder, monkeypatch, real=None, copies=audit)
    assert found["copied_pixels", ""] == found["copied_piece", "max"] == 1
    found, _ = scores(folder, monkeypatch, real="test", copies=audit)
    assert found["copied_pixels", ""] == 0
    assert "copied_pixels" not in scores(folder, monkeypatch, real="test")[0].index.get_level_values(0)


def test_the_figure_of_copies_is_drawn(folder, monkeypatch):
    given = {"cells": "cells.h5", "images": "images.h5", "painted": "painted.h5", "picture": "copies.png"}
    words = [word for name, file in given.items() for word in (f"--{name}", str(folder / file))]
    settings = image_copies.Settings().model_dump_json()
    monkeypatch.setattr("sys.argv", ["stage", *words, "--config", settings])
    draw_copies.main()
    with Image.open(folder / "copies.png") as picture:
        assert picture.format == "PNG" and picture.width > 400


def test_too_few_tiles_and_another_detector_are_refused(folder, monkeypatch):
    with pytest.raises(CellscaperError, match="image FID: 8 real tiles for 16 features, needs at least 17"):
        scores(folder, monkeypatch, real="halves", tile=32)
    write_weights(folder / "other.safetensors", {}, {}, section={"method": "mcspatnet"}, classes=["a"])
    with pytest.raises(CellscaperError, match="is a mcspatnet of a; images of .* are scored by a unet of a, b"):
        scores(folder, monkeypatch, real="test", model="other.safetensors")
