"""The papers' configuration: every row of every table, and what each rule states."""

import re

import pytest

from cellscaper.plan.configuration import configuration
from cellscaper.plan.experiments import Experiments
from cellscaper.plan.schema import facts


@pytest.fixture(scope="module")
def config():
    return configuration({})


@pytest.fixture(scope="module")
def experiments(config):
    return Experiments(config)


def same_results(config, one, other):
    """Whether two experiments are the same in all that they make."""
    return one == other or config["experiments"][one] == config["experiments"][other]


def tables(config):
    """(dataset, table) of every table that the papers have for a dataset."""
    for dataset in config["run"]["datasets"]:
        for name in config["run"]["tables"]:
            if dataset not in config["tables"][name].get("skip_datasets", []):
                yield dataset, name


def built_rows(config, name):
    """The rows of a table that state no reason why they are not run."""
    return {row: block for row, block in config["tables"][name]["rows"].items() if block.get("why") is None}


def wanted_scores(config):
    """(rule, dataset, experiment, decoder, seed) of every score that a table of the configuration needs."""
    for dataset, name in tables(config):
        for row in built_rows(config, name).values():
            rule = f"score_{config['tables'][name]['kind']}"
            experiment, decoder = row["experiment"] or "real_only", row.get("decoder") or "points"
            for seed in config["seeds"]:
                yield rule, dataset, experiment, decoder, str(seed)


def test_the_tables_are_all_of_both_papers(config):
    assert config["run"]["datasets"] == ["brca_m2c", "lizard"]
    assert set(config["run"]["tables"]) == set(config["tables"])
    assert {f"{paper}_table{n}" for paper in ("sd", "tc") for n in range(1, 6)} <= set(config["tables"])
    for name, block in config["tables"].items():
        if name.startswith(("sd_", "tc_")):
            assert set(block.get("skip_datasets", [])) <= {"lizard"}, name  # both papers have BRCA-M2C
    assert ("lizard", "tc_table1") in set(tables(config))
    assert config["seeds"] == [0, 1, 2]


def test_a_row_without_an_experiment_says_why(config):
    for name, table in config["tables"].items():
        for row, block in built_rows(config, name).items():
            assert block["experiment"] or table["kind"] == "detections", f"{name}.{row}"


def test_the_dry_run_lists_every_row_of_every_table_and_no_other(papers, config):
    jobs, _ = papers
    listed = set()
    for job in jobs:
        if job.rule in ("score_layouts", "score_detections", "score_images"):
            w = job.pairs("wildcards")
            listed.add((job.rule, w["dataset"], w["experiment"], w["decoder"], w["seed"]))
    wanted = set(wanted_scores(config))
    assert len(wanted) > 60

    def serves(one, other):
        return one[:2] == other[:2] and one[3:] == other[3:] and same_results(config, one[2], other[2])

    real_only = {one for one in wanted if one[2] == "real_only"}
    assert real_only <= listed
    missing = [one for one in wanted - real_only if not any(serves(one, other) for other in listed - real_only)]
    assert missing == []
    assert listed <= wanted  # each job serves a row under that row's name, so there is none beside


def test_the_dry_run_makes_every_table_in_every_form(papers, config):
    jobs, _ = papers
    made = {file for job in jobs for file in job.files("output")}
    for dataset, table in tables(config):
        for kind in ("csv", "notes.json", "md", "tex", "png"):
            assert f"results/{dataset}/tables/{table}.{kind}" in made


def test_rows_of_equal_training_share_it(papers, experiments):
    jobs, _ = papers
    trained = {job.pairs("wildcards")["experiment"] for job in jobs if job.rule == "train_layout"}
    sections = [experiments.recipe(name) for name in trained]
    assert all(sections.count(one) == 1 for one in sections)


def test_trainings_that_begin_alike_go_on_from_one_beginning_a_seed(papers, experiments, config):
    jobs, _ = papers
    made = {job.files("output")[0]: job for job in jobs if job.rule == "start_layout"}
    read = [file for job in jobs for file in job.files("input") if file.endswith("beginning.safetensors")]
    assert set(read) == set(made) and len(made) == len(config["run"]["datasets"]) * len(config["seeds"])
    for job in jobs:
        if job.rule == "train_layout":
            found = experiments.beginning(job.pairs("wildcards")["experiment"])
            assert (job.files("input")[-1] in made) == (found is not None), job.name
    brca = [file for file in read if "/brca_m2c/" in file]
    assert len(brca) == 12 * len(config["seeds"])


def test_listing_takes_less_than_15_s(papers):
    assert papers[1] < 15


# -- what rules state ----------------------------------------------------------------------------------------


