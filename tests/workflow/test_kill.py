"""A stage killed at any moment leaves whole files or none, and run again it ends in the same result.

`make test` kills a stage for each kind of data and one training, `make test-long` all and more often.
"""

import contextlib
import json
import os
import random
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
import torch

from cellscaper.disk.weights import read_weights

STAGES = Path(__file__).resolve().parents[2] / "src/cellscaper/stages"
TRAININGS = ["start_layout", "train_detector", "train_features", "train_image", "train_layout"]
KILLS = int(os.environ.get("CELLSCAPER_KILLS", "1"))  # at random moments; another one is in the middle of a write
WRITERS = {  # a stage for each kind of output; that of pictures and that of the page take long to kill
    "fetch_dataset": "manifest",
    "read_cells": "cells and images",
    "fit_density": "density maps",
    "select_detector": "weights",
    "score_layouts": "scores, and those of each metric",
    "score_detections": "two CSV files",
    "make_tables": "table in four forms",
}
TRAINED = [  # the one that most rows need; all are trained by the same trainer
    pytest.param(rule, marks=[] if rule == "train_layout" else pytest.mark.long) for rule in TRAININGS
]
RULES = [
    rule if rule in WRITERS else pytest.param(rule, marks=pytest.mark.long)
    for rule in sorted({file.stem for file in STAGES.glob("[!_]*.py")} - set(TRAININGS))
]


def job_of(jobs, rule):
    """The job of a rule that reads most files: one of a trained experiment, with density maps or pairs."""
    found = [job for job in jobs if job.rule == rule]
    assert found, f"the ci preset has no job of {rule}, so nothing is known about its kills: let one of its rows use it"
    return max(found, key=lambda job: len(job.files("input")))


def delete_outputs(workflow, job):
    for file in job.files("output"):
        (workflow.folder / file).unlink(missing_ok=True)


def delete_kept(workflow, job):
    """Delete the scores that `score_layouts` keeps beside its output, so that it computes them again."""
    shutil.rmtree((workflow.folder / job.files("output")[0]).with_name("kept"), ignore_errors=True)


def kill_after(seconds):
    """Kill a stage that was just started, and all its processes, after a while."""

    def kill(pid):
        time.sleep(seconds)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)

    return kill


def assert_whole_or_absent(workflow, finished, job):
    """What stands under a final name is exactly what the undisturbed run wrote."""
    for file in job.files("output"):
        path = workflow.folder / file
        assert not path.exists() or path.read_bytes() == (finished.folder / file).read_bytes(), file


def assert_same(workflow, finished, job):
    for file in job.files("output"):
        assert (workflow.folder / file).read_bytes() == (finished.folder / file).read_bytes(), file
        left = [other.name for other in (workflow.folder / file).parent.iterdir() if "partial" in other.name]
        assert left == []


