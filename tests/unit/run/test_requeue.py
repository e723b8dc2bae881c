"""A warned training puts its own SLURM job back; the real cluster is in tests/workflow/slurm/test_slurm.py."""

import os
import subprocess
import sys
import time

import pytest

SCRIPT = "from cellscaper.run.requeue import requeue; requeue('results/model'); print('returned')"


def requeued(folder, scontrol=None, job="17"):
    """A process that asks to go back into the queue, with this text as its scontrol."""
    environment = {key: value for key, value in os.environ.items() if key != "SLURM_JOB_ID"}
    if job:
        environment["SLURM_JOB_ID"] = job
    environment["PATH"] = f"{folder}:/usr/bin:/bin"
    if scontrol is not None:
        (folder / "scontrol").write_text(f"#!/bin/sh\n{scontrol}\n", encoding="utf-8")
        (folder / "scontrol").chmod(0o755)
    began = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    return ended, time.monotonic() - began


def test_outside_slurm_nothing_happens(tmp_path):
    ended, _ = requeued(tmp_path, 'touch "$0.called"', job="")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "returned\n", "")
    assert not (tmp_path / "scontrol.called").exists()


@pytest.mark.slow
def test_it_waits_for_slurm_to_end_its_job(tmp_path):
    ended, seconds = requeued(tmp_path, 'echo "$@" > "$0.called"; (sleep 1; kill -TERM $PPID) >/dev/null 2>&1 &')
    assert (tmp_path / "scontrol.called").read_text() == "requeue 17\n"
    assert (ended.returncode, ended.stdout) == (143, "")
    assert ended.stderr == "results/model: job 17 goes back into the queue and goes on from there\n"
    assert seconds < 30


@pytest.mark.parametrize(
    ("scontrol", "said"),
    [("echo 'Invalid job id specified' >&2; exit 1", "Invalid job id specified"), (None, "scontrol")],
)
def test_a_cluster_that_refuses_is_said(tmp_path, scontrol, said):
    ended, _ = requeued(tmp_path, scontrol)
    assert (ended.returncode, ended.stdout) == (0, "returned\n")
    assert ended.stderr.startswith("results/model: job 17 could not go back into the queue (")
    assert said in ended.stderr
    assert ended.stderr.endswith("; its next try goes on\n")
