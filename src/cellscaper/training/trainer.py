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

import numpy as np
import torch
from torch import Tensor, nn

from cellscaper.run import launch
from cellscaper.run.progress import Progress
from cellscaper.run.requeue import requeue
from cellscaper.training.ahead import Ahead
from cellscaper.training.contract import BatchLoss, Drawn
from cellscaper.training.loss_log import LossLog
from cellscaper.training.network import Compiled, Network, like_cuda
from cellscaper.training.processes import Processes
from cellscaper.training.saving import Saver
from cellscaper.training.settings import Training
from cellscaper.training.state import Run, say

STOPPED = 128 + signal.SIGTERM  # exit status of a training that saved its state because of a signal


READ = 10.0  # seconds after which the losses are read in any case: to show them, and to notice a NaN


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
    start: Callable[[Run], None] | None = None,
    until: int | None = None,
    on_end: Callable[[Run], None] | None = None,
) -> dict[str, Tensor]:
    """Train ``model`` and return its state dict, with averaged parameters if ``settings.ema`` is above 0.

    batch_loss(model, generator, k) → scalar losses by name for step k = 0, 1, …; "loss" is minimised, the others
        are logged. It calls the model as a function, on tensors whose first axis is the batch; ``generator`` is a
        CPU generator seeded from (seed, k), the source of all randomness in the batch. The batches of a
        :class:`cellscaper.training.contract.Drawn` are drawn one step ahead, in a thread.
    settings: only ``batch_loss`` uses its ``batch``.
    state: folder for ``checkpoint.pt``, saved every ``save_every`` seconds, in a thread, and on SIGTERM, SIGINT or
        SIGUSR1 (the step is finished and its state written, then SystemExit 143); a later call resumes from it. The
        caller removes it by :func:`clear_state` when the result is stored. A damaged file, or a file of another
        ``fingerprint``, is ignored with a log line.
    fingerprint: names everything that the result depends on: code, data, settings, seed.
    log_path: CSV of the losses and the gradient's norm before clipping, means over ``log_every`` steps; rewritten
        on resume without gaps or duplicates. tensorboard: folder for the same as TensorBoard events.
    on_step(k, model) is called after step k (k = 1 … steps), and again for a step that is repeated after a kill.
    on_snapshot(k, state dict) is called every ``snapshot_every`` steps with the state dict that this function would
        return after step k.
    start(run) puts a fresh run where a beginning ends (:mod:`cellscaper.training.beginning`), if no state is resumed.
    until: the training ends after this step, as if it were killed there.
    on_end(run) is called after the last step.

    Under torchrun each process takes its rows of every batch, all call ``on_step``, and only rank 0 writes files and
    calls ``on_snapshot`` and ``on_end``.

    At the end ``model`` has the last weights and is in training mode, on ``device``.
    The host does not wait for the device in a step. It reads the losses for a row of the log, for a snapshot or a
    state, and after ``READ`` seconds at the latest. Then it raises CellscaperError if a loss or a gradient was not
    finite, and names the step. Also raised if several processes cannot share the model
    (:meth:`cellscaper.training.processes.Processes.share`).
    """
    device = torch.device(device)
    model.train().to(device)
    with like_cuda(model, device):
        run = Run(model, settings, Path(state) / "checkpoint.pt", fingerprint)
        if not run.resume(what) and start is not None:
            start(run)
        last = settings.steps if until is None else until
        processes, lead = Processes(device), launch.rank() == 0
        processes.wait()  # all processes have read the state before one writes it
        network = Compiled(model) if settings.compile else model
        called = Network(processes.share(network), device, settings.precision)
        saved = told = time.monotonic()
        with (
            LossLog(log_path if lead else None, tensorboard if lead else None, run.rows, run.names) as log_file,
            Progress(last, what, start=run.step, quiet=not lead) as progress,
            _stop_signals() as signals,
            Saver(run.write) as saver,
            _batches(batch_loss, seed, run.step, last, device) as losses_of,
        ):
            shown: dict[str, float] = {}
            while run.step < last:
                _seed_dropout(seed, run.step, processes.rank)
                losses = losses_of(called, run.step)
                run.count(losses, run.advance(losses))
                snapshot = run.step % (settings.snapshot_every or math.inf) == 0
                now = time.monotonic()
                if run.due or snapshot or now - told >= READ:
                    shown, told = {"loss": run.read(what)}, now
                    log_file.write(run.rows, run.names)
                if on_step is not None:
                    on_step(run.step, model)
                if lead and on_snapshot is not None and snapshot:
                    on_snapshot(run.step, run.weights())
                progress.update(1, **shown)
                stop = processes.any(bool(signals))  # after the same step in all processes
                due = now - saved >= settings.save_every and run.step < last and not saver.busy
                if lead and (stop or due):
                    saver.save(run.content(what))
                    saved = time.monotonic()
                if stop:
                    saver.wait()
                    by = signals[0].name if signals else "a signal to another process"
                    say(f"{what}: stopped by {by} after step {run.step}, state saved; the same command goes on")
                    processes.wait()
                    if lead and signal.SIGUSR1 in signals:
                        requeue(what)
                    sys.exit(STOPPED)
    if lead and on_end is not None:
        on_end(run)
    return run.weights()


def clear_state(state: Path) -> None:
    """Remove the files of :func:`train` in the folder ``state``, and the folder if nothing else is in it."""
    state = Path(state)
    for name in ("checkpoint.pt", ".checkpoint.pt.partial"):
        (state / name).unlink(missing_ok=True)
    if state.is_dir() and not any(state.iterdir()):
        state.rmdir()


def _seeds(seed: int, step: int) -> tuple[int, int]:
    """Independent seeds of a step's batch and of its dropout."""
    batch, dropout = np.random.SeedSequence([seed, step]).generate_state(2, np.uint64)
    return int(batch), int(dropout)


def _seed_dropout(seed: int, step: int, rank: int) -> None:
    """Seed torch's own generator. The batch is the same in all processes, dropout is not."""
    dropout = _seeds(seed, step)[1]
    torch.manual_seed(dropout if rank == 0 else dropout // 2 + rank)


@contextmanager
def _batches(
    batch_loss: BatchLoss, seed: int, first: int, end: int, device: torch.device
) -> Iterator[Callable[[nn.Module, int], dict[str, Tensor]]]:
    """``losses(model, k)``; what a loss of type Drawn draws is drawn one step ahead."""

    def generator(step: int) -> torch.Generator:
        return torch.Generator().manual_seed(_seeds(seed, step)[0])

    if not isinstance(batch_loss, Drawn):
        yield lambda model, step: batch_loss(model, generator(step), step)
        return
    with Ahead(lambda step: batch_loss.draw(generator(step), step), first, end, device) as ahead:
        yield lambda model, step: batch_loss.loss(model, ahead.take(step), step)


@contextmanager
def _stop_signals() -> Iterator[list[signal.Signals]]:
    """A list that receives SIGTERM, SIGINT (Ctrl-C) and SIGUSR1 while the block runs."""
    got: list[signal.Signals] = []
    old = {
        number: signal.signal(number, lambda received, _: got.append(signal.Signals(received)))
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
    }
    try:
        yield got
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
