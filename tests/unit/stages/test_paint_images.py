"""paint_images with a painter that is not trained: it paints with the training images of the data set."""

import json

import numpy as np

from cellscaper.disk.storage import ImageSet, read_provenance, write_images, write_layouts
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.stages import paint_images

SETTINGS = {"radius": 8, "free_radius": 8, "core": 3, "keep": 8, "batch": 1}


def test_quilt_paints_with_the_training_images_alone(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 100, (64, 60, 3)).astype(np.uint8) + np.uint8(100 * i) for i in range(2)]
    points, labels = rng.uniform(0, 60, (2, 20, 2)).astype(np.float32), rng.integers(0, 2, (2, 20)).astype(np.uint8)
    cells = LayoutSet.build(
        [Layout(points[i], labels[i], (64, 60), str(i)) for i in range(2)],
        ("a", "b"),
        0.5,
        {"split": np.array(["train", "test"])},
    )
    write_layouts(tmp_path / "cells.h5", cells, {})
    with write_images(tmp_path / "images.h5", {}) as file:
        for image in images:
            file.append(image)
    layouts = [Layout(points[1][:6] / 2, labels[1][:6], (32, 32))] * 2
    write_layouts(tmp_path / "layouts.h5", {"points": LayoutSet.build(layouts, ("a", "b"), 0.5)}, {})
    given = {"cells": "cells.h5", "images": "images.h5", "layouts": "layouts.h5", "painted": "painted.h5"}
    words = [word for name, file in given.items() for word in (f"--{name}", str(tmp_path / file))]
    section = json.dumps({"method": "quilt", "settings": SETTINGS})
    monkeypatch.setattr("sys.argv", ["stage", *words, "--model", "--decoder", "points", "--config", section])
    paint_images.main()
    with ImageSet(tmp_path / "painted.h5") as painted:
        made = list(painted)
    assert [image.shape for image in made] == [(32, 32, 3)] * 2
    assert max(int(image.max()) for image in made) < 100  # the test image is brighter
    assert not np.array_equal(*made)  # each has its own seed
    assert read_provenance(tmp_path / "painted.h5")["config"]["method"] == "quilt"
