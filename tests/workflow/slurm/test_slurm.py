"""Whole runs through a real SLURM cluster: retries, time limits, preempted and cancelled jobs, sets in parts.

Most of the time is waiting: SLURM lets a job that goes back into its queue wait for two minutes. So each story runs in
a thread of its own, beside the others, and the tests read what became of it. `make test-long` makes the whole `ci`
preset on the cluster.
"""

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
SET = "sets: {some: null, many: {dataset: phantom, experiment: random, layouts: 60, parts: 3, images: true}}"
WHOLE = "results/phantom/sets/many"
PART = f"{WHOLE}/part2-of-3"


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


def in_parts(run):
    """A set in three parts, made by one SLURM job; then one part is lost, and the same command is given once more."""
    first = run.end(run.start(config=SET))
    whole = run.workflow.folder / WHOLE
    with ImageSet(whole) as images:
        made = len(read_layouts(whole, "points")), len(images)
    part = run.workflow.folder / PART
    lost = {file: (part / file).read_bytes() for file in ("layouts.h5", "images.h5")}
    for file in lost:
        (part / file).unlink()
    overlays = run.workflow.overlay("own.yaml", SET)
    planned = {job.name for job in run.workflow.plan("sets", overlays=overlays) if job.rule != "sets"}
    second = run.end(run.start(config=SET))
    return first, made, planned, second, lost == {file: (part / file).read_bytes() for file in lost}


@pytest.fixture(scope="module")
def stories(beside):
    """What becomes of each story, by name. The one whose time is measured has the machine for itself at first."""
    futures = {"over_time": beside(over_time, MODEL)}
    it_trains.wait(timeout=120)
    for story in (preempted, cancelled):
        futures[story.__name__] = beside(story, MODEL)
    for story in (over_memory, never):
        futures[story.__name__] = beside(story, FEATURES)
    futures["in_parts"] = beside(in_parts, "sets")
    return futures


# -- the tests -------------------------------------------------------------------------------------------------------


def assert_same_weights(workflow, finished, model=MODEL):
    mine, theirs = (read_weights(one.folder / model)[0] for one in (workflow, finished))
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)


@pytest.mark.long
def test_ci_preset_runs_through_slurm_to_the_same_tables(cluster, stories, house, finished, jobs, tmp_path):
    workflow = house.copy(tmp_path / "house")
    overlays = workflow.overlay("own.yaml", "resources: {train_image: {gpu: 1}}")
    ended = workflow.run(cluster.command(workflow, "--local-cores", "2", overlays=overlays))
    assert ended.status == 0, ended.text
    tables = sorted((finished.results / "tables").glob("*.*"))
    assert {file.suffix for file in tables} >= {".csv", ".md", ".tex"}
    for file in tables:
        if file.suffix != ".png":
            other = workflow.folder / file.relative_to(finished.folder)
            assert other.read_bytes() == file.read_bytes(), file.name
    assert_jobs(cluster.jobs(ended.text), jobs)


def assert_jobs(made, jobs):
    """Each training was a SLURM job of its own, those that profile and configuration send to a GPU were there."""
    assert {job.state for job in made} == {"COMPLETED"}
    wanted = [job for job in jobs if job.rule.startswith("train_")]
    assert len([job for job in made if job.what.startswith("rule_train_")]) == len(wanted)  # one for each seed
    on_gpu = [job for job in made if job.partition == "gpu"]
    sent = ("train_detector", "train_features", "train_image")
    assert len(on_gpu) == len([job for job in wanted if job.rule in sent]) > 0
    for job in on_gpu:
        assert job.what.startswith(tuple(f"rule_{rule}" for rule in sent))
        assert (job.constraint == "large") != job.what.startswith("rule_train_detector"), job


def test_a_set_is_made_in_parts_and_a_lost_part_again_alone(cluster, stories):
    (status, text), made, planned, (again, second), same = stories["in_parts"].result(timeout=1200)
    assert status == 0, text
    assert made == (60, 60)
    assert [job.state for job in cluster.jobs(text)] == ["COMPLETED"]  # one SLURM job for six of Snakemake
    assert planned == {"generate_set phantom/many/2/3", "paint_set phantom/many/2/3"}
    assert again == 0, second
    assert [job.state for job in cluster.jobs(second)] == ["COMPLETED"]
    assert same


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
    assert {(job.partition, job.constraint) for job in cluster.jobs(text)} == {("gpu", "large")}
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
