"""Jobs side by side on one machine: each has GPUs of its own."""

import os
import subprocess
import sys

import pytest
import torch

from cellscaper.run import cards
from cellscaper.run.cards import choose_cards, take_cards

HOLD = """
import sys
from pathlib import Path
from cellscaper.run.cards import take_cards
print(*take_cards(int(sys.argv[2]), 3, Path(sys.argv[1])), flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def free_afterwards(monkeypatch):
    monkeypatch.setattr(cards, "_held", [])
    for name in ("CUDA_VISIBLE_DEVICES", "CELLSCAPER_DEVICE"):
        monkeypatch.delenv(name, raising=False)
    yield
    for lock in cards._held:
        lock.close()


def holding(folder, wanted):
    """Another process that takes cards of three, and the cards."""
    command = [sys.executable, "-c", HOLD, str(folder), str(wanted)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return process, [int(card) for card in process.stdout.readline().split()]


def test_processes_take_different_cards_and_free_them_when_they_end(tmp_path, capsys):
    first, one = holding(tmp_path, 1)
    second, two = holding(tmp_path, 1)
    assert (one, two) == ([0], [1])
    first.kill()
    first.communicate()
    assert take_cards(2, 3, tmp_path) == [0, 2]
    assert capsys.readouterr().err == ""
    second.communicate()


def test_too_few_free_cards_are_shared_and_said(tmp_path, capsys):
    process, one = holding(tmp_path, 2)
    assert one == [0, 1]
    assert take_cards(2, 3, tmp_path) == [0, 2]
    assert "GPU 0: another job computes there too; of 3 GPUs 1 were free" in capsys.readouterr().err
    process.communicate()


def test_a_job_sees_only_its_cards(monkeypatch, tmp_path):
    monkeypatch.setattr(cards.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    process, _ = holding(tmp_path / f"cellscaper-gpus-{os.getuid()}", 1)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # so that the test's end takes back what the choice sets
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    choose_cards(2)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "1,2"
    process.communicate()


@pytest.mark.parametrize("name", ["CUDA_VISIBLE_DEVICES", "CELLSCAPER_DEVICE"])
def test_a_choice_of_others_stays(monkeypatch, name):
    monkeypatch.setenv(name, "0")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    choose_cards(1)
    assert os.environ[name] == "0"
    assert ("CUDA_VISIBLE_DEVICES" in os.environ) == (name == "CUDA_VISIBLE_DEVICES")


def test_one_card_needs_no_choice(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    choose_cards(1)
    assert "CUDA_VISIBLE_DEVICES" not in os.environ
