"""docs/make_pairs.py on made-up runs: the lines of its file, its page, and its plain answers."""

import csv

import numpy as np
import pytest

from cellscaper.disk.count_file import write_counts
from cellscaper.disk.storage import write_layouts
from cellscaper.disk.weights import write_weights
from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.metrics.detection import ratios
from cellscaper.metrics.two_way_bootstrap import two_way_gains
from scripts import script

CLASSES = ("lymphocyte", "epithelial", "stromal")
IMAGES = [f"image {i}" for i in range(30)]


@pytest.fixture(scope="module")
def maker():
    return script("docs/make_pairs.py")


def image_counts(seed, quality):
    """(L, 1, C + 1, 3) of 30 images of unequal difficulty, the same images whatever the seed."""
    fixed, rng = np.random.default_rng(0), np.random.default_rng([seed, round(1000 * quality)])
    cells = fixed.integers(10, 60, (30, 3))
    hard = fixed.normal(0, 0.08, (30, 1))
    hits = rng.binomial(cells, np.clip(quality + hard, 0.1, 0.97))
    false = rng.poisson(0.2 * cells)
    three = np.stack([hits, false, cells - hits], axis=-1)
    return np.concatenate([three, three.sum(axis=1, keepdims=True)], axis=1)[:, None]


def training(results, dataset, detector, pairs, seed, quality, share=0.25):
    """The files of one training that make_pairs reads."""
    place = pairs if "/" in pairs else f"{pairs}/points"
    about = {"dataset": dataset, "experiment": pairs, "detector": detector, "seed": seed}
    folder = results / dataset
    counts = {"paper": image_counts(seed, quality)}
    write_counts(
        folder / f"score_detections/{detector}/{place}/seed{seed}/counts.csv", about, counts, IMAGES, [6.0], CLASSES
    )
    empty = LayoutSet.build([], CLASSES, 0.5)
    own = 0.0 if pairs == "real_only" else share
    steps = round(5000 / (1 - own))
    section = {"method": "unet", "settings": {"training": {"steps": steps}}, "synthetic_fraction": own}
    said = {"config": section, "git": "a" * 40 + "+changes"}
    write_layouts(folder / f"detect_cells/{detector}/{place}/seed{seed}/cells.h5", empty, said)
    if pairs != "real_only":
        experiment = pairs.split("/")[0]
        n, stage = (5, "select_pairs") if "kept" in experiment else (7, "sample_layouts")
        middle = f"{experiment}/points" if "kept" in experiment else f"{experiment}/train"
        some = [Layout(np.zeros((0, 2)), np.zeros(0), (8, 8))] * n
        write_layouts(
            folder / f"{stage}/{middle}/seed{seed}/layouts.h5", {"points": LayoutSet.build(some, CLASSES, 0.5)}, {}
        )


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    for seed in range(3):
        training(folder, "brca_m2c", "decoupled", "real_only", seed, 0.70)
        training(folder, "brca_m2c", "decoupled", "points/points", seed, 0.85)
        training(folder, "brca_m2c", "decoupled", "random/points", seed, 0.702)
        training(folder, "brca_m2c", "decoupled", "points_kept/points", seed, 0.55)
        training(folder, "brca_m2c", "decoupled_longer", "real_only", seed, 0.71)
    training(folder, "brca_m2c", "decoupled", "retrieval/points", 0, 0.7)
    for draw in range(3):
        for pairs, quality in (("real_only", 0.5), ("points/points", 0.6)):
            training(folder, f"brca_few_10_{draw}", "decoupled", pairs, 0, quality)
    for mix, score in ((0, 0.6), (10, 0.61), (25, 0.65), (50, 0.64)):
        experiment = "points" if mix else "real_only"
        path = folder / f"brca_m2c/train_detector/unet/{experiment}/points/mix{mix}/seed0/model.safetensors"
        section = {"settings": {"training": {"steps": 5000}}, "synthetic_fraction": mix / 100}
        write_weights(path, {}, {}, section=section, val_f1=score)
    return folder


