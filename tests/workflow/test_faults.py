"""Every rule on a full disk, with outputs that cannot be written, and with damaged inputs.

A fault ends in one line of the stage's own and no output, or has no consequence. Afterwards the same command makes the
same files. CELLSCAPER_FAULTS=n damages each input n times instead of once in each way. `make test` has a rule for each
kind of output and of input, `make test-long` has all rules.
"""

import os
import random
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest

from cellscaper.disk.weights import read_weights

STAGES = Path(__file__).resolve().parents[2] / "src/cellscaper/stages"
RULES = sorted(file.stem for file in STAGES.glob("[!_]*.py"))
WRITERS = {  # a stage for each kind of output
    "fetch_dataset": "manifest",
    "read_cells": "cells and images",
    "fit_density": "density maps",
    "sample_layouts": "sets of layouts",
    "train_features": "weights and losses",
    "score_layouts": "scores, and those of each metric",
    "score_detections": "two CSV files",
    "draw_counts": "picture",
}
READERS = {  # stages that read each kind of input
    "read_cells": "manifest",
    "score_layouts": "cells, windows, layouts, feature networks",
    "score_images": "images, painted images, detectors",
    "sample_layouts": "layout models",
    "draw_density": "density maps",
    "draw_training": "losses",
    "make_tables": "scores and counts",
}
TIMES = int(os.environ.get("CELLSCAPER_FAULTS", "1"))
PAGE = 4096
CHECKED = ("manifest.json", "scores.csv", "counts.csv", "losses.csv")


def chosen(short):
    """All rules; those beyond the short form are for `make test-long`."""
    return [rule if rule in short else pytest.param(rule, marks=pytest.mark.long) for rule in RULES]


def job_of(jobs, rule):
    """The job of a rule that reads most files."""
    found = [job for job in jobs if job.rule == rule]
    if not found:
        pytest.skip(f"the ci preset has no job of {rule}")
    return max(found, key=lambda job: len(job.files("input")))


def outputs(workflow, job):
    return [workflow.folder / file for file in job.files("output")]


def delete_outputs(workflow, job):
    for file in outputs(workflow, job):
        file.unlink(missing_ok=True)


def assert_refused(ended, workflow, job):
    """One line of the stage's own, a failure, nothing that looks like a result."""
    lines = [line for line in ended.text.splitlines() if ": error: " in line]
    assert ended.status == 1, f"status {ended.status}: {ended.text}"
    assert "Traceback" not in ended.text, ended.text
    assert len(lines) == 1 and lines[0].startswith(f"{job.rule}: error: "), ended.text
    assert not any(file.exists() for file in outputs(workflow, job)), ended.text
    left = [file.name for file in outputs(workflow, job)[0].parent.glob("*partial*")]
    assert not left, left


def delete_kept(workflow, job):
    """Delete the scores that `score_layouts` keeps beside its output, so that it computes them again."""
    shutil.rmtree(outputs(workflow, job)[0].with_name("kept"), ignore_errors=True)


def content(file):
    """What a file holds, without the record of where it came from (that names the checksums of the inputs)."""
    if file.suffix == ".safetensors":
        tensors, facts = read_weights(file)
        facts.get("beginning", {}).pop("inputs", None)
        return facts, {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}
    if file.suffix == ".h5":
        found = {}
        with h5py.File(file) as whole:
            found["/"] = {k: str(v) for k, v in whole.attrs.items() if k != "provenance"}

            def visit(name, node):
                found[name] = {k: str(v) for k, v in node.attrs.items()}
                if isinstance(node, h5py.Dataset):
                    found[name]["data"] = node.shape, np.asarray(node[()]).tobytes()

            whole.visititems(visit)
        return found
    return file.read_bytes()


def assert_same(workflow, finished, job):
    for file, wanted in zip(outputs(workflow, job), outputs(finished, job), strict=True):
        assert content(file) == content(wanted), file


@contextmanager
def small_disk(folder, free, writable=True):
    """A file system of its own in place of a folder, with so many bytes free, or read-only; needs root."""
    size = (free // PAGE + 64) * PAGE
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
    try:
        filler = folder / "filler"
        room = os.statvfs(folder)
        with open(filler, "wb") as file:
            file.write(b"\1" * max(room.f_bavail * room.f_frsize - free // PAGE * PAGE, 0))
        if not writable:
            subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="a small file system is mounted by root")
@pytest.mark.parametrize("rule", chosen(WRITERS))
def test_full_and_read_only_disks(rule, copy, finished, jobs, forks):
    job = job_of(jobs, rule)
    folder = outputs(copy, job)[0].parent
    if any((copy.folder / file).is_relative_to(folder) for file in job.files("input")):
        pytest.skip("a disk mounted for its outputs would hide its inputs")
    sizes = [file.stat().st_size for file in outputs(finished, job)]
    delete_outputs(copy, job)
    with small_disk(folder, max(sizes) // 2):
        ended = forks.run(copy, job.command)
        assert_refused(ended, copy, job)
        assert "No space left on device" in ended.text or "disk full" in ended.text
    with small_disk(folder, 10 * sum(sizes), writable=False):
        ended = forks.run(copy, job.command)
        assert_refused(ended, copy, job)
        assert "Read-only file system" in ended.text
    ended = forks.run(copy, job.command)
    assert ended.status == 0, ended.text
    assert_same(copy, finished, job)


def flipped(data, chance):
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :]


def truncated(data, chance):
    return data[: chance.randrange(len(data))]


def kinds(job):
    """One input of each kind, of the same name and rule. Tables and pictures are ends, without checksums."""
    found = {}
    for file in job.files("input"):
        path = Path(file)
        if path.suffix in (".h5", ".safetensors") or path.name in CHECKED:
            found.setdefault((path.parts[2], path.name), file)
    return sorted(found.values())


@pytest.mark.parametrize("rule", chosen(READERS))
def test_damaged_inputs(rule, copy, finished, jobs, forks):
    job, chance = job_of(jobs, rule), random.Random(f"damage {rule}")
    for name in kinds(job):
        file = copy.folder / name
        whole = file.read_bytes()
        for damage in (flipped, truncated) * TIMES:
            file.write_bytes(damage(whole, chance))
            delete_outputs(copy, job)
            delete_kept(copy, job)
            ended = forks.run(copy, job.command)
            if ended.status == 0:
                assert damage is flipped, f"{name} was cut and nothing was said"
                assert_same(copy, finished, job)
            else:
                assert_refused(ended, copy, job)
        file.write_bytes(whole)
    delete_outputs(copy, job)
    ended = forks.run(copy, job.command)
    assert ended.status == 0, ended.text
    assert_same(copy, finished, job)
