"""A resumable training loop for layout models, image models and detectors.

Step k takes all its randomness from (seed, k), so a killed run that goes on from its last state needs no
random state and ends, on the CPU bit for bit, like one that was never stopped. Under torchrun several processes
share each batch (:mod:`cellscaper.training.processes`); the same state serves any number of them.
"""

import math
import signal
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cellscaper.disk.files import atomic
from cellscaper.errors import CellscaperError
from cellscaper.run import launch
from cellscaper.run.progress import Progress, log
from cellscaper.training.loss_log import LossLog
from cellscaper.training.processes import Processes

BatchLoss = Callable[[nn.Module, torch.Generator, int], dict[str, Tensor]]
STOPPED = 128 + signal.SIGTERM  # exit status of a training that was told to stop and saved its state


@dataclass(frozen=True)
class Settings:
    """Training settings.

    steps         optimizer steps
    lr            learning rate of AdamW, after ``warmup`` steps of linear rise
    cooldown      last part of the steps, in which the learning rate falls linearly to 0
    weight_decay  of AdamW
    ema           decay of the weights' exponential moving average; 0 for none
    precision     "fp32", or "bf16": the model's forward pass in bf16 autocast, weights and losses in fp32
    grad_clip     largest gradient norm, or None
    save_every    seconds between saved states
    log_every     steps between rows of the loss log
    snapshot_every  steps between calls of ``on_snapshot``, or None
    """

    steps: int
    lr: float
    weight_decay: float = 0.0
    ema: float = 0.0
    precision: str = "fp32"
    warmup: int = 0
    grad_clip: float | None = None
    save_every: float = 60.0
    log_every: int = 100
    cooldown: float = 0.0
    snapshot_every: int | None = None

    def __post_init__(self) -> None:
        if self.precision not in ("fp32", "bf16"):
            raise CellscaperError(f"training precision {self.precision!r} is unknown; use fp32 or bf16")
        if not 0 <= self.ema < 1:
            raise CellscaperError(f"training ema {self.ema} must be at least 0 (no averaging) and below 1")

    @classmethod
    def read(cls, settings: Mapping[str, Any]) -> "Settings":
        """From a config section; CellscaperError for unknown or missing keys."""
        known = {field.name for field in fields(cls)}
        if set(settings) - known or not {"steps", "lr"} <= set(settings):
            given, names = ", ".join(sorted(settings)), ", ".join(sorted(known))
            raise CellscaperError(f"training settings have {given}; steps and lr are needed, known are {names}")
        return cls(**settings)


class _Autocast(nn.Module):
    """Calls a model under bf16 autocast, so that losses outside it stay in float32."""

    def __init__(self, model: nn.Module, device: torch.device, enabled: bool):
        super().__init__()
        self.model, self._kind, self._enabled = model, device.type, enabled

    def forward(self, *args: Any, **named: Any) -> Any:
        with torch.autocast(self._kind, torch.bfloat16, enabled=self._enabled):
            return self.model(*args, **named)


class _Run:
    """All that changes while training, and its file."""

    def __init__(self, model: nn.Module, settings: Settings, path: Path, fingerprint: str):
        self.model, self.settings, self.path, self.fingerprint = model, settings, path, fingerprint
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        fused = self.parameters[0].device.type in ("cpu", "cuda")
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=settings.lr, weight_decay=settings.weight_decay, fused=fused
        )
        self.ema = [p.detach().clone() for p in self.parameters] if settings.ema else []
        self.step = 0
        self.names: list[str] = []  # of the losses
        self.sums: list[float] = []  # of the losses since the last row
        self.rows: list[list[float]] = []  # step, then mean losses

    def advance(self, losses: dict[str, Tensor]) -> float:
        """One optimizer step down the gradient of ``losses["loss"]``; returns the gradient's norm before clipping."""
        settings = self.settings
        rise = (self.step + 1) / max(settings.warmup, 1)
        fall = (settings.steps - self.step) / max(settings.cooldown * settings.steps, 1)
        for group in self.optimizer.param_groups:
            group["lr"] = settings.lr * min(1.0, rise, fall)
        self.optimizer.zero_grad(set_to_none=True)
        losses["loss"].backward()
        limit = math.inf if settings.grad_clip is None else settings.grad_clip
        norm = nn.utils.clip_grad_norm_(self.parameters, limit)
        self.optimizer.step()
        if self.ema:
            torch._foreach_lerp_(self.ema, [p.detach() for p in self.parameters], 1 - settings.ema)
        self.step += 1
        return float(norm)

    def count(self, names: list[str], values: list[float]) -> None:
        """Add the losses of the step just made to the current row of the log; close the row where it is due."""
        self.names, settings = names, self.settings
        self.sums = [a + b for a, b in zip(self.sums or [0.0] * len(values), values, strict=True)]
        if self.step % settings.log_every == 0 or self.step == settings.steps:
            n = (self.step - 1) % settings.log_every + 1
            self.rows.append([self.step, *(total / n for total in self.sums)])
            self.sums = []

    def save(self) -> None:
        """Write the state file."""
        state = {
            "fingerprint": self.fingerprint,
            "step": self.step,
            "model": self.model.state_dict(),
            "ema": self.ema,
            "optimizer": self.optimizer.state_dict(),
            "names": self.names,
            "sums": self.sums,
            "rows": self.rows,
        }
        try:
            with atomic(self.path) as partial:
                torch.save(state, partial)
        except RuntimeError as error:  # torch's words for a failed write
            raise CellscaperError(
                f"{self.path}: the state cannot be saved (disk full?); make room and go on"
            ) from error

    def resume(self, what: str) -> None:
        """Go on from the state file if there is one of this fingerprint; say what was done."""
        if not self.path.exists():
            return
        try:
            state = _read(self.path)
        except Exception as error:  # a damaged file may raise anything
            _say(f"{what}: saved state {self.path} is unreadable ({_first_line(error)}); starting anew")
            return
        if state["fingerprint"] != self.fingerprint:
            _say(f"{what}: saved state {self.path} is of other code, data or settings; starting anew")
            return
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        for mine, saved in zip(self.ema, state["ema"], strict=True):
            mine.copy_(saved)
        self.step, self.names, self.sums, self.rows = (state[key] for key in ("step", "names", "sums", "rows"))
        _say(f"{what}: going on after step {self.step} of {self.settings.steps}")

    def weights(self) -> dict[str, Tensor]:
        """The state dict with the averaged parameters in place of the last ones."""
        result = {name: value.detach() for name, value in self.model.state_dict().items()}
        if self.ema:
            names = [name for name, p in self.model.named_parameters() if p.requires_grad]
            result |= dict(zip(names, self.ema, strict=True))
        return result


