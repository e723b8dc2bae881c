"""What the host does beside the device: drawing ahead, adding up losses, saving from a copy; and compilation."""

import math
import os
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from cellscaper.errors import CellscaperError
from cellscaper.run import launch
from cellscaper.training.ahead import Ahead
from cellscaper.training.contract import Drawn
from cellscaper.training.saving import Saver
from cellscaper.training.settings import Training
from cellscaper.training.state import Run, _read
from cellscaper.training.tally import Tally
from cellscaper.training.trainer import train

CPU = torch.device("cpu")
SETTINGS = Training(steps=12, lr=0.01, log_every=5)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 8, 3), nn.SiLU(), nn.Conv2d(8, 1, 1))


def error(model, x):
    return {"loss": (model(x).float() - x[:, :1, 1:-1, 1:-1]).square().mean()}


def numbers(generator):
    return torch.randn(4, 2, 6, 6, generator=generator)


def at_once(model, generator, step):
    return error(model, numbers(generator))


def run(folder, loss=at_once, **named):
    settings = SETTINGS.model_copy(update=named.pop("settings", {}))
    return train(named.pop("model", None) or network(), loss, settings, folder, "f", 1, **named)


# -- drawing ahead --------------------------------------------------------------------------------------------


def test_a_training_with_draws_ahead_is_bit_for_bit_that_without(tmp_path):
    threads = set()

    def draw(generator, step):
        threads.add(threading.current_thread())
        return (numbers(generator),)

    ahead = Drawn(draw, lambda model, drawn, step: error(model, drawn[0]))
    wanted, found = run(tmp_path / "a"), run(tmp_path / "b", ahead)
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    assert threads and threading.main_thread() not in threads
    direct = ahead(network(), torch.Generator().manual_seed(3), 0)["loss"]
    assert torch.equal(direct, at_once(network(), torch.Generator().manual_seed(3), 0)["loss"])


def test_one_draw_is_made_ahead_and_none_beyond_the_end():
    drawn, second = [], threading.Event()

    def draw(step):
        drawn.append(step)
        if step == 4:
            second.set()
        return step

    with Ahead(draw, 3, 6, CPU) as ahead:
        assert ahead.take(3) == 3
        assert second.wait(10)  # drawn while the caller computes
        assert drawn == [3, 4]
        assert [ahead.take(4), ahead.take(5)] == [4, 5]
    assert drawn == [3, 4, 5]


def test_an_error_of_a_draw_is_raised_by_the_step_that_needs_it(tmp_path):
    def draw(generator, step):
        if step == 4:
            raise CellscaperError("no such crop")
        return numbers(generator)

    done = []
    with pytest.raises(CellscaperError, match="no such crop"):
        run(tmp_path, Drawn(draw, lambda model, x, step: error(model, x)), on_step=lambda step, _: done.append(step))
    assert done == [1, 2, 3, 4]


# -- losses ---------------------------------------------------------------------------------------------------


def test_sums_are_those_of_the_single_values():
    generator = torch.Generator().manual_seed(0)
    rows = torch.rand(100, 3, generator=generator) * 1000
    tally, wanted = Tally(["loss", "a", "grad_norm"], [1.5, 0.0, 2.0]), [1.5, 0.0, 2.0]
    for step, (loss, a, norm) in enumerate(rows):
        tally.add([loss, a, norm], step)
        wanted = [total + float(one) for total, one in zip(wanted, (loss, a, norm), strict=True)]
    assert tally.read("x") == (wanted, float(rows[-1, 0]))  # bit for bit
    tally.clear()
    assert tally.read("x")[0] == []


@pytest.mark.parametrize(("factor", "words"), [(math.nan, "loss"), (1e30, "gradient")])
def test_what_is_not_finite_is_named_with_its_step_when_the_losses_are_read(factor, words, tmp_path):
    """The steps between go on, but neither a state nor a snapshot of their weights is written."""

    class Huge(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, slope):
            return slope * factor * factor

    def broken(model, generator, step):
        loss = at_once(model, generator, step)["loss"]
        return {"loss": loss * factor if math.isnan(factor) else Huge.apply(loss)} if step == 6 else {"loss": loss}

    kept, done = [], []
    with pytest.raises(CellscaperError, match=rf"training: the {words} is not finite at step 6 \(loss "):
        run(
            tmp_path, broken, settings={"snapshot_every": 9}, on_snapshot=lambda step, _: kept.append(step),
            on_step=lambda step, _: done.append(step),
        )  # fmt: skip
    assert kept == [] and done[-1] == 8  # read for the snapshot after step 9
    with pytest.raises(CellscaperError, match="not finite at step 6"):
        run(tmp_path / "s", broken, settings={"save_every": 1e-9})
    assert torch.load(tmp_path / "s/checkpoint.pt", weights_only=True)["step"] <= 6


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    model = network()

    def spoil(step, _):
        with torch.no_grad():
            model[2].bias.fill_(math.inf)
        os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(CellscaperError, match="weights are not finite after step 1"):
        run(tmp_path, model=model, on_step=spoil)
    assert not (tmp_path / "checkpoint.pt").exists()


# -- saving ---------------------------------------------------------------------------------------------------