def rule_texts(house):
    """The text of each rule but `all`."""
    texts = {}
    for file in sorted((house.folder / "workflow/rules").glob("*.smk")):
        for block in re.split(r"^(?=rule \w+:)", file.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
            texts[re.match(r"rule (\w+):", block)[1]] = block
    return texts


def test_each_rule_has_a_stage_of_its_name(house):
    stages = {file.stem for file in (house.folder / "src/cellscaper/stages").glob("[!_]*.py")}
    assert set(rule_texts(house)) == stages
    for name, text in rule_texts(house).items():
        assert f'STAGE + "{name}"' in text


def test_each_rule_says_what_it_does_and_needs(house):
    for name, text in rule_texts(house).items():
        assert re.match(r'rule \w+:\n    """\S', text), f"{name} has no docstring"
        for word in ("log:", "benchmark:", "threads:", "resources:", "conda:", "params:"):
            assert re.search(rf"^    {word}", text, re.MULTILINE), f"{name} states no {word}"
        for word in ("mem_mb=", "runtime=", "gpu=", f'**stage_code("{name}")'):
            assert re.search(rf"^        {re.escape(word)}", text, re.MULTILINE), f"{name} states no {word}"
        assert "--threads {threads}" in text, f"{name} does not pass its threads on"


def test_each_job_has_a_log_a_benchmark_and_resources(papers):
    jobs, _ = papers
    for job in jobs:
        resources = job.pairs("resources")
        assert int(resources["mem_mb"]) > 0, job.name
        assert int(resources["runtime"]) > 0, job.name
        assert int(resources["gpu"]) in (0, 1), job.name
        assert job.rule in job.entries["log"] or "/tables/" in job.entries["log"] or "/figures/" in job.entries["log"]
        assert job.entries["benchmark"].endswith(".tsv")


def test_jobs_that_train_or_sample_ask_for_a_gpu_if_one_makes_them_faster(papers, experiments):
    jobs, _ = papers
    rules = ("start_layout", "sample_layouts", "paint_images", "detect_cells", "score_images")
    generators = facts()["generators"]
    for job in jobs:
        learns = job.rule.startswith("train_") or job.rule in rules
        if job.rule in ("train_layout", "sample_layouts"):
            learns = generators[experiments[job.pairs("wildcards")["experiment"]].generator]["gpu"]
        assert job.pairs("resources")["gpu"] == str(int(learns)), job.name
    assert not any(generators[name]["gpu"] for name in ("random", "retrieval", "tmccg"))
    assert all(generators[name]["gpu"] for name in ("adm", "topocellgen", "point_diffusion"))


def test_a_training_has_one_node_and_a_warning_before_its_time_is_over(papers):
    jobs, _ = papers
    for job in jobs:
        resources = job.pairs("resources")
        if job.rule.startswith("train_") or job.rule == "start_layout":
            assert resources["nodes"] == "1", job.name
            assert job.entries["resources"].count("slurm_extra=--signal=USR1@300") == 1, job.name
        else:
            assert "slurm_extra" not in job.entries["resources"], job.name


def test_sampling_without_a_network_is_light(papers):
    jobs, _ = papers
    asked = {
        job.pairs("wildcards")["experiment"]: job.pairs("resources")["mem_mb"]
        for job in jobs
        if job.rule == "sample_layouts"
    }
    assert (asked["random"], asked["retrieval"]) == ("2000", "2000")
    assert (asked["adm"], asked["tmccg"]) == ("24000", "24000")


def test_a_run_without_lizard_is_the_other_data_sets_and_says_so(house):
    jobs, ended = house.planned(overlays=())
    assert "lizard is left out: datasets.lizard.path is not set; download lizard_images1.zip" in ended.text
    assert {job.pairs("wildcards")["dataset"] for job in jobs if job.rule != "make_report"} == {"brca_m2c"}
    (report,) = [job for job in jobs if job.rule == "make_report"]
    assert '--left-out \'{"lizard":"datasets.lizard.path is not set' in report.shell[0]


def test_a_request_for_more_gpus_than_the_run_may_use_is_refused(house):
    (house.folder / "own.yaml").write_text("resources: {train_layout: {gpu: 4}}", encoding="utf-8")
    refused = house.snakemake("--dry-run", overlays=("own.yaml",))
    assert refused.status == 1
    assert (
        "resources.train_layout.gpu is 4, and this run may use 1; add --resources gpu=4 to the command" in refused.text
    )
    jobs = house.plan("--resources", "gpu=4", overlays=("own.yaml",))
    assert {job.pairs("resources")["gpu"] for job in jobs if job.rule == "train_layout"} == {"0", "4"}
    (house.folder / "own.yaml").unlink()