def train(
    model: nn.Module,
    batch_loss: BatchLoss,
    settings: Mapping[str, Any],
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
    """Train ``model`` and return its state dict, with averaged parameters where settings say ``ema``.

    batch_loss(model, generator, k) → scalar losses by name for step k = 0, 1, …; "loss" is minimised, the others
        are logged. It calls the model as a function, on tensors whose first axis is the batch; ``generator`` is a
        CPU generator seeded from (seed, k), and draws all that is random in the batch.
    settings: see :class:`Settings`.
    state: folder for ``checkpoint.pt``, saved every ``save_every`` seconds and on SIGTERM or SIGUSR1 (the step is
        finished, then SystemExit 143); a later call goes on from it. The caller removes it by :func:`clear_state`
        when the result is stored. A damaged file or one of another ``fingerprint`` is passed over, with a log line.
    fingerprint: names everything that the result depends on: code, data, settings, seed.
    log_path: CSV of the losses and the gradient's norm before clipping, means over ``log_every`` steps; rewritten
        on resume without gaps or duplicates. tensorboard: folder for the same as TensorBoard events.
    on_step(k, model) is called after step k is made (k = 1 … steps); again for a step repeated after a kill.
    on_snapshot(k, state dict) is called every ``snapshot_every`` steps with what would be returned after step k.

    Under torchrun each process takes its rows of every batch, all call ``on_step``, and rank 0 alone writes files and
    calls ``on_snapshot``.

    ``model`` itself is left with the last weights, in training mode, on ``device``.
    Raises CellscaperError at a loss that is not finite, and where several processes cannot share the model
    (:meth:`cellscaper.training.processes.Processes.share`).
    """
    chosen, device = Settings.read(settings), torch.device(device)
    model.train().to(device)
    if device.type == "cuda":  # on CPUs bf16 steps are up to 1.4 times slower with channels last
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    run = _Run(model, chosen, Path(state) / "checkpoint.pt", fingerprint)
    run.resume(what)
    generator = torch.Generator()
    processes, lead = Processes(device), launch.rank() == 0
    processes.wait()  # all have read the state before one writes it
    called = _Autocast(processes.share(model), device, chosen.precision == "bf16")
    saved = time.monotonic()
    with (
        LossLog(log_path if lead else None, tensorboard if lead else None, run.rows, run.names) as log_file,
        _stop_signals() as signals,
        Progress(chosen.steps, what, start=run.step, quiet=not lead) as progress,
    ):
        while run.step < chosen.steps:
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
            if lead and on_snapshot is not None and run.step % (chosen.snapshot_every or math.inf) == 0:
                on_snapshot(run.step, run.weights())
            progress.update(1, loss=named["loss"])
            stop = processes.any(bool(signals))  # after the same step in all of them
            if lead and (stop or (time.monotonic() - saved >= chosen.save_every and run.step < chosen.steps)):
                run.save()
                saved = time.monotonic()
            if stop:
                by = signals[0].name if signals else "a signal to another process"
                _say(f"{what}: stopped by {by} after step {run.step}, state saved; the same command goes on")
                processes.wait()
                sys.exit(STOPPED)
    return run.weights()


def clear_state(state: Path) -> None:
    """Remove what :func:`train` saved in the folder ``state``, and the folder if nothing else is in it."""
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


def _say(text: str) -> None:
    """A log line, of one process."""
    if launch.rank() == 0:
        log(text)


def _check_finite(named: dict[str, float], step: int, what: str) -> None:
    if not math.isfinite(named["loss"]):
        terms = ", ".join(f"{name} {value:g}" for name, value in named.items())
        raise CellscaperError(
            f"{what}: the loss is not finite at step {step} ({terms}); try a lower lr, grad_clip 1.0 or precision fp32"
        )


def _read(path: Path) -> dict[str, Any]:
    """A saved state, its checksums verified; raises whatever a damaged file makes zipfile or torch raise."""
    with zipfile.ZipFile(path) as archive:  # torch.load does not look at the checksums that torch.save writes
        damaged = archive.testzip()
    if damaged is not None:
        raise ValueError(f"checksum of {damaged} is wrong")
    return torch.load(path, map_location="cpu", weights_only=True)


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


@contextmanager
def _stop_signals() -> Iterator[list[signal.Signals]]:
    """A list that SIGTERM or SIGUSR1 is put into while the block runs."""
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
