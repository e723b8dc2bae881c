"""docs/make_night.py on made-up scores: tables of the seeds that are there, differences with intervals over seeds."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from cellscaper.errors import CellscaperError
from cellscaper.report.committed.cells import read_cells
from scripts import script

SEEDS = range(5)
HEADER = "dataset,experiment,decoder,detector,seed,metric,class,value,n\n"


@pytest.fixture(scope="module")
def maker():
    return script("docs/make_night.py")


def value(experiment, seed):
    """A score that a training's seed moves more than its losses do."""
    rng = np.random.default_rng([seed, len(experiment)])
    return 10 + 3 * seed - 2 * (experiment == "topocellgen") + 0.1 * float(rng.normal())


def score(results, experiment, seed, decoder="peaks"):
    file = results / f"brca_m2c/score_layouts/{experiment}/{decoder}/seed{seed}/scores.csv"
    file.parent.mkdir(parents=True)
    lines = [
        f"brca_m2c,{experiment},{decoder},,{seed},{m},,{value(experiment, seed)!r},1550\n" for m in ("cross_k", "tce")
    ]
    file.write_text(HEADER + "".join(lines), encoding="utf-8")


def test_parts_add_up_to_tables_of_complete_rows(maker, tmp_path):
    for part, seeds in (("one", (0, 1)), ("two", (2, 3, 4))):
        for seed in seeds:
            score(tmp_path / part, "adm_counts", seed)
            score(tmp_path / part, "topocellgen", seed)
    score(tmp_path / "two", "tc_intra", 0)
    docs = tmp_path / "docs"
    maker.main(tmp_path / "one", docs)
    assert not (docs / maker.PRESETS[2]).exists()  # five seeds are not there yet
    maker.main(tmp_path / "two", docs)
    kept = (docs / "kept/brca-night/scores.csv").read_text(encoding="utf-8")
    maker.main(None, docs)
    assert (docs / "kept/brca-night/scores.csv").read_text(encoding="utf-8") == kept

    for preset, n in zip(maker.PRESETS, (1, 3, 5), strict=True):
        cells = read_cells(docs / preset / "tc_table3.csv")
        assert {cell.row for cell in cells} == ({"none", "all", "intra"} if n == 1 else {"none", "all"})
        (cell,) = [cell for cell in cells if (cell.row, cell.metric) == ("all", "tce")]
        expected = [value("topocellgen", seed) for seed in range(n)]
        assert float(cell.value) == pytest.approx(sum(expected) / n)
        assert (cell.n, cell.seeds, cell.samples) == (str(n), " ".join(map(str, range(n))), "1550")


def test_differences_are_paired_by_the_shared_beginning(maker, tmp_path):
    for seed in SEEDS:
        for experiment in ("adm_counts", "topocellgen", "tc_sd_gmm"):
            score(tmp_path / "results", experiment, seed)
    maker.main(tmp_path / "results", tmp_path)
    lines = list(csv.DictReader((tmp_path / "brca-night-differences.csv").read_text(encoding="utf-8").splitlines()))
    found = {line["experiment"]: line for line in lines if line["metric"] == "tce"}
    gaps = np.array([value("topocellgen", seed) - value("adm_counts", seed) for seed in SEEDS])
    half = stats.t.ppf(0.975, 4) * gaps.std(ddof=1) / math.sqrt(5)
    own = [float(found["topocellgen"][key]) for key in ("difference", "low", "high")]
    assert own == pytest.approx([gaps.mean(), gaps.mean() - half, gaps.mean() + half], rel=1e-5)
    assert float(found["topocellgen"]["p"]) < 0.001 and found["topocellgen"]["paired"] == "yes"
    assert found["tc_sd_gmm"]["paired"] == "no" and float(found["tc_sd_gmm"]["high"]) > 5  # the seeds' own spread


def test_a_folder_without_scores(maker, tmp_path):
    with pytest.raises(CellscaperError, match="no scores of layouts; run the preset brca-night first"):
        maker.main(tmp_path / "no", tmp_path)


def test_kept_weights_of_a_training_begin_with_those_of_its_shared_beginning(tmp_path):
    steps = script("docs/make_steps.py")
    outputs = steps.preset_outputs(steps.PRESET, tmp_path)
    (beginning,) = outputs.beginning("brca_m2c", "topocellgen", "0")
    (own,) = outputs.layout_weights("brca_m2c", "topocellgen", "0")
    for model, kept in ((beginning, (1000, 4000)), (own, (5000, 6000))):
        folder = Path(model).parent / "snapshots"
        folder.mkdir(parents=True)
        for step in kept:
            (folder / f"step{step:07d}.safetensors").touch()
    found = list(steps.snapshots(outputs, "topocellgen"))
    assert [step for step, _ in found] == [1000, 4000, 5000, 6000]
    assert [file.parts[-5] for _, file in found] == ["start_layout"] * 2 + ["train_layout"] * 2
