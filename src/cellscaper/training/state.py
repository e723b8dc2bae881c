"""The state of a training: all that changes while it runs, in one file from which a killed training resumes."""

import math
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cellscaper.disk.files import atomic
from cellscaper.errors import CellscaperError
from cellscaper.run import launch
from cellscaper.run.progress import log
from cellscaper.training.settings import Training


class Run:
    """All that changes while training, and its file."""

    def __init__(self, model: nn.Module, settings: Training, path: Path, fingerprint: str):
        self.model, self.settings, self.path, self.fingerprint = model, settings, path, fingerprint
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        fused = self.parameters[0].device.type in ("cpu", "cuda")
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=settings.lr, weight_decay=settings.weight_decay, fused=fused
        )
        self.ema = [p.detach().clone() for p in self.parameters] if settings.ema else []
        self.step = 0
        self.names: list[str] = []  # names of the losses
        self.sums: list[float] = []  # sums of the losses since the last row
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
        """Add the losses of the last step to the current row of the log; close the row if it is due."""
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
        except RuntimeError as error:  # torch's exception for a failed write
            raise CellscaperError(
                f"{self.path}: the state cannot be saved (disk full?); make room and go on"
            ) from error

    def resume(self, what: str) -> None:
        """Resume from the state file if it has this fingerprint; log the result."""
        if not self.path.exists():
            return
        try:
            state = _read(self.path)
        except Exception as error:  # a damaged file may raise any exception
            say(f"{what}: saved state {self.path} is unreadable ({_first_line(error)}); starting anew")
            return
        if state["fingerprint"] != self.fingerprint:
            say(f"{what}: saved state {self.path} is of other code, data or settings; starting anew")
            return
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        for mine, saved in zip(self.ema, state["ema"], strict=True):
            mine.copy_(saved)
        self.step, self.names, self.sums, self.rows = (state[key] for key in ("step", "names", "sums", "rows"))
        say(f"{what}: going on after step {self.step} of {self.settings.steps}")

    def weights(self) -> dict[str, Tensor]:
        """The state dict with the averaged parameters in place of the last ones."""
        result = {name: value.detach() for name, value in self.model.state_dict().items()}
        if self.ema:
            names = [name for name, p in self.model.named_parameters() if p.requires_grad]
            result |= dict(zip(names, self.ema, strict=True))
        return result


def say(text: str) -> None:
    """Print a log line, in one process only."""
    if launch.rank() == 0:
        log(text)


def _read(path: Path) -> Any:
    """A saved state with verified checksums; a damaged file raises any exception of zipfile or torch."""
    with zipfile.ZipFile(path) as archive:  # torch.load ignores the checksums that torch.save writes
        damaged = archive.testzip()
    if damaged is not None:
        raise ValueError(f"checksum of {damaged} is wrong")
    return torch.load(path, map_location="cpu", weights_only=True)


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
