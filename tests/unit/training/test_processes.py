"""Two processes of torchrun train as one does with the same global batch. Run as a script this is what they do."""

import csv
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import distributed, nn

from cellscaper.errors import CellscaperError
from cellscaper.run import launch
from cellscaper.training.beginning import Origin, load_beginning, write_beginning
from cellscaper.training.settings import Training
from cellscaper.training.trainer import train

pytestmark = pytest.mark.slow  # several processes of torchrun

SETTINGS = Training(steps=12, lr=0.01, weight_decay=0.1, ema=0.9, grad_clip=0.5, log_every=1)
PROCESSES = 2


class Net(nn.Module):
    """Two heads on one trunk, and a condition for each sample."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.trunk, self.embed = nn.Conv2d(2, 8, 3), nn.Linear(3, 8)
        self.heads = nn.ModuleDict({"noise": nn.Conv2d(8, 1, 1), "mask": nn.Conv2d(8, 2, 1)})

    def forward(self, x, condition):
        hidden = nn.functional.silu(self.trunk(x) + self.embed(condition)[..., None, None])
        return {name: head(hidden) for name, head in self.heads.items()}


def batch_loss(model, generator, step, batch=5):
    """A loss that is no mean over samples: a Dice ratio over the whole batch, and one output called twice."""
    x, condition = torch.randn(batch, 2, 7, 7, generator=generator), torch.rand(batch, 3, generator=generator)
    out = model(x, condition)
    mask = out["mask"].float().softmax(1)[:, 0]
    wanted = (x[:, 0, 1:-1, 1:-1] > 0).float()
    dice = 1 - (2 * (mask * wanted).sum() + 1) / (mask.sum() + wanted.sum() + 1)
    again = model(x.flip(0), condition=condition)["noise"].float()
    error = (out["noise"].float() - x[:, :1, 1:-1, 1:-1]).square().mean() + 0.1 * again.square().mean()
    return {"loss": error + dice, "error": error, "dice": dice}


def batch_of_one(model, generator, step):
    return batch_loss(model, generator, step, 1)


def ragged(model, generator, step):
    return {"loss": model(torch.zeros(4, 2, 7, 7), torch.zeros(1, 3))["noise"].mean()}


class Normalised(Net):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(2)


def run(folder, name, loss=batch_loss, net=Net, on_step=None, hooks=None, **settings):
    """Train in ``folder``; the state stays there."""
    return train(
        net(), loss, SETTINGS.model_copy(update=settings), folder / name, "f", 1,
        log_path=folder / f"{name}.csv", tensorboard=folder / f"{name}.events", on_step=on_step,
        **(hooks or {}),
    )  # fmt: skip


def stop_one(step, _):
    """SIGTERM to one of the processes, and not the one that saves."""
    if step == 5 and launch.rank() == launch.count() - 1:
        os.kill(os.getpid(), signal.SIGTERM)


REFUSED = {
    "normalised": {"net": Normalised},
    "one": {"loss": batch_of_one},
    "ragged": {"loss": ragged},
}


def begin_and_go_on(folder):
    """Five steps as a beginning, and a training that goes on from there: its weights."""
    file, origin = folder / "beginning.safetensors", Origin({}, 1, {}, 5)

    def end(run):
        assert not file.exists()
        write_beginning(file, folder / "beginning.csv", run, origin, {})

    run(folder, "begun", hooks={"until": 5, "on_end": end})
    if launch.count() > 1:
        distributed.barrier()
    return run(folder, "on", hooks={"start": lambda run: load_beginning(file, run, origin, "on")})


def in_each_process(folder):
    torch.save(begin_and_go_on(folder), folder / f"on.{launch.rank()}.pt")
    for precision in ("fp32", "bf16"):
        weights = run(folder, precision, precision=precision)
        torch.save(weights, folder / f"{precision}.{launch.rank()}.pt")
    for name, options in REFUSED.items():
        try:
            run(folder, name, **options)
        except CellscaperError as error:
            (folder / f"{name}.{launch.rank()}.txt").write_text(str(error))
    run(folder, "stopped", on_step=stop_one)  # exits


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """What two processes left behind."""
    folder = tmp_path_factory.mktemp("two")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={PROCESSES}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    ended = subprocess.run([*command, __file__, str(folder)], env=environment, capture_output=True, text=True)
    assert ended.returncode != 0, ended.stderr  # the last training was told to stop
    assert "stopped by a signal to another process after step 5" in ended.stderr, ended.stderr
    return folder, ended.stderr


def curve(file):
    with open(file, newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    return {name: [float(row[name]) for row in rows] for name in ("loss", "dice", "grad_norm")}


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "off"), [("fp32", 1e-5), ("bf16", 2e-2)])
def test_two_processes_have_the_losses_and_weights_of_one(two, tmp_path, precision, off):
    folder, _ = two
    alone = run(tmp_path, precision, precision=precision)
    one, other = (torch.load(folder / f"{precision}.{rank}.pt", weights_only=True) for rank in range(PROCESSES))
    mine, theirs = curve(tmp_path / f"{precision}.csv"), curve(folder / f"{precision}.csv")
    for name in mine:
        assert len(mine[name]) == len(theirs[name]) == SETTINGS.steps
        assert theirs[name] == pytest.approx(mine[name], rel=off, abs=off), name
    for name, wanted in alone.items():
        assert torch.equal(one[name], other[name])
        torch.testing.assert_close(one[name], wanted, rtol=off, atol=off)


def test_without_the_gathered_rows_it_would_differ(tmp_path):
    """What the comparison above would see if each process took the loss of its own rows: another curve."""

    def halves(model, generator, step):
        losses = [batch_loss(model, generator, step, n) for n in (2, 3)]
        return {name: (losses[0][name] + losses[1][name]) / 2 for name in losses[0]}

    run(tmp_path, "whole")
    run(tmp_path, "halves", loss=halves)
    assert curve(tmp_path / "halves.csv")["loss"] != pytest.approx(curve(tmp_path / "whole.csv")["loss"], rel=1e-3)


def test_a_signal_to_one_process_stops_both_after_the_same_step_and_one_goes_on(two, tmp_path, capfd):
    folder, _ = two
    weights = run(folder, "stopped")
    assert "going on after step 5 of 12" in capfd.readouterr().err
    whole = run(tmp_path, "whole")
    for name, wanted in whole.items():
        torch.testing.assert_close(weights[name], wanted, rtol=1e-5, atol=1e-5)


def test_two_processes_begin_and_go_on_as_one_trains_and_one_writes(two, tmp_path):
    folder, said = two
    assert said.count("on: begins after step 5 of 12, with ") == 1
    alone, whole = begin_and_go_on(tmp_path), run(tmp_path, "whole")
    for rank in range(PROCESSES):
        on = torch.load(folder / f"on.{rank}.pt", weights_only=True)
        for name, wanted in whole.items():
            assert torch.equal(alone[name], wanted)
            torch.testing.assert_close(on[name], wanted, rtol=1e-5, atol=1e-5)


def test_one_process_writes_and_talks(two):
    folder, said = two
    assert said.count("after step 5, state saved") == 1
    assert said.count(f"training {SETTINGS.steps}/{SETTINGS.steps} done") == 3  # on, fp32 and bf16
    assert len(list((folder / "fp32.events").iterdir())) == 1
    assert not list(folder.rglob("*partial*"))


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("normalised", "batch normalisation"),
        ("one", "batch of 1 cannot be shared by 2 processes"),
        ("ragged", r"first axis is the batch, got \[\(1,\), \(4,\)\]"),
    ],
)
def test_what_cannot_be_shared_is_refused_in_every_process(two, case, words):
    for rank in range(PROCESSES):
        assert re.search(words, (two[0] / f"{case}.{rank}.txt").read_text())


if __name__ == "__main__":
    torch.set_num_threads(1)
    in_each_process(Path(sys.argv[1]))
