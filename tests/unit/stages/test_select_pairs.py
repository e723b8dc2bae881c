"""select_pairs keeps the pairs in whose images a detector finds the layout's cells."""

import json

import numpy as np
import pytest
import torch

from cellscaper.detectors import unet
from cellscaper.disk.storage import ImageSet, read_layouts, write_images, write_layouts
from cellscaper.disk.weights import write_weights
from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.metrics.dot_recall import recall_by_image
from cellscaper.stages import select_pairs

CLASSES = ("a", "b")


def layouts(*points):
    made = [Layout(np.array(one, np.float32).reshape(-1, 2), np.zeros(len(one), np.uint8), (64, 64)) for one in points]
    return LayoutSet.build(made, CLASSES, 0.5, {"target": np.arange(len(made))})


def bright(*points):
    """An image with a white square at each place."""
    image = np.zeros((64, 64, 3), np.uint8)
    for y, x in points:
        image[y - 3 : y + 4, x - 3 : x + 4] = 255
    return image


def find(image):
    """The centres of the white squares, all of class b."""
    points = np.argwhere((image == 255).all(-1))
    groups = {tuple(np.rint(point / 20).astype(int)): [] for point in points}
    for point in points:
        groups[tuple(np.rint(point / 20).astype(int))].append(point)
    centres = np.array([np.mean(group, axis=0) for group in groups.values()]).reshape(-1, 2)
    return centres.astype(np.float32), np.ones(len(centres), np.uint8)


def test_recall_counts_cells_of_any_class_one_to_one():
    cells = layouts([(20, 20), (20, 40)], [(20, 20), (22, 20)], [], [(40, 40)])
    images = [bright((20, 20), (20, 40)), bright((20, 20)), bright((20, 20)), bright((20, 20))]
    assert recall_by_image(cells, images, find).tolist() == pytest.approx([1, 0.5, np.nan, 0], nan_ok=True)


@pytest.fixture
def files(tmp_path):
    """Four pairs whose recall is 1, .5, none (no cells) and 0; the judge is replaced by `find`."""
    cells = layouts([(20, 20), (20, 40)], [(20, 20), (40, 40)], [], [(40, 40)])
    write_layouts(tmp_path / "layouts.h5", {"points": cells, "requested": cells[:1]}, {})
    with write_images(tmp_path / "painted.h5", {}) as file:
        for image in (bright((20, 20), (20, 40)), bright((20, 20)), bright((20, 20)), bright((20, 20))):
            file.append(image)
    settings = unet.Settings(width=4, depth=2)
    section = {"method": "unet", "settings": settings.model_dump(mode="json"), "synthetic_fraction": 0.0}
    torch.manual_seed(0)
    model = unet.build(settings, 2)
    write_weights(tmp_path / "model.safetensors", model.state_dict(), {}, section=section, classes=list(CLASSES))
    return tmp_path


def run(files, monkeypatch, least):
    given = {"layouts": "layouts.h5", "painted": "painted.h5", "model": "model.safetensors"}
    made = {"kept": "kept.h5", "images": "images.h5"}
    words = [word for name, file in (given | made).items() for word in (f"--{name}", str(files / file))]
    section = json.dumps({"least_recall": least, "radius": 6})
    monkeypatch.setattr("sys.argv", ["stage", *words, "--decoder", "points", "--config", section])
    select_pairs.main()


@pytest.mark.parametrize(("least", "kept"), [(0.0, [0, 1, 2, 3]), (0.5, [0, 1, 2]), (0.7, [0, 2])])
def test_pairs_are_kept_by_their_recall(files, monkeypatch, capsys, least, kept):
    monkeypatch.setattr(select_pairs, "unet_reader", lambda *_: (None, find))
    run(files, monkeypatch, least)
    layouts = read_layouts(files / "kept.h5", "points")
    assert layouts.columns["target"].tolist() == kept
    assert layouts.columns["recall"].tolist() == pytest.approx(np.array([1, 0.5, np.nan, 0])[kept], nan_ok=True)
    with ImageSet(files / "painted.h5") as all_images, ImageSet(files / "images.h5") as images:
        assert len(images) == len(kept)
        assert all(np.array_equal(images[i], all_images[row]) for i, row in enumerate(kept))
    assert f"{len(kept)} of 4 pairs kept, of recall {least:g} or more; median of all: 0.500" in capsys.readouterr().err


def test_where_no_pair_is_left_it_says_so_and_writes_nothing(files, monkeypatch):
    with write_images(files / "painted.h5", {}) as file:
        for _ in range(4):
            file.append(bright())
    write_layouts(files / "layouts.h5", {"points": layouts(*[[(40, 40)]] * 4)}, {})
    monkeypatch.setattr(select_pairs, "unet_reader", lambda *_: (None, find))
    with pytest.raises(
        CellscaperError, match="finds less than 0.7 of the cells in each of 4 images \\(at best 0.00\\)"
    ):
        run(files, monkeypatch, 0.7)
    assert not (files / "kept.h5").exists() and not (files / "images.h5").exists()


@pytest.mark.slow
def test_with_a_real_judge_all_pairs_stay_at_0(files, monkeypatch):
    run(files, monkeypatch, 0.0)
    assert len(read_layouts(files / "kept.h5", "points")) == 4
