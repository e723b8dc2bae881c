"""docs/make_folds.py on made-up runs: recipes are scored when all folds are there, in whatever parts they came."""

import csv

import numpy as np
import pytest

from cellscaper.disk.count_file import write_counts
from cellscaper.disk.storage import write_layouts
from cellscaper.errors import CellscaperError
from cellscaper.layouts import LayoutSet
from cellscaper.metrics.bootstrap import paired_differences
from cellscaper.metrics.detection import ratios
from scripts import script

CLASSES = ("lymphocyte", "epithelial")


@pytest.fixture(scope="module")
def maker():
    return script("docs/make_folds.py")


def counts(fold, quality):
    """(L, 1, C + 1, 3) of six images of a fold."""
    rng = np.random.default_rng([fold, round(100 * quality)])
    cells = rng.integers(10, 40, (6, 2))
    hits = rng.binomial(cells, quality)
    three = np.stack([hits, rng.poisson(4, (6, 2)), cells - hits], axis=-1)
    return np.concatenate([three, three.sum(axis=1, keepdims=True)], axis=1)[:, None]


def run(results, recipe, fold, quality):
    about = {"dataset": f"brca_fold_{fold}", "experiment": "real_only", "detector": recipe, "seed": 0}
    images = [f"{fold}-{i}" for i in range(6)]
    place = results / f"brca_fold_{fold}"
    file = place / f"score_detections/{recipe}/real_only/points/seed0/counts.csv"
    write_counts(file, about, {"paper": counts(fold, quality)}, images, [6.0], CLASSES)
    said = {"config": {"settings": {"training": {"steps": 9}}, "synthetic_fraction": 0.0}, "git": "b" * 40}
    cells = LayoutSet.build([], CLASSES, 0.5)
    write_layouts(place / f"detect_cells/{recipe}/real_only/points/seed0/cells.h5", cells, said)


def test_folds_of_several_parts_are_added_up_and_recipes_compared(maker, tmp_path, capsys):
    for part, folds in (("one", (0, 1)), ("two", (2, 3))):
        for fold in folds:
            run(tmp_path / part, "unet", fold, 0.6)
            run(tmp_path / part, "unet_cooled", fold, 0.8)
    run(tmp_path / "two", "decoupled", 3, 0.9)  # not on every fold
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "detectors.md").write_text("before\n<!-- folds -->\nold\n<!-- end -->\nafter\n", encoding="utf-8")
    maker.main(tmp_path / "one", docs)
    assert not (docs / "folds.csv").exists() and "unet: not run on every fold" in capsys.readouterr().err
    maker.main(tmp_path / "two", docs)
    lines = list(csv.DictReader((docs / "folds.csv").read_text(encoding="utf-8").splitlines()))
    assert [one["recipe"] for one in lines] == ["unet"] * 4 + ["unet_cooled"] * 4

    def f1(x):
        return ratios(x, "paper")["f1"]

    one, two = (np.concatenate([counts(k, q)[:, 0] for k in range(4)])[None] for q in (0.6, 0.8))
    gains = paired_differences(two, one, f1, 10_000)
    for k, line in enumerate(lines[4:]):
        assert float(line["f1"]) == pytest.approx(f1(two.sum(axis=1))[0][k], abs=1e-4)
        assert [float(line[key]) for key in ("difference", "low", "high", "p")] == pytest.approx(
            [gains[k].value, gains[k].low, gains[k].high, gains[k].p], abs=1e-4
        )
        assert (line["images"], line["base"], line["commit"]) == ("24", "unet", "bbbbbbb")
    assert [line["class"] for line in lines[4:]] == [*CLASSES, "mean", "detection"]
    page = (docs / "detectors.md").read_text(encoding="utf-8").splitlines()
    assert page[0] == "before" and page[-1] == "after" and "old" not in page and len(page) == 8
    assert page[5].startswith(f"| `unet_cooled` | {maker.CHANGES['unet_cooled']} | ")
    assert f"| {float(lines[6]['f1']):.3f} | " in page[5] and f"{float(lines[6]['difference']):+.3f} [" in page[5]


def test_nothing_is_written_of_a_folder_without_scores(maker, tmp_path):
    with pytest.raises(CellscaperError, match="has no scores of detectors; run the preset brca-folds first"):
        maker.main(tmp_path, tmp_path / "docs")
    assert not (tmp_path / "docs").exists()


def test_kept_weights_count_where_every_fold_has_them(tmp_path):
    steps = script("docs/make_fold_steps.py")
    for fold in range(4):
        folder = tmp_path / f"brca_fold_{fold}/train_detector/unet_long/real_only/points/mix0/seed0/snapshots"
        folder.mkdir(parents=True)
        for step in (750, 1500) if fold else (750,):
            (folder / f"step{step:07d}.safetensors").touch()
    found = steps.kept(tmp_path, "unet_long")
    assert {step: [file.parts[-9] for file in files] for step, files in found.items()} == {750: list(steps.FOLDS)}
    with pytest.raises(CellscaperError, match="no kept weights of unet_long or decoupled_long"):
        steps.main(tmp_path / "no", tmp_path)
