"""Two trainings side by side keep to their own core each.

Wall times alone would fail wherever other programs run. A training that keeps to one thread uses no more CPU time
than wall time, and beside another one no more CPU time than alone; default thread counts break both, for threads
that wait for each other spin. Wall times are compared as well where nothing else was running.
"""

import json
import os
import re
import time

import psutil
import pytest

from cellscaper.plan.configuration import configuration
from cellscaper.plan.experiments import Experiments

SLOWER = 1.6
STEPS = 60


def training_command(workflow, jobs, folder):
    """A longer training of ADM on one thread, with outputs of its own."""
    job = next(job for job in jobs if job.name == "train_layout phantom/adm/0")
    command = list(job.command)
    config = json.loads(command[command.index("--config") + 1])
    config["training"].update(steps=STEPS, log_every=STEPS)
    command[command.index("--config") + 1] = json.dumps(config)
    command[command.index("--model") + 1] = f"{folder}/model.safetensors"
    command[command.index("--losses") + 1] = f"{folder}/losses.csv"
    assert command[command.index("--threads") + 1] == "1"
    return command


def measure(workflow, commands):
    """Wall and CPU seconds of each of several commands run at once, and the share of the CPUs that others used."""
    before, began = psutil.cpu_times(), time.monotonic()
    running = {process.pid: process for process in [workflow.start(command) for command in commands]}
    found = []
    while running:
        pid, status, usage = os.wait4(-1, 0)
        if (process := running.pop(pid, None)) is not None:
            process.returncode = os.waitstatus_to_exitcode(status)
            assert process.returncode == 0, process.stdout.read()
            found.append((time.monotonic() - began, usage.ru_utime + usage.ru_stime))
    wall = time.monotonic() - began
    after = psutil.cpu_times()
    busy = sum(after) - sum(before) - (after.idle - before.idle) - (after.iowait - before.iowait)
    others = (busy - sum(cpu for _, cpu in found)) / (wall * os.cpu_count())
    return found, others


@pytest.fixture
def cells(house, tmp_path):
    """A copy of the repository in which the cells were read, all that the training needs."""
    copy = house.copy(tmp_path / "house")
    ended = copy.snakemake("results/phantom/read_cells/cells.h5")
    assert ended.status == 0, ended.text
    return copy


@pytest.mark.alone
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="two trainings side by side need two cores")
def test_two_trainings_side_by_side_keep_their_speed(cells, jobs):
    copy = cells
    alone, quiet_alone = measure(copy, [training_command(copy, jobs, "alone")])
    both, quiet_both = measure(copy, [training_command(copy, jobs, f"together{i}") for i in range(2)])
    (wall_alone, cpu_alone), wall_both, cpu_both = alone[0], max(w for w, _ in both), max(c for _, c in both)
    print(f"alone {wall_alone:.1f} s, CPU {cpu_alone:.1f} s; together {wall_both:.1f} s, CPU {cpu_both:.1f} s")
    print(f"others used {quiet_alone:.0%} and {quiet_both:.0%} of the CPUs")

    assert cpu_alone < 1.15 * wall_alone + 1  # one thread; a second for imports, which use more
    assert all(cpu < 1.15 * wall + 1 for wall, cpu in both)
    assert cpu_both < SLOWER * cpu_alone
    if max(quiet_alone, quiet_both) < 0.1:
        assert wall_both < SLOWER * wall_alone
    first, second = ((copy.folder / f"together{i}/model.safetensors").read_bytes() for i in range(2))
    assert first == second == (copy.folder / "alone/model.safetensors").read_bytes()


def assert_threads_of_rules(planned, cores):
    config = configuration({})
    asked, experiments = config["resources"], Experiments(config)
    for job in planned:
        rule = job.rule
        if rule == "sample_layouts" and not experiments[job.pairs("wildcards")["experiment"]].is_trained:
            rule = "light"
        said = int(re.search(r" --threads (\d+)", job.shell[0])[1])
        assert said == min(cores, asked.get(rule, asked["light"])["threads"]), job.name


def test_each_command_is_given_the_threads_of_its_rule(papers):
    assert_threads_of_rules(papers[0], 4)


def test_on_one_core_each_command_is_given_one_thread(house):
    assert_threads_of_rules(house.plan(overlays=(), cores=1), 1)
