"""The losses on disk: complete after a resume, and what TensorBoard reads is what the CSV says."""

import csv

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from cellscaper.training.loss_log import LossLog

NAMES = ["loss", "grad_norm"]


def events(folder):
    found = EventAccumulator(str(folder)).Reload()
    return {name: [(e.step, e.value) for e in found.Scalars(name)] for name in found.Tags()["scalars"]}


def table(path):
    with open(path, newline="") as file:
        return [[float(value) for value in row] for row in list(csv.reader(file))[1:]]


def test_tensorboard_holds_what_the_csv_holds(tmp_path):
    rows = [[10, 0.5, 2.0], [20, 0.25, 1.5]]
    with LossLog(tmp_path / "l.csv", tmp_path / "tb", rows[:1], NAMES) as log:
        log.write(rows, NAMES)
    assert table(tmp_path / "l.csv") == rows
    assert events(tmp_path / "tb") == {"loss": [(10, 0.5), (20, 0.25)], "grad_norm": [(10, 2.0), (20, 1.5)]}


def test_a_resumed_log_has_no_rows_of_steps_that_are_repeated(tmp_path):
    with LossLog(tmp_path / "l.csv", tmp_path / "tb", [], NAMES) as log:
        log.write([[10, 0.5, 2.0], [20, 9.0, 9.0]], NAMES)
    with LossLog(tmp_path / "l.csv", tmp_path / "tb", [[10, 0.5, 2.0]], NAMES) as log:
        log.write([[10, 0.5, 2.0], [20, 0.25, 1.5]], NAMES)
    assert table(tmp_path / "l.csv") == [[10, 0.5, 2.0], [20, 0.25, 1.5]]
    assert events(tmp_path / "tb")["loss"] == [(10, 0.5), (20, 0.25)]
