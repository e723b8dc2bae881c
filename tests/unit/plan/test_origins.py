"""The origin of each row: keys that the configuration has, score files that the table reads, logs of the rules."""

import pytest

from cellscaper.plan.configuration import configuration, in_files
from cellscaper.plan.house import ROOT
from cellscaper.plan.origins import Origins, job_of, metric_key
from cellscaper.plan.outputs import Outputs


@pytest.fixture(
    scope="module", params=[(), ("ci",), ("brca-small", "brca-detectors")], ids=lambda names: "+".join(names)
)
def outputs(request):
    files = [ROOT / "workflow" / "presets" / f"{name}.yaml" for name in request.param]
    return Outputs(configuration(*(content for _, content in in_files(files))))


def has(config, path):
    for part in path.split("."):
        if not isinstance(config, dict) or part not in config:
            return False
        config = config[part]
    return True


def test_each_key_of_an_origin_is_a_key_of_the_configuration(outputs):
    for dataset, table in outputs.tables.wanted():
        for origin in Origins(outputs).rows(dataset, table).values():
            first, *keys = origin.keys  # names of rows may have points
            assert first.removeprefix(f"tables.{table}.rows.") in outputs.config["tables"][table]["rows"]
            assert [key for key in keys if not has(outputs.config, key)] == []
        for column in outputs.config["tables"][table]["columns"]:
            assert has(outputs.config, metric_key(column["metric"]))


def test_the_scores_of_all_rows_are_those_that_the_table_reads(outputs):
    for dataset, table in outputs.tables.wanted():
        origins = Origins(outputs).rows(dataset, table).values()
        assert sorted({job.file for one in origins for job in one.scores}) == outputs.table_scores(dataset, table)
        for one in origins:
            assert [job.seed for job in one.scores] == outputs.config["seeds"]
            assert one.jobs[-1].rule.startswith("score_")


def test_a_row_with_a_trained_model_names_its_weights_and_its_shared_beginning():
    outputs = Outputs(configuration({"run": {"datasets": ["brca_m2c"]}, "seeds": [3]}))
    jobs = Origins(outputs).rows("brca_m2c", "tc_table1")["topocellgen", "components"].jobs
    assert [job.rule for job in jobs] == [
        "train_features", "start_layout", "train_layout", "sample_layouts", "score_layouts",
    ]  # fmt: skip
    assert jobs[1].file.endswith("start_layout/adm_counts/seed3/beginning.safetensors")
    rules = [job.rule for job in Origins(outputs).rows("brca_m2c", "tc_table2")["topocellgen", "unet"].jobs]
    assert rules[:5] == ["start_layout", "train_layout", "sample_layouts", "train_image", "paint_images"]
    assert rules[5:] == ["train_detector"] * 3 + ["select_detector", "detect_cells", "score_detections"]


def test_a_log_has_the_wildcards_of_its_file():
    job = job_of("results/phantom/sample_layouts/adm/test/seed0/layouts.h5", "results/phantom", 0)
    assert job.log == "results/phantom/logs/sample_layouts/adm-test-seed0.log"