@pytest.fixture(scope="module")
def made(maker, results, tmp_path_factory):
    """The folder with the files that the script wrote, and the lines of the first."""
    folder = tmp_path_factory.mktemp("docs")
    maker.main(results, folder)
    lines = list(csv.DictReader((folder / "brca-pairs.csv").read_text(encoding="utf-8").splitlines()))
    return folder, lines


def line(lines, **wanted):
    (found,) = [one for one in lines if all(one[key] == value for key, value in wanted.items())]
    return found


MAIN = {"training_images": "80", "detector": "decoupled", "arm": "points/points", "against": "real_only"}


@pytest.mark.slow
def test_lines_are_the_scores_and_differences(made, results):
    _, lines = made
    assert set(lines[0]) == {
        "training_images", "arm", "detector", "class", "seeds", "images", "against", "f1", "sd", "difference", "low",
        "high", "p", "smallest", "share", "pairs", "steps", "machine", "commit",
    }  # fmt: skip

    def f1(x):
        return ratios(x, "paper")["f1"]

    one, two = (np.stack([image_counts(seed, q)[:, 0] for seed in range(3)]) for q in (0.85, 0.70))
    gains = two_way_gains(one, two, f1, 10_000)
    for k, name in enumerate([*CLASSES, "mean", "detection"]):
        own = line(lines, **MAIN, **{"class": name})
        scores = f1(one.sum(axis=1))[:, k]
        assert float(own["f1"]) == pytest.approx(scores.mean(), abs=1e-4)
        assert float(own["sd"]) == pytest.approx(scores.std(ddof=1), abs=1e-4)
        for key in ("value", "low", "high", "p", "smallest"):
            assert float(own["difference" if key == "value" else key]) == pytest.approx(
                getattr(gains[k], key), abs=1e-4
            )
        assert (own["seeds"], own["images"], own["share"], own["steps"], own["pairs"]) == (
            "3",
            "30",
            "0.25",
            "6667",
            "7",
        )
        assert own["commit"] == "aaaaaaa+changes" and "cores" in own["machine"]


@pytest.mark.slow
def test_arms_are_compared_with_what_tells_layout_from_painter_and_steps(made):
    _, lines = made
    against = {(one["arm"], one["against"]) for one in lines if one["training_images"] == "80"}
    assert against == {
        ("real_only", ""), ("real_longer", "real_only"), ("random/points", "real_only"),
        ("retrieval/points", "real_only"), ("points/points", "real_only"), ("points/points", "random/points"),
        ("points/points", "real_longer"), ("points_kept/points", "real_only"), ("points_kept/points", "points/points"),
    }  # fmt: skip
    assert line(lines, **{**MAIN, "arm": "points_kept/points", "class": "mean"})["pairs"] == "5"
    real = line(lines, **{"training_images": "80", "arm": "real_only", "detector": "decoupled", "class": "mean"})
    assert (real["difference"], real["smallest"], real["pairs"], real["share"]) == ("", "", "", "0.0")
    one = line(lines, **{**MAIN, "arm": "retrieval/points", "class": "mean"})
    assert (one["seeds"], one["sd"]) == ("1", "")


@pytest.mark.slow
def test_draws_of_few_images_are_trainings_that_belong_together(made):
    _, lines = made
    few = line(lines, **{**MAIN, "training_images": "10", "class": "mean"})
    assert few["seeds"] == "3"
    one, two = (np.stack([image_counts(0, q)[:, 0]] * 3) for q in (0.6, 0.5))
    gain = two_way_gains(one, two, lambda x: ratios(x, "paper")["f1"], 10_000, paired=True)[3]
    assert [float(few[key]) for key in ("difference", "low", "high")] == pytest.approx(
        [gain.value, gain.low, gain.high], abs=1e-4
    )


