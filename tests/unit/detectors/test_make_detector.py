"""docs/make_detector.py on the folder of a small run: the packed file, its scores, its card."""

import csv

import numpy as np
import pytest

from cellscaper.detectors import packaged
from cellscaper.disk.count_file import write_counts
from cellscaper.disk.storage import write_images, write_layouts
from cellscaper.errors import CellscaperError
from cellscaper.layouts import LayoutSet
from cellscaper.metrics.detection import detection_scores, image_counts
from scripts import script

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def maker():
    return script("docs/make_detector.py")


@pytest.fixture
def run(trained, scenes, tmp_path, monkeypatch):
    """The folder of a run with one training and two seeds of scores; the test images' cells."""
    images, layouts = scenes(range(30, 34), size=(150, 170), cells=60)
    cells = layouts.with_columns(split=np.array(["train", "val", "test", "test"]))
    folder = tmp_path / "results"
    write_layouts(folder / "read_cells/cells.h5", cells, {})
    with write_images(folder / "read_cells/images.h5", {}) as file:
        for image in images:
            file.append(image)
    place = "real_only/points"
    model = folder / f"train_detector/decoupled/{place}/mix0/seed0/model.safetensors"
    model.parent.mkdir(parents=True)
    model.write_bytes(trained.read_bytes())
    test = cells.where(split="test")
    for seed in range(2):
        rng = np.random.default_rng(seed)
        moved = np.clip(test.points + rng.normal(0, 1 + seed, test.points.shape), 0, 149).astype(np.float32)
        found = LayoutSet(moved, test.labels, test.offsets, test.size, test.classes, 0.5, test.source, test.origin)
        radii = [1, 2, 3, 4, 5, 6]
        counts = {"paper": image_counts(test, found, radii)}
        about = {"dataset": "d", "experiment": "real_only", "detector": "decoupled", "seed": seed}
        path = folder / f"score_detections/decoupled/{place}/seed{seed}/counts.csv"
        write_counts(path, about, counts, [str(one) for one in test.source], radii, test.classes)
    monkeypatch.setattr(packaged, "WEIGHTS", tmp_path / "weights" / "brca_m2c.safetensors")
    return folder, test, images[2:]


def test_it_packs_scores_and_describes(maker, run, tmp_path):
    folder, test, images = run
    card, scores = tmp_path / "card.md", tmp_path / "scores.csv"
    maker.pack(folder, "decoupled", 0, card, scores)
    one = packaged.load_packaged()
    lines = {line["class"]: line for line in csv.DictReader(scores.read_text(encoding="utf-8").splitlines())}
    assert list(lines) == ["a", "b", "c", "mean", "detection"]
    find = maker.partial(maker.cells_of_image, one.on("cpu"), one.read_cells)
    known = detection_scores(test, maker.found_in(test, images, find))
    eightfold = maker.partial(maker.cells_of_image, one.on("cpu", symmetries=True), one.read_cells)
    means = detection_scores(test, maker.found_in(test, images, eightfold))
    for name, line in lines.items():
        for key in ("f1", "precision", "recall"):
            assert float(line[key]) == pytest.approx(known[key][name], abs=1e-4)
            assert one.facts["scores"]["classes"][name][key] == pytest.approx(known[key][name], abs=1e-4)
        assert float(line["f1_symmetries"]) == pytest.approx(means["f1"][name], abs=1e-4)
        assert (line["seeds"], line["images"]) == ("2", "2") and float(line["sd"]) > 0
    assert lines["detection"]["cells"] == str(len(test.points)) and float(lines["detection"]["f1"]) > 0.9
    text = card.read_text(encoding="utf-8")
    assert f"| detection | {lines['detection']['f1']} |" in text and "1 training images, 60 cells: " in text
    assert "`decoupled`, width 8, depth 3, auto_context True, symmetries False" in text and "commit `abc`" in text
    assert maker.page(scores) == text


def test_a_run_that_lacks_something_packs_nothing(maker, run, tmp_path):
    folder, _, _ = run
    with pytest.raises(CellscaperError, match="seed1/model.safetensors does not exist; run the workflow with detector"):
        maker.pack(folder, "decoupled", 1, tmp_path / "c", tmp_path / "s")
    for file in (folder / "score_detections").rglob("counts.csv"):
        file.unlink()
    with pytest.raises(CellscaperError, match="has no scores of decoupled on real images alone; run score_detections"):
        maker.pack(folder, "decoupled", 0, tmp_path / "c", tmp_path / "s")
    assert not packaged.WEIGHTS.exists()
    with pytest.raises(CellscaperError, match="no detector ships with this version"):
        maker.page(tmp_path / "s")