@pytest.mark.parametrize("rule", RULES)
def test_a_killed_stage_leaves_whole_files_or_none_and_ends_the_same(rule, copy, finished, jobs, forks):
    job, chance = job_of(jobs, rule), random.Random(rule)
    largest = max((finished.folder / file).stat().st_size for file in job.files("output"))
    delete_outputs(copy, job)
    delete_kept(copy, job)
    ended = forks.run(copy, job.command)
    assert ended.status == 0, ended.text
    assert_same(copy, finished, job)

    for _ in range(KILLS):
        delete_outputs(copy, job)
        delete_kept(copy, job)
        forks.run(copy, job.command, meanwhile=kill_after(chance.uniform(0, 1) * ended.seconds))
        assert_whole_or_absent(copy, finished, job)

    delete_outputs(copy, job)
    killed = forks.run(copy, job.command, limit=largest // 2)
    assert killed.status == -signal.SIGXFSZ, killed.text
    assert not all((copy.folder / file).exists() for file in job.files("output"))
    assert_whole_or_absent(copy, finished, job)

    ended = forks.run(copy, job.command)
    assert ended.status == 0, ended.text
    assert_same(copy, finished, job)


# -- trainings -----------------------------------------------------------------------------------------------


def training_of(section):
    """The training settings of a section: those of a generator stand beside its settings, others within."""
    return section["training"] if "training" in section else section["settings"]["training"]


def saving_always(command):
    """The training's command with its state saved after each step."""
    at = command.index("--config") + 1
    config = json.loads(command[at])
    training_of(config)["save_every"] = 1e-9
    return [*command[:at], json.dumps(config), *command[at + 1 :]]


def kill_in_training(workflow, command, model):
    """Start a training and kill it some steps after its state was saved."""
    state = model.parent / "state" / "checkpoint.pt"
    process = workflow.start(command)
    while not state.exists() and process.poll() is None:
        time.sleep(0.01)
    time.sleep(random.Random(str(model.name)).uniform(0.2, 0.6))
    assert process.poll() is None, process.communicate()[0]
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return state


def assert_same_training(workflow, finished, job):
    """The weights bit for bit, what is said about them but how often states were saved, and the losses."""
    model, losses = job.files("output")
    mine, facts = read_weights(workflow.folder / model)
    theirs, wanted = read_weights(finished.folder / model)
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)
    for found in (facts, wanted):
        training_of(found["section"]).pop("save_every")
    assert facts == wanted
    assert (workflow.folder / losses).read_bytes() == (finished.folder / losses).read_bytes()


@pytest.mark.parametrize("rule", TRAINED)
def test_a_training_killed_at_any_moment_ends_in_the_same_weights(rule, copy, finished, jobs, forks):
    job, chance = job_of(jobs, rule), random.Random(rule)
    model = copy.folder / job.files("output")[0]
    state = model.parent / "state" / "checkpoint.pt"
    delete_outputs(copy, job)
    command = saving_always(job.command)
    undisturbed = forks.run(copy, command)
    assert undisturbed.status == 0, undisturbed.text
    assert_same_training(copy, finished, job)

    for _ in range(KILLS):
        delete_outputs(copy, job)
        forks.run(copy, command, meanwhile=kill_after(chance.uniform(0, 1) * undisturbed.seconds))
        saved = state.exists()
        if model.exists():
            read_weights(model)  # whole
        delete_outputs(copy, job)  # as Snakemake does after a failure
        ended = forks.run(copy, command)
        assert ended.status == 0, ended.text
        assert ("going on after step" in ended.text) == saved, ended.text
        assert_same_training(copy, finished, job)
        assert {file.name for file in model.parent.iterdir()} == {"losses.csv", model.name, "tensorboard"}