@pytest.mark.slow
def test_the_page_says_first_what_can_be_seen_and_answers_by_the_intervals(maker, made):
    folder, lines = made
    text = (folder / "brca-pairs.md").read_text(encoding="utf-8")
    assert text.index("smallest difference of F1 that any comparison") < text.index("## Answer")
    least = min(
        float(one["smallest"])
        for one in lines
        if one["against"] == "real_only" and one["class"] in ("mean", "detection")
    )
    assert f"sees is {least:.3f}".replace("0.", ".") in text
    main = line(lines, **MAIN, **{"class": "mean"})
    answer = text.split("## Answer\n\n")[1]
    asked = "The question asked beforehand was the mean F1 of the first line: **yes**, +"
    assert answer.startswith(asked + f"{float(main['difference']):.3f}".removeprefix("0"))
    assert "\n- **+ point diffusion, quilted** (decoupled, 80 training images): lymphocyte: **yes**" in answer
    assert "recall at least .7** (decoupled, 80 training images): lymphocyte: **no, they harm**" in answer
    assert "random cells, quilted** (decoupled, 80 training images): lymphocyte: not shown" in answer
    assert "+ point diffusion trained on the layouts of all 80 training images, quilted** (decoupled, 10" in answer
    assert "the U-Net with 25 % has the best mean F1 on the ten validation images" in answer
    assert "minus real only, as many steps as with pairs" in answer
    before = text
    maker.page(folder)  # from the files alone
    assert (folder / "brca-pairs.md").read_text(encoding="utf-8") == before


def test_verdicts_follow_the_interval(maker):
    def verdict(low, high):
        one = {"difference": f"{(low + high) / 2:.4f}", "low": f"{low:.4f}", "high": f"{high:.4f}"}
        return maker.pairs_page.verdict(one)

    assert verdict(0.001, 0.02) == "**yes**, +.011 [+.001, +.020]"
    assert verdict(-0.02, -0.001) == "**no, they harm**, −.011 [−.020, −.001]"
    assert verdict(-0.01, 0.02) == "not shown, +.005 [−.010, +.020]"


def test_nothing_is_written_of_a_folder_without_scores(maker, tmp_path):
    with pytest.raises(CellscaperError, match="has no scores of detectors; run the preset brca-pairs first"):
        maker.main(tmp_path, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_part_alone_is_a_page_too(maker, tmp_path):
    """Real images alone have been run: no comparison, and the page says that nothing can be seen."""
    training(tmp_path / "results", "brca_m2c", "unet", "real_only", 0, 0.7)
    (tmp_path / "docs").mkdir()
    maker.main(tmp_path / "results", tmp_path / "docs")
    text = (tmp_path / "docs/brca-pairs.md").read_text(encoding="utf-8")
    assert "nothing can be seen" in text and "### U-Net" in text


@pytest.mark.slow
def test_parts_on_several_machines_are_one_experiment(maker, made, results, tmp_path):
    """Each seed and the draws of few images in a folder of results of their own, one of them run twice."""
    parts = {name: tmp_path / name for name in ("seed0", "seed1", "seed2", "few")}
    for name, part in parts.items():
        for file in results.rglob("*.*"):
            whose = "few" if "brca_few" in str(file) else next(one for one in file.parts if one.startswith("seed"))
            if whose == name:
                place = part / file.relative_to(results)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(file.read_bytes())
    docs = tmp_path / "docs"
    for part in ("seed2", "few", "seed0", "seed0", "seed1"):
        maker.main(parts[part], docs)
    for file in made[0].rglob("*.*"):
        assert (docs / file.relative_to(made[0])).read_bytes() == file.read_bytes(), file.name
    assert (docs / "kept/brca-pairs/runs.csv").read_text(encoding="utf-8").count("\n") == 1 + 5 * 3 + 1 + 2 * 3
