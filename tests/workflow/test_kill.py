"""A stage killed at any moment leaves whole files or none, and run again it ends in the same result."""

import contextlib
import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
import torch

from cellscaper.weights import read_weights

STAGES = Path(__file__).resolve().parents[2] / "src/cellscaper/stages"
TRAININGS = ["train_detector", "train_features", "train_image", "train_layout"]
RULES = sorted({file.stem for file in STAGES.glob("[!_]*.py")} - set(TRAININGS))

# Runs a stage that the kernel kills as soon as it would write a byte beyond a limit: in the middle of a write.
LIMITED = """
import resource, runpy, signal, sys
limit, module = int(sys.argv[1]), sys.argv[2]
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
sys.argv = sys.argv[2:]
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


def limited(command, limit):
    """The same stage, killed by the first write beyond ``limit`` bytes of a file."""
    python, dash_m, *rest = command
    assert dash_m == "-m"
    return [python, "-c", LIMITED, str(limit), *rest]


def job_of(jobs, rule):
    """The job of a rule that reads most files: one of a trained experiment, with density maps or pairs."""
    return max((job for job in jobs if job.rule == rule), key=lambda job: len(job.files("input")))


def delete_outputs(workflow, job):
    for file in job.files("output"):
        (workflow.folder / file).unlink(missing_ok=True)


def kill_after(workflow, command, seconds):
    """Start a stage and kill it and all its processes after a while."""
    process = workflow.start(command)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


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
def test_a_killed_stage_leaves_whole_files_or_none_and_ends_the_same(rule, copy, finished, jobs):
    job = job_of(jobs, rule)
    took = float((finished.folder / job.entries["benchmark"]).read_text().splitlines()[1].split("\t")[0])
    largest = max((finished.folder / file).stat().st_size for file in job.files("output"))
    delete_outputs(copy, job)

    kill_after(copy, job.command, random.Random(rule).uniform(0.3, 0.9) * took)
    assert_whole_or_absent(copy, finished, job)

    delete_outputs(copy, job)
    ended = copy.run(limited(job.command, largest // 2))
    assert ended.status == -signal.SIGXFSZ, ended.text
    assert not all((copy.folder / file).exists() for file in job.files("output"))
    assert_whole_or_absent(copy, finished, job)

    ended = copy.run(job.command)
    assert ended.status == 0, ended.text
    assert_same(copy, finished, job)


# -- trainings -----------------------------------------------------------------------------------------------


def saving_always(command):
    """The training's command with its state saved after each step."""
    at = command.index("--config") + 1
    config = json.loads(command[at])
    config["training"]["save_every"] = 0
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
    facts["section"]["training"].pop("save_every")
    wanted["section"]["training"].pop("save_every")
    assert facts == wanted
    assert (workflow.folder / losses).read_bytes() == (finished.folder / losses).read_bytes()


@pytest.mark.parametrize("rule", TRAININGS)
def test_a_killed_training_goes_on_and_ends_in_the_same_weights(rule, copy, finished, jobs):
    job = job_of(jobs, rule)
    model = copy.folder / job.files("output")[0]
    delete_outputs(copy, job)
    command = saving_always(job.command)

    state = kill_in_training(copy, command, model)
    assert not any((copy.folder / file).exists() for file in job.files("output"))

    ended = copy.run(limited(command, state.stat().st_size // 2))
    assert ended.status == -signal.SIGXFSZ, ended.text
    assert "going on after step" in ended.text
    assert not any((copy.folder / file).exists() for file in job.files("output"))

    ended = copy.run(command)
    assert ended.status == 0, ended.text
    assert "going on after step" in ended.text
    assert_same_training(copy, finished, job)
    assert sorted(file.name for file in model.parent.iterdir()) == ["losses.csv", "model.safetensors", "tensorboard"]


def test_weights_killed_while_written_are_absent(copy, finished, jobs):
    job = job_of(jobs, "train_detector")
    largest = max((finished.folder / file).stat().st_size for file in job.files("output"))
    delete_outputs(copy, job)
    ended = copy.run(limited(job.command, largest // 2))
    assert ended.status == -signal.SIGXFSZ, ended.text
    assert not (copy.folder / job.files("output")[0]).exists()
    assert_whole_or_absent(copy, finished, job)


def test_a_killed_training_starts_anew_after_an_edit_of_its_method(copy, jobs):
    job = job_of(jobs, "train_layout")
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
    for _ in range(6000):
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
