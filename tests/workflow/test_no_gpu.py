"""A job that asks for a GPU on a machine without one ends with one sentence, and nothing is written."""

import pytest
import torch

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
MODEL = "results/phantom/train_layout/adm/seed0/model.safetensors"
RULES = ["start_layout", "train_layout", "train_features", "train_image", "train_detector", "sample_layouts"]
RULES += ["generate_set", "paint_images", "paint_set", "detect_cells", "score_images"]


def files(folder):
    """Every file and when it was written."""
    return {file: file.stat().st_mtime_ns for file in folder.rglob("*") if file.is_file()}


def assert_one_sentence(line, stage):
    assert line.startswith(f"{stage}: error: the job asks for a GPU, but torch {torch.__version__} ("), line
    assert line.endswith(
        "set gpu: 0 for the rule in config `resources`, or CELLSCAPER_DEVICE=cpu, to compute on the CPU"
    )


@pytest.mark.parametrize("rule", RULES)
def test_a_stage_that_is_given_a_gpu_and_finds_none_writes_nothing(rule, finished, jobs, forks, tmp_path):
    command = next(job for job in jobs if job.rule == rule).command
    command[command.index("--gpus") + 1] = "1"
    before = files(finished.results)
    ended = forks.run(finished, command, log=tmp_path)
    assert ended.status == 1, ended.text
    assert "Traceback" not in ended.text
    assert_one_sentence(ended.text.strip().splitlines()[-1], rule)
    assert files(finished.results) == before


def test_a_run_whose_rule_asks_for_a_gpu_ends_with_the_sentence(copy):
    (copy.folder / MODEL).unlink()
    before = files(copy.results)
    overlays = copy.overlay("own.yaml", "resources: {train_layout: {gpu: 1}}")
    ended = copy.snakemake(MODEL, overlays=overlays)
    assert ended.status == 1
    said = [line.strip() for line in ended.text.splitlines() if "error: the job asks for a GPU" in line]
    assert len(set(said)) == 1, ended.text  # Snakemake shows a failed job's log once more
    assert_one_sentence(said[0], "train_layout")
    changed = files(copy.results).items() ^ before.items()
    names = {file.name for file, _ in changed}
    assert names <= {"adm-seed0.log", "losses.csv"}  # Snakemake removes the files of a failed job
    assert not (copy.folder / MODEL).with_name("state").exists()