def test_a_state_is_written_from_a_copy_while_the_training_goes_on(tmp_path, monkeypatch):
    plain, begun, go_on, written = Run.write, threading.Event(), threading.Event(), []

    def slow(self, content):
        begun.set()
        assert go_on.wait(20)
        written.append(content["step"])
        plain(self, content)

    def on_step(step, _):
        if step == 2:
            assert begun.wait(20)
        if step == 9:
            assert written == []  # eight more steps, one write
            go_on.set()

    monkeypatch.setattr(Run, "write", slow)
    wanted = run(tmp_path / "plain", settings={"steps": 1})
    run(tmp_path / "s", settings={"save_every": 1e-9}, on_step=on_step)
    assert written[0] == 1
    monkeypatch.undo()
    go_on.set()
    first = []
    with pytest.raises(SystemExit):
        monkeypatch.setattr(
            Run, "write", lambda self, content: first.append(content) if not first else plain(self, content)
        )
        run(tmp_path / "t", on_step=lambda step, _: step == 1 and os.kill(os.getpid(), signal.SIGTERM))
    assert all(torch.equal(first[0]["model"][name], wanted[name]) for name in wanted)


def test_a_signal_waits_for_the_write_in_flight_and_saves_the_last_step(tmp_path, monkeypatch):
    plain, written = Run.write, []

    def slow(self, content):
        time.sleep(0.3)
        plain(self, content)
        written.append(content["step"])

    monkeypatch.setattr(Run, "write", slow)
    with pytest.raises(SystemExit):
        run(
            tmp_path, settings={"save_every": 1e-9},
            on_step=lambda step, _: step == 4 and os.kill(os.getpid(), signal.SIGTERM),
        )  # fmt: skip
    assert written == [1, 4]
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 4


def test_the_copy_keeps_formats_and_values_and_its_memory_is_used_again():
    held = []
    tensor = torch.rand(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    with Saver(held.append) as saver:
        saver.save({"a": [tensor], "n": 3})
        saver.wait()
        copy = held[0]["a"][0]
        assert torch.equal(copy, tensor) and copy.stride() == tensor.stride() and held[0]["n"] == 3
        tensor.zero_()
        assert copy.any()
        saver.save({"a": [tensor], "n": 4})
        saver.wait()
        assert held[1]["a"][0].data_ptr() == copy.data_ptr() and not copy.any()


def test_a_state_is_read_where_it_lies_in_the_file(tmp_path):
    """Several processes that resume do not each hold a copy of it."""
    with pytest.raises(SystemExit):
        run(tmp_path, on_step=lambda step, _: os.kill(os.getpid(), signal.SIGTERM))
    state = _read(tmp_path / "checkpoint.pt")
    mapped = Path("/proc/self/maps").read_text()
    assert state["step"] == 1 and str(tmp_path / "checkpoint.pt") in mapped


def test_a_failed_write_ends_the_training_in_one_line(tmp_path, monkeypatch):
    def full(content, path):
        raise RuntimeError("PytorchStreamWriter failed writing file: no space")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(CellscaperError, match=r"checkpoint\.pt: the state cannot be saved \(disk full\?\)"):
        run(tmp_path, settings={"save_every": 1e-9})


def test_torchrun_gives_the_processes_time_to_save(monkeypatch):
    from torch.distributed import run as torchrun

    monkeypatch.delenv("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", raising=False)
    seen = {}
    monkeypatch.setattr(torchrun, "run", lambda args: seen.update(config=torchrun.config_from_args(args)[0]))
    with pytest.raises(SystemExit):
        launch.torchrun("cellscaper.stages.train_layout", [], 2)
    monkeypatch.delenv("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", raising=False)
    if not hasattr(seen["config"], "shutdown_timeout"):
        pytest.skip("torch before 2.13 gives 30 s and cannot be told another time")
    assert seen["config"].shutdown_timeout == launch.GRACE


# -- compilation ----------------------------------------------------------------------------------------------


def curve(path):
    return [float(line.split(",")[1]) for line in path.read_text().splitlines()[1:]]


@pytest.mark.skipif(not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="torch.compile needs a C compiler")
@pytest.mark.slow
def test_a_compiled_network_has_the_losses_of_the_plain_one(tmp_path):
    each = {"log_every": 1, "precision": "bf16", "ema": 0.9}
    wanted = run(tmp_path / "a", settings=each, log_path=tmp_path / "a.csv")
    found = run(tmp_path / "b", settings={**each, "compile": True}, log_path=tmp_path / "b.csv")
    assert curve(tmp_path / "b.csv") == pytest.approx(curve(tmp_path / "a.csv"), rel=2e-2)
    assert found.keys() == wanted.keys()
    for name in wanted:
        torch.testing.assert_close(found[name], wanted[name], rtol=0, atol=2e-2)


def test_a_network_that_cannot_be_compiled_ends_in_one_line(tmp_path, monkeypatch):
    from torch._dynamo.exc import BackendCompilerFailed

    def compile_to_nothing(forward, dynamic):
        def fail(*args, **named):
            raise BackendCompilerFailed(forward, RuntimeError("Failed to find C compiler"), None)

        return fail

    monkeypatch.setattr(torch, "compile", compile_to_nothing)
    with pytest.raises(CellscaperError, match=r"compiled \(.*Failed to find C compiler.*set compile: false"):
        run(tmp_path, settings={"compile": True})