@pytest.mark.parametrize("rule", TRAINED)
def test_a_training_killed_while_it_saves_goes_on_from_the_state_before(rule, copy, finished, jobs, forks):
    job = job_of(jobs, rule)
    model = copy.folder / job.files("output")[0]
    delete_outputs(copy, job)
    command = saving_always(job.command)

    state = kill_in_training(copy, command, model)
    assert not any((copy.folder / file).exists() for file in job.files("output"))

    ended = forks.run(copy, command, limit=state.stat().st_size // 2)
    assert ended.status == -signal.SIGXFSZ, ended.text
    assert "going on after step" in ended.text
    assert not any((copy.folder / file).exists() for file in job.files("output"))

    ended = forks.run(copy, command)
    assert ended.status == 0, ended.text
    assert "going on after step" in ended.text
    assert_same_training(copy, finished, job)


def test_weights_killed_while_written_are_absent(copy, finished, jobs, forks):
    job = job_of(jobs, "train_detector")
    largest = max((finished.folder / file).stat().st_size for file in job.files("output"))
    delete_outputs(copy, job)
    ended = forks.run(copy, job.command, limit=largest // 2)
    assert ended.status == -signal.SIGXFSZ, ended.text
    assert not (copy.folder / job.files("output")[0]).exists()
    assert_whole_or_absent(copy, finished, job)


def test_a_killed_training_starts_anew_after_an_edit_of_its_method(copy, jobs):
    job = next(job for job in jobs if job.name == "train_layout phantom/sd_gmm/0")
    model = copy.folder / job.files("output")[0]
    delete_outputs(copy, job)
    command = saving_always(job.command)
    kill_in_training(copy, command, model)
    file = copy.folder / "src/cellscaper/generators/spatial_diffusion.py"
    file.write_text(file.read_text(encoding="utf-8") + "\nLIMIT = 3\n", encoding="utf-8")
    process = copy.start(command)
    said = ""
    for line in process.stdout:
        said += line
        if "starting anew" in line or "going on" in line:
            break
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert "starting anew" in said


# -- on several GPUs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "train_layout phantom/topocellgen/0",
        pytest.param("start_layout phantom/adm_counts/0", marks=pytest.mark.long),
        pytest.param("train_image phantom/tc/0", marks=pytest.mark.long),
        pytest.param("train_detector phantom/unet", marks=pytest.mark.long),
    ],
)
def test_two_processes_train_as_one_and_stop_and_go_on(name, copy, finished, jobs):
    """Without GPUs (gloo): the losses of one process with the same global batch, also over a stop."""
    job = next(job for job in jobs if job.name.startswith(name))
    model, losses = (copy.folder / file for file in job.files("output"))
    delete_outputs(copy, job)
    copy.environment["CELLSCAPER_DEVICE"] = "cpu"
    command = saving_always(job.command)
    process = copy.start([*command, "--gpus", "2"])
    wait_for(model.parent / "state" / "checkpoint.pt")
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)  # torchrun's own process hands it on
    text, _ = process.communicate(timeout=60)
    assert process.returncode == 143, text
    assert text.count("state saved") == 1, text
    assert "Traceback" not in text
    assert not model.exists() and not losses.exists()

    ended = copy.run([*command, "--gpus", "2"])
    assert ended.status == 0, ended.text
    assert ended.text.count("going on after step") == 1, ended.text
    mine, theirs = (pd.read_csv(one.folder / job.files("output")[1]) for one in (copy, finished))
    assert len(mine) == len(theirs)
    for name in theirs.columns:
        if name != "check" and not name.startswith("grad_"):  # norms of hard choices may jump with a rounding
            np.testing.assert_allclose(mine[name], theirs[name], rtol=2e-3, atol=1e-4, err_msg=name)
    weights, wanted = (read_weights(one.folder / job.files("output")[0])[0] for one in (copy, finished))
    for one in wanted:
        torch.testing.assert_close(weights[one], wanted[one], rtol=2e-2, atol=2e-3)


@pytest.mark.parametrize(
    "name, error",
    [
        ("train_features", "train_features: error: a network with batch normalisation is trained by one process"),
        pytest.param(
            "train_detector phantom/mcspatnet",
            "train_detector: error: detector mcspatnet is trained by one process",
            marks=pytest.mark.long,
        ),
    ],
)
def test_what_one_process_alone_can_train_says_so(name, error, copy, jobs):
    job = next(job for job in jobs if job.name.startswith(name))
    delete_outputs(copy, job)
    copy.environment["CELLSCAPER_DEVICE"] = "cpu"
    ended = copy.run([*job.command, "--gpus", "2"])
    assert ended.status == 1
    assert error in ended.text
    assert "Traceback" not in ended.text
    assert not any((copy.folder / file).exists() for file in job.files("output"))


# -- under Snakemake -----------------------------------------------------------------------------------------


