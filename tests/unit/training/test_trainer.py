"""The training loop: same weights as a plain loop, as a resumed run, and its behaviour when things go wrong."""

import io
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from cellscaper.errors import CellscaperError
from cellscaper.run.settings import read
from cellscaper.training.settings import Training
from cellscaper.training.trainer import clear_state, train

BLOCK = {
    "steps": 14, "lr": 0.01, "weight_decay": 0.1, "ema": 0.9, "warmup": 3, "grad_clip": 1.0, "log_every": 4
}  # fmt: skip
EACH_STEP = 1e-9  # seconds between saved states


def settings(**changes):
    return read(Training, {**BLOCK, **changes}, "training")


def make_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 8, 3), nn.BatchNorm2d(8), nn.Dropout(0.5), nn.SiLU(), nn.Conv2d(8, 1, 1))


def batch_loss(model: nn.Module, generator: torch.Generator, step: int) -> dict[str, torch.Tensor]:
    x = torch.randn(4, 2, 6, 6, generator=generator)
    error = (model(x).float() - x[:, :1, 1:-1, 1:-1]).square().mean()
    return {"loss": error + 0.1 * error.sqrt(), "error": error}


def slow_run(state: str, log: str) -> None:
    """Train in another process, telling each step: what the signal test kills."""

    def tell(step: int, _: nn.Module) -> None:
        print(step, flush=True)
        time.sleep(0.05)

    train(make_model(), batch_loss, settings(), Path(state), "f", 1, log_path=Path(log), on_step=tell)


def run(state, **named):
    options = {"settings": settings(), "fingerprint": "f", "seed": 1, **named}
    model = options.pop("model", None) or make_model()
    return train(model, options.pop("batch_loss", batch_loss), options.pop("settings"), state, **options)


def assert_same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


class KilledError(Exception):
    pass


def kill_at(step):
    def hook(done, _):
        if done == step:
            raise KilledError

    return hook


def test_training_equals_a_plain_loop(tmp_path):
    data = torch.randn(14, 8, 2, 5, 5, generator=torch.Generator().manual_seed(0))

    def loss(model, step):
        return (model(data[step]) - data[step, :, :1, 1:-1, 1:-1]).square().mean()

    def net():
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(2, 4, 1), nn.SiLU(), nn.Conv2d(4, 1, 3))

    plain = net()
    optimizer = torch.optim.AdamW(plain.parameters(), lr=0.01, weight_decay=0.1, foreach=False, fused=False)
    ema = [p.detach().clone() for p in plain.parameters()]
    for step in range(14):
        optimizer.param_groups[0]["lr"] = 0.01 * min(1, (step + 1) / 3)
        optimizer.zero_grad()
        loss(plain, step).backward()
        norm = math.sqrt(sum(p.grad.square().sum().item() for p in plain.parameters()))
        for p in plain.parameters():
            p.grad *= min(1.0, 1.0 / (norm + 1e-6))
        optimizer.step()
        ema = [0.9 * old + 0.1 * p.detach() for old, p in zip(ema, plain.parameters(), strict=True)]

    model = net()
    weights = run(tmp_path, model=model, batch_loss=lambda net, _, step: {"loss": loss(net, step)})
    for name, averaged in zip(weights, ema, strict=True):
        torch.testing.assert_close(weights[name], averaged, atol=1e-6, rtol=1e-5)
    for ours, theirs in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)


def test_without_averaging_the_last_weights_come_back(tmp_path):
    model = make_model()
    assert_same(run(tmp_path, model=model, settings=settings(ema=0.0)), model.state_dict())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_killed_and_resumed_run_ends_bit_for_bit_the_same(tmp_path, precision):
    each = settings(precision=precision, save_every=EACH_STEP)
    whole = run(tmp_path / "a", settings=each, log_path=tmp_path / "a.csv")
    for step in (3, 7, 12):
        with pytest.raises(KilledError):
            run(tmp_path / "b", settings=each, log_path=tmp_path / "b.csv", on_step=kill_at(step))
    (tmp_path / "b.csv").unlink()  # a workflow removes the outputs of a failed job
    torch.rand(17)  # the global generator is elsewhere in the second process
    assert_same(run(tmp_path / "b", settings=each, log_path=tmp_path / "b.csv"), whole)
    assert (tmp_path / "b.csv").read_text() == (tmp_path / "a.csv").read_text()


def test_another_seed_gives_another_result(tmp_path):
    a, b = run(tmp_path / "a"), run(tmp_path / "b", seed=2)
    assert not torch.equal(a["0.weight"], b["0.weight"])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_signal_finishes_the_step_and_saves(tmp_path, number, capfd):
    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as stop:
        run(tmp_path / "s", on_step=lambda step, _: step == 5 and os.kill(os.getpid(), number))
    assert stop.value.code == 143
    assert torch.load(tmp_path / "s/checkpoint.pt", weights_only=True)["step"] == 5
    assert signal.getsignal(number) is before
    assert_same(run(tmp_path / "s"), run(tmp_path / "whole"))
    assert "going on after step 5 of 14" in capfd.readouterr().err


