"""Lines of progress with the time left."""

import io
import sys

import pytest

from cellscaper.run import progress
from cellscaper.run.progress import Progress, duration, log


class Clock:
    """A clock that goes when told; stands in for the time module."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (75.2, "1 min 15 s"),
        (3599.4, "59 min 59 s"),
        (3600, "1 h 0 min"),
        (3 * 3600 + 25 * 60 + 59, "3 h 25 min"),
        (24 * 3600 - 0.6, "23 h 59 min"),
        (24 * 3600 - 0.4, "1 d 0 h"),
        (100 * 3600, "4 d 4 h"),
    ],
)
def test_durations_read_well(seconds, text):
    assert duration(seconds) == text


def test_a_log_line_goes_to_standard_error(capsys):
    log("12 images")
    assert capsys.readouterr() == ("", "12 images\n")


def test_lines_come_once_an_interval_with_share_values_and_time_left(clock, capsys):
    with Progress(10, "steps", interval=10) as counter:
        for i in range(10):
            clock.now += 4
            counter.update(loss=1 / (i + 1))
    assert capsys.readouterr().err.splitlines() == [
        "steps 3/10 (30 %), loss 0.3333, 28 s left",
        "steps 6/10 (60 %), loss 0.1667, 16 s left",
        "steps 9/10 (90 %), loss 0.1111, 4 s left",
        "steps 10/10 done in 40 s",
    ]


def test_resumed_work_is_timed_by_what_was_done_since(clock, capsys):
    with Progress(1000, "steps", start=900, interval=10) as counter:
        clock.now += 20
        counter.update(20)
        assert capsys.readouterr().err == "steps 920/1000 (92 %), 1 min 20 s left\n"


def test_several_units_at_once_are_counted(clock, capsys):
    with Progress(7, "layouts") as counter:
        counter.update(4)
        counter.update(3)
    assert capsys.readouterr().err == "layouts 7/7 done in 0 s\n"


def test_no_units_at_all_end_without_an_error(clock, capsys):
    with Progress(0, "images") as counter:
        clock.now += 60
        counter.update(0)
    assert capsys.readouterr().err.splitlines()[-1] == "images 0/0 done in 1 min 0 s"


def test_work_that_fails_is_not_called_done(clock, capsys):
    with pytest.raises(ValueError), Progress(3, "images"):
        raise ValueError
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with Progress(10, "steps", start=5) as counter:
        counter.update(5, loss=0.25)
    shown = terminal.getvalue()
    assert "steps" in shown
    assert "10/10" in shown
    assert "loss=0.25" in shown
    assert "done in" not in shown
