"""Whole runs through a real SLURM cluster: retries, time limits, preempted and cancelled jobs, sets in parts.

Most of the time is waiting: SLURM lets a job that goes back into its queue wait for two minutes. So each story runs in
a thread of its own, beside the others and beside a table of the `ci` preset, and the tests read what became of it.
`make test-long` makes the whole preset on the cluster.
"""

import csv
import re
import subprocess
import threading

import pytest
import torch

from cellscaper.disk.storage import ImageSet, read_layouts
from cellscaper.disk.weights import read_weights

ADM = "src/cellscaper/generators/adm.py"
MODEL = "results/phantom/train_layout/adm/seed0/model.safetensors"
STATE = "results/phantom/train_layout/adm/seed0/state"
LOG = "results/phantom/logs/train_layout/adm-seed0.log"
FEATURES = "results/phantom/train_features/tc/seed0/model.safetensors"
ONE_TABLE = """
run: {tables: [tc_table2]}
tables: {tc_table2: {detectors: [unet], rows: {spatial_diffusion: {why: "not in this test"}}}}
"""
SET = "sets: {some: null, many: {dataset: phantom, experiment: random, layouts: 320, parts: 10, images: true}}"
PART = "results/phantom/sets/many/part4-of-10"


def slow(run, seconds):
    """Let ADM wait in each of its 30 steps, so that it is not over before something happens to it."""
    run.edit(ADM, "    return layout\n", f"    time.sleep({seconds})\n    return layout\n")
    run.edit(ADM, "from torch", "import time\nfrom torch")


def number_of_job(run, process):
    """The number of the job of a training that has saved losses."""
    run.wait_for((run.workflow.folder / STATE / "losses.csv").exists, process)
    (number,) = run.cluster.running(run.workflow)
    return number


it_trains = threading.Event()  # the training whose time is measured


# -- the stories -----------------------------------------------------------------------------------------------------


def over_time(run):
    """A training that needs 105 s and more, and has two minutes; SLURM warns it after 90 s."""
    slow(run, 3.5)
    process = run.start("--retries", "0", config="resources: {train_layout: {runtime: 2}}")
    log = run.workflow.folder / LOG
    run.wait_for(lambda: log.exists() and "M parameters" in log.read_text(), process)
    it_trains.set()
    return run.workflow, *run.end(process)


def preempted(run):
    """A training whose job an administrator puts back into the queue."""
    slow(run, 1)
    process = run.start("--retries", "0")
    number = number_of_job(run, process)
    subprocess.run(["scontrol", "requeue", number], check=True)
    return run.workflow, number, *run.end(process)


def cancelled(run):
    """A training that is cancelled; then the same command once more."""
    slow(run, 0.5)
    process = run.start("--retries", "0")
    subprocess.run(["scancel", number_of_job(run, process)], check=True)
    status, text = run.end(process)
    there = {file: (run.workflow.folder / file).exists() for file in (MODEL, f"{STATE}/checkpoint.pt")}
    first = status, text, there, (run.workflow.folder / LOG).read_text()
    return run.workflow, first, run.end(run.start("--retries", "0"))


def over_memory(run):
    """A training that gets the memory of Snakemake alone, then twice that."""
    process = run.start("--verbose", config="resources: {train_features: {mem_mb: 330, runtime: 7}}")
    return run.workflow, *run.end(process)


def never(run):
    """A training that fails in every try."""
    stage = "src/cellscaper/stages/train_features.py"
    run.edit(stage, "main() -> None:\n", "main() -> None:\n    raise SystemExit(1)\n")
    return run.end(run.start("--retries", "4", config="resources: {train_features: {mem_mb: 300}}"))


@pytest.fixture(scope="module")
def stories(beside):
    """What becomes of each story, by name. The one whose time is measured has the machine for itself at first."""
    futures = {"over_time": beside(over_time, MODEL)}
    it_trains.wait(timeout=120)
    for story, target in [(preempted, MODEL), (cancelled, MODEL), (over_memory, FEATURES), (never, FEATURES)]:
        futures[story.__name__] = beside(story, target)
    return futures


@pytest.fixture(scope="module")
def through_slurm(cluster, stories, house, tmp_path_factory):
    """A table of the `ci` preset, and a set in ten parts, made on the cluster: the copy and what Snakemake printed."""
    return preset(cluster, house.copy(tmp_path_factory.mktemp("preset") / "house"), f"{ONE_TABLE}\n{SET}")


def preset(cluster, workflow, config):
    overlays = workflow.overlay("own.yaml", f"resources: {{train_image: {{gpu: 1}}}}\n{config}")
    ended = workflow.run(cluster.command(workflow, "--local-cores", "2", overlays=overlays))
    assert ended.status == 0, ended.text
    return workflow, overlays, ended.text


# -- the tests -------------------------------------------------------------------------------------------------------


def assert_same_weights(workflow, finished, model=MODEL):
    mine, theirs = (read_weights(one.folder / model)[0] for one in (workflow, finished))
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)


def test_a_table_made_through_slurm_is_the_same(cluster, through_slurm, finished):
    workflow, overlays, text = through_slurm
    found, expected = (cells(one) for one in (workflow, finished))
    assert len(found) == 10  # two rows, three classes, their mean and any class
    assert found.items() <= expected.items()
    assert_jobs(cluster.jobs(text), workflow.plan("--forceall", overlays=overlays))


