"""A resumable training loop for layout models, image models and detectors.

Step k takes all its randomness from (seed, k), so a killed run that resumes from its last state needs no random state.
Its result equals that of an uninterrupted run, on the CPU bit for bit. Under torchrun several processes
share each batch (:mod:`cellscaper.training.processes`); the same state works with any number of processes.
"""

import math
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cellscaper.errors import CellscaperError
from cellscaper.run import launch
from cellscaper.run.progress import Progress
from cellscaper.training.contract import BatchLoss
from cellscaper.training.loss_log import LossLog
from cellscaper.training.processes import Processes
from cellscaper.training.settings import Training
from cellscaper.training.state import Run, say

STOPPED = 128 + signal.SIGTERM  # exit status of a training that saved its state because of a signal


class _Autocast(nn.Module):
    """Calls a model under bf16 autocast, so that losses outside it stay in float32."""

    def __init__(self, model: nn.Module, device: torch.device, enabled: bool):
        super().__init__()
        self.model, self._kind, self._enabled = model, device.type, enabled

    def forward(self, *args: Any, **named: Any) -> Any:
        with torch.autocast(self._kind, torch.bfloat16, enabled=self._enabled):
            return self.model(*args, **named)


def train(
    model: nn.Module,
    batch_loss: BatchLoss,
    settings: Training,
    state: Path,
    fingerprint: str,
    seed: int,
    *,
    log_path: Path | None = None,
    tensorboard: Path | None = None,
    device: torch.device | str = "cpu",
    what: str = "training",
    on_step: Callable[[int, nn.Module], None] | None = None,
    on_snapshot: Callable[[int, dict[str, Tensor]], None] | None = None,
) -> dict[str, Tensor]:
    """Train ``model`` and return its state dict, with averaged parameters if ``settings.ema`` is above 0.

    batch_loss(model, generator, k) → scalar losses by name for step k = 0, 1, …; "loss" is minimised, the others
        are logged. It calls the model as a function, on tensors whose first axis is the batch; ``generator`` is a
        CPU generator seeded from (seed, k), the source of all randomness in the batch.
    settings: only ``batch_loss`` uses its ``batch``.
    state: folder for ``checkpoint.pt``, saved every ``save_every`` seconds and on SIGTERM or SIGUSR1 (the step is
        finished, then SystemExit 143); a later call resumes from it. The caller removes it by :func:`clear_state`
        when the result is stored. A damaged file, or a file of another ``fingerprint``, is ignored with a log line.
    fingerprint: names everything that the result depends on: code, data, settings, seed.
    log_path: CSV of the losses and the gradient's norm before clipping, means over ``log_every`` steps; rewritten
        on resume without gaps or duplicates. tensorboard: folder for the same as TensorBoard events.
    on_step(k, model) is called after step k (k = 1 … steps), and again for a step that is repeated after a kill.
    on_snapshot(k, state dict) is called every ``snapshot_every`` steps with the state dict that this function would
        return after step k.

    Under torchrun each process takes its rows of every batch, all call ``on_step``, and only rank 0 writes files and
    calls ``on_snapshot``.

    At the end ``model`` has the last weights and is in training mode, on ``device``.
    Raises CellscaperError for a loss that is not finite, and if several processes cannot share the model
    (:meth:`cellscaper.training.processes.Processes.share`).
    """
    device = torch.device(device)
    model.train().to(device)
    if device.type == "cuda":  # on CPUs bf16 steps are up to 1.4 times slower with channels last
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    run = Run(model, settings, Path(state) / "checkpoint.pt", fingerprint)
    run.resume(what)
    generator = torch.Generator()
    processes, lead = Processes(device), launch.rank() == 0
    processes.wait()  # all processes have read the state before one writes it
    called = _Autocast(processes.share(model), device, settings.precision == "bf16")
    saved = time.monotonic()
    with (
        LossLog(log_path if lead else None, tensorboard if lead else None, run.rows, run.names) as log_file,
        _stop_signals() as signals,
        Progress(settings.steps, what, start=run.step, quiet=not lead) as progress,
    ):
        while run.step < settings.steps:
            _seed(generator, seed, run.step, processes.rank)
            losses = batch_loss(called, generator, run.step)
            values = torch.stack([value.detach().float() for value in losses.values()]).tolist()
            named = dict(zip(losses, values, strict=True))
            _check_finite(named, run.step, what)
            norm = run.advance(losses)
            run.count([*losses, "grad_norm"], [*values, norm])
            log_file.write(run.rows, run.names)
            if on_step is not None:
                on_step(run.step, model)
            if lead and on_snapshot is not None and run.step % (settings.snapshot_every or math.inf) == 0:
                on_snapshot(run.step, run.weights())
            progress.update(1, loss=named["loss"])
            stop = processes.any(bool(signals))  # after the same step in all processes
            if lead and (stop or (time.monotonic() - saved >= settings.save_every and run.step < settings.steps)):
                run.save()
                saved = time.monotonic()
            if stop:
                by = signals[0].name if signals else "a signal to another process"
                say(f"{what}: stopped by {by} after step {run.step}, state saved; the same command goes on")
                processes.wait()
                sys.exit(STOPPED)
    return run.weights()


def clear_state(state: Path) -> None:
    """Remove the files of :func:`train` in the folder ``state``, and the folder if nothing else is in it."""
    state = Path(state)
    for name in ("checkpoint.pt", ".checkpoint.pt.partial"):
        (state / name).unlink(missing_ok=True)
    if state.is_dir() and not any(state.iterdir()):
        state.rmdir()


def _seed(generator: torch.Generator, seed: int, step: int, rank: int) -> None:
    """Seed the batch generator and torch's own (dropout) for one step, independently.

    The batch is the same in all processes, dropout is not.
    """
    batch, dropout = np.random.SeedSequence([seed, step]).generate_state(2, np.uint64)
    generator.manual_seed(int(batch))
    torch.manual_seed(int(dropout) if rank == 0 else int(dropout) // 2 + rank)


def _check_finite(named: dict[str, float], step: int, what: str) -> None:
    if not math.isfinite(named["loss"]):
        terms = ", ".join(f"{name} {value:g}" for name, value in named.items())
        raise CellscaperError(
            f"{what}: the loss is not finite at step {step} ({terms}); try a lower lr, grad_clip 1.0 or precision fp32"
        )


@contextmanager
def _stop_signals() -> Iterator[list[signal.Signals]]:
    """A list that receives SIGTERM and SIGUSR1 while the block runs."""
    got: list[signal.Signals] = []
    old = {
        number: signal.signal(number, lambda received, _: got.append(signal.Signals(received)))
        for number in (signal.SIGTERM, signal.SIGUSR1)
    }
    try:
        yield got
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