@pytest.mark.slow
def test_terminated_process_exits_143_and_goes_on_to_the_same_end(tmp_path):
    state, log = tmp_path / "s", tmp_path / "log.csv"
    code = f"import test_trainer; test_trainer.slow_run({str(state)!r}, {str(log)!r})"
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    environment = {**os.environ, "PYTHONPATH": path}
    with subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True) as process:
        while process.stdout.readline().strip() != "5":
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 143
    resumed = run(state, log_path=log)
    assert_same(resumed, run(tmp_path / "whole", log_path=tmp_path / "whole.csv"))
    assert log.read_text() == (tmp_path / "whole.csv").read_text()


def stopped(state):
    with pytest.raises(KilledError):
        run(state, settings=settings(save_every=EACH_STEP), on_step=kill_at(9))
    return state / "checkpoint.pt"


def test_another_fingerprint_starts_anew_and_says_so(tmp_path, capfd):
    stopped(tmp_path / "s")
    steps = []
    weights = run(tmp_path / "s", fingerprint="g", on_step=lambda step, _: steps.append(step))
    assert steps == list(range(1, 15))
    assert capfd.readouterr().err.count("of other code, data or settings; starting anew") == 1
    assert_same(weights, run(tmp_path / "whole"))


def truncated(data):
    return data[: len(data) // 2]


def with_a_flipped_weight(data):
    weight = torch.load(io.BytesIO(data), weights_only=True)["model"]["0.weight"]
    start = data.index(bytes(weight.untyped_storage()))
    return data[: start + 3] + bytes([data[start + 3] ^ 1]) + data[start + 4 :]


@pytest.mark.parametrize("damage", [truncated, with_a_flipped_weight, lambda data: b"", lambda data: b"not a state"])
def test_damaged_state_starts_anew_and_says_so(tmp_path, damage, capfd):
    file = stopped(tmp_path / "s")
    file.write_bytes(damage(file.read_bytes()))
    weights = run(tmp_path / "s")
    assert capfd.readouterr().err.count("is unreadable") == 1
    assert_same(weights, run(tmp_path / "whole"))


def test_state_is_not_saved_more_often_than_asked(tmp_path):
    run(tmp_path / "s", settings=settings(save_every=3600.0))
    assert not (tmp_path / "s").exists()


def test_clear_state_removes_its_file_and_spares_others(tmp_path):
    file = stopped(tmp_path / "s")
    clear_state(tmp_path / "s")
    assert not file.parent.exists()
    stopped(tmp_path / "s")
    (tmp_path / "s" / "best.pt").touch()
    clear_state(tmp_path / "s")
    assert [p.name for p in (tmp_path / "s").iterdir()] == ["best.pt"]
    clear_state(tmp_path / "never")


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_loss_that_is_not_finite_stops_naming_the_step(tmp_path, value):
    def broken(model, generator, step):
        losses = batch_loss(model, generator, step)
        return {**losses, "loss": losses["loss"] * value} if step == 6 else losses

    with pytest.raises(CellscaperError, match=r"at step 6 \(loss (nan|inf), error .*lower lr"):
        run(tmp_path, batch_loss=broken)


def test_log_holds_means_over_its_interval_and_a_last_row(tmp_path):
    def counting(model, generator, step):
        return {"loss": 0 * batch_loss(model, generator, step)["loss"] + step, "twice": torch.tensor(2.0 * step)}

    run(tmp_path, batch_loss=counting, log_path=tmp_path / "log.csv")
    assert (tmp_path / "log.csv").read_text().splitlines() == [
        "step,loss,twice,grad_norm", "4,1.5,3,0", "8,5.5,11,0", "12,9.5,19,0", "14,12.5,25,0"
    ]  # fmt: skip


def test_a_new_run_replaces_an_old_log(tmp_path):
    (tmp_path / "log.csv").write_text("step,loss\n4,99\n")
    run(tmp_path / "s", log_path=tmp_path / "log.csv")
    assert "99" not in (tmp_path / "log.csv").read_text()


def test_bf16_is_for_the_model_alone(tmp_path):
    seen = []

    def probe(model, generator, step):
        x = torch.randn(2, 2, 6, 6, generator=generator)
        out, square = model(x), x[0, 0] @ x[0, 0]
        seen.append((out.dtype, square.dtype))
        return {"loss": out.float().square().mean()}

    model = make_model()
    run(tmp_path, model=model, batch_loss=probe, settings=settings(precision="bf16"))
    assert set(seen) == {(torch.bfloat16, torch.float32)}
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_dropout_is_on_and_differs_between_steps(tmp_path):
    seen = []

    def probe(model, generator, step):
        seen.append(torch.rand(3))
        return batch_loss(model, generator, step)

    model = make_model().eval()
    run(tmp_path, model=model, batch_loss=probe)
    assert model.training
    assert len({tuple(x.tolist()) for x in seen}) == 14


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"weight_decy": 1.0}, r"training\.weight_decy = 1\.0"),
        ({"precision": "fp8"}, r"training\.precision = 'fp8': .*'fp32' or 'bf16'"),
        ({"ema": 1.0}, r"training\.ema = 1\.0: .*less than 1"),
    ],
)
def test_bad_settings_are_refused(change, words):
    with pytest.raises(CellscaperError, match=words):
        settings(**change)
    for name in ("steps", "lr"):
        with pytest.raises(CellscaperError, match=rf"training\.{name}.* required"):
            read(Training, {key: value for key, value in BLOCK.items() if key != name}, "training")