def cells(workflow):
    """The cells of the table that have a value."""
    file = workflow.results / "tables/tc_table2.csv"
    with open(file, newline="", encoding="utf-8") as lines:
        rows = [row for row in csv.DictReader(lines) if row["status"] == "ok"]
    return {(row["row"], row["detector"], row["metric"], row["class"]): (row["mean"], row["gain_low"]) for row in rows}


@pytest.mark.long
def test_ci_preset_runs_through_slurm_to_the_same_tables(cluster, stories, house, finished, jobs, tmp_path):
    workflow, _, text = preset(cluster, house.copy(tmp_path / "house"), "")
    tables = sorted((finished.results / "tables").glob("*.*"))
    assert {file.suffix for file in tables} >= {".csv", ".md", ".tex"}
    for file in tables:
        if file.suffix != ".png":
            other = workflow.folder / file.relative_to(finished.folder)
            assert other.read_bytes() == file.read_bytes(), file.name
    assert_jobs(cluster.jobs(text), jobs)


def assert_jobs(made, jobs):
    """Each training was a SLURM job of its own, those that profile and configuration send to a GPU were there."""
    assert {job.state for job in made} == {"COMPLETED"}
    wanted = [job for job in jobs if job.rule.startswith("train_")]
    assert len([job for job in made if job.what.startswith("rule_train_")]) == len(wanted)  # one for each seed
    on_gpu = [job for job in made if job.partition == "gpu"]
    assert len(on_gpu) == len([job for job in wanted if job.rule in ("train_detector", "train_image")]) > 0
    for job in on_gpu:
        assert job.what.startswith(("rule_train_detector", "rule_train_image"))
        assert (job.constraint == "large") == job.what.startswith("rule_train_image"), job


def test_a_lost_part_of_a_set_is_made_again_alone(cluster, through_slurm):
    workflow, overlays, _ = through_slurm
    part = workflow.folder / PART
    lost = {file: (part / file).read_bytes() for file in ("layouts.h5", "images.h5")}
    for file in lost:
        (part / file).unlink()
    planned = {job.name for job in workflow.plan("sets", overlays=overlays) if job.rule != "sets"}
    assert planned == {"generate_set phantom/many/4/10", "paint_set phantom/many/4/10"}

    ended = workflow.run(cluster.command(workflow, "sets", overlays=overlays))
    assert ended.status == 0, ended.text
    assert [job.state for job in cluster.jobs(ended.text)] == ["COMPLETED"]  # one SLURM job for both
    assert {file: (part / file).read_bytes() for file in lost} == lost
    whole = workflow.folder / "results/phantom/sets/many"
    with ImageSet(whole) as images:
        assert len(read_layouts(whole, "points")) == len(images) == 320


def test_a_cancelled_job_is_finished_by_a_second_call(stories, finished):
    workflow, (status, text, there, said), (again, second) = stories["cancelled"].result(timeout=1200)
    assert status == 1, text
    assert there == {MODEL: False, f"{STATE}/checkpoint.pt": True}, text
    assert "stopped by SIGTERM" in said
    assert again == 0, second
    assert "going on after step" in (workflow.folder / LOG).read_text()
    assert_same_weights(workflow, finished)


def test_a_job_that_needs_more_memory_is_tried_again_with_more_memory_and_time(cluster, stories, finished):
    workflow, status, text = stories["over_memory"].result(timeout=1200)
    assert status == 0, text
    tried = [(job.state, job.memory, job.limit) for job in cluster.jobs(text)]
    assert tried[0] == ("FAILED", "330M", "7:00"), tried
    assert tried[1][1:] == ("660M", "14:00"), tried
    assert [state for state, *_ in tried[1:]] in (["COMPLETED"], ["FAILED", "COMPLETED"]), tried
    assert_same_weights(workflow, finished, FEATURES)


def test_sbatch_gets_the_qos_of_a_profile(stories):
    """All that this cluster can show: it keeps no accounts, so it takes any qos and forgets it."""
    _, _, text = stories["over_memory"].result(timeout=1200)
    calls = re.findall(r"sbatch call: (sbatch .*)", text)
    assert len(calls) >= 2
    assert all(" --qos=long " in call for call in calls), calls


def test_memory_grows_to_three_times_and_no_more(cluster, stories):
    status, text = stories["never"].result(timeout=1200)
    assert status == 1, text
    tried = [(job.state, job.memory) for job in cluster.jobs(text)]
    assert tried == [("FAILED", memory) for memory in ("300M", "600M", "900M", "900M", "900M")]


def test_a_preempted_training_goes_on_under_its_number(cluster, stories, finished):
    workflow, number, status, text = stories["preempted"].result(timeout=1200)
    assert status == 0, text
    assert [(job.number, job.state) for job in cluster.jobs(text)] == [(number, "COMPLETED")]
    assert cluster.restarts(number) == 1
    said = (workflow.folder / LOG).read_text()
    assert re.search(r"going on after step \d+ of 30", said), said
    assert_same_weights(workflow, finished)


def test_a_training_that_nears_its_time_limit_goes_back_into_the_queue_and_costs_no_try(cluster, stories, finished):
    workflow, status, text = stories["over_time"].result(timeout=1200)
    assert status == 0, text
    (job,) = cluster.jobs(text)
    assert (job.state, job.limit) == ("COMPLETED", "2:00")
    assert cluster.restarts(job.number) >= 1
    said = (workflow.folder / LOG).read_text()
    assert re.search(r"going on after step \d+ of 30", said), said
    assert_same_weights(workflow, finished)