def stage_process(snakemake, stage):
    """The process of a stage that a Snakemake process started, when there is one."""
    for _ in range(6000):
        assert snakemake.poll() is None, snakemake.communicate()[0]
        for process in psutil.Process(snakemake.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if process.name().startswith("python") and f"cellscaper.stages.{stage}" in process.cmdline():
                    return process
        time.sleep(0.01)
    raise AssertionError(f"{stage} did not start")


def wait_for(path):
    for _ in range(12000):
        if path.exists():
            return
        time.sleep(0.01)
    raise AssertionError(f"{path} did not appear")


def test_snakemake_goes_on_after_kills_of_a_stage_and_of_itself(copy, finished, jobs):
    job = next(job for job in jobs if job.name == "train_layout phantom/adm/0")
    model, losses = (copy.folder / file for file in job.files("output"))
    state = model.parent / "state" / "checkpoint.pt"
    delete_outputs(copy, job)
    overlays = copy.overlay("own.yaml", "experiments: {adm: {training: {save_every: 0.001}}}")
    command = copy.command(job.files("output")[0], overlays=overlays)

    snakemake = copy.start(command)
    stage = stage_process(snakemake, "train_layout")
    wait_for(state)
    stage.kill()
    text, _ = snakemake.communicate()
    assert snakemake.returncode == 1, text
    assert not model.exists() and not losses.exists()

    snakemake = copy.start(command)
    stage_process(snakemake, "train_layout")
    time.sleep(1)
    os.killpg(snakemake.pid, signal.SIGKILL)
    snakemake.communicate()
    assert not model.exists() and not losses.exists()

    ended = copy.run(command)
    if ended.status:
        assert "--unlock" in ended.text  # the one thing that a killed Snakemake asks for
        assert copy.run([*command, "--unlock"]).status == 0
        ended = copy.run(command)
    assert ended.status == 0, ended.text
    assert "going on after step" in (copy.folder / job.entries["log"]).read_text()
    assert_same_training(copy, finished, job)


def test_two_snakemakes_in_one_directory_refuse_each_other(copy, finished, jobs):
    job = next(job for job in jobs if job.name == "train_layout phantom/adm/0")
    delete_outputs(copy, job)
    command = copy.command(job.files("output")[0])
    first = copy.start(command)
    training = stage_process(first, "train_layout")
    training.suspend()  # until the second has looked, however slow the machine
    second = copy.run(command)
    training.resume()
    assert second.status == 1, second.text
    assert "Directory cannot be locked" in second.text
    assert "make sure that no other Snakemake process" in second.text
    assert "--unlock" in second.text
    assert "Traceback" not in second.text
    text, _ = first.communicate()
    assert first.returncode == 0, text
    assert_same(copy, finished, job)


@pytest.mark.parametrize("number", [pytest.param(signal.SIGTERM, marks=pytest.mark.long), signal.SIGUSR1])
def test_a_signal_to_all_processes_of_a_job_saves_the_state_first(number, copy, finished, jobs):
    """What SLURM does to a job that is preempted: Snakemake, the shell, the stage and tee are all told to stop."""
    job = next(job for job in jobs if job.name == "train_layout phantom/adm/0")
    model, _ = (copy.folder / file for file in job.files("output"))
    delete_outputs(copy, job)
    overlays = copy.overlay("own.yaml", "experiments: {adm: {training: {save_every: 1000}}}")
    command = copy.command(job.files("output")[0], overlays=overlays)
    snakemake = copy.start(command)
    stage_process(snakemake, "train_layout")
    wait_for(model.parent / "state" / "losses.csv")
    began = time.monotonic()
    os.killpg(snakemake.pid, number)
    text, _ = snakemake.communicate(timeout=60)
    assert time.monotonic() - began < 30
    assert snakemake.returncode == 1, text
    log = copy.folder / job.entries["log"]
    assert f"stopped by {number.name} after step" in log.read_text()  # tee was there to the end
    assert (model.parent / "state" / "checkpoint.pt").exists()
    assert not model.exists()

    ended = copy.run(command)
    assert ended.status == 0, ended.text
    assert "going on after step" in log.read_text()
    assert_same_training(copy, finished, job)
