"""The state of a training: all that changes while it runs, in one file from which a killed training resumes."""

import math
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cellscaper.disk.files import atomic
from cellscaper.errors import CellscaperError
from cellscaper.run import launch
from cellscaper.run.progress import log
from cellscaper.training.settings import Training
from cellscaper.training.tally import Tally


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
        self.tally = Tally()  # losses since the last row
        self.rows: list[list[float]] = []  # step, then mean losses

    @property
    def names(self) -> list[str]:
        """Names of the losses in the rows."""
        return self.tally.names

    def advance(self, losses: dict[str, Tensor]) -> Tensor:
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
        return norm

    @property
    def due(self) -> bool:
        """Whether the current row of the log ends with this step."""
        return self.step % self.settings.log_every == 0 or self.step == self.settings.steps

    def count(self, losses: dict[str, Tensor], norm: Tensor) -> None:
        """Add the losses of the last step, and the norm of its gradient, to the current row of the log."""
        names = [*losses, "grad_norm"]
        if names != self.names:
            self._take_names(names)
        self.tally.add([*losses.values(), norm], self.step - 1)

    def _take_names(self, names: list[str]) -> None:
        """Losses by other names than in the beginning: what the beginning did not compute is not a number."""
        old = self.names

        def by_name(values: Sequence[float]) -> list[float]:
            known = dict(zip(old, values, strict=True))
            return [known.get(name, math.nan) for name in names]

        self.rows = [[row[0], *by_name(row[1:])] for row in self.rows]
        self.tally.rename(names, by_name)

    def read(self, what: str) -> float:
        """The loss of the last step; it waits for the device. If a row is due, it is closed.

        CellscaperError if a step since the last call was not finite.
        """
        sums, last = self.tally.read(what)
        if self.due and sums:
            n = (self.step - 1) % self.settings.log_every + 1
            self.rows.append([self.step, *(total / n for total in sums)])
            self.tally.clear()
        return last

    def content(self, what: str) -> Any:
        """All that changes, by name; its tensors are those of the training.

        CellscaperError if a loss, a gradient or a weight is not finite.
        """
        sums, _ = self.tally.read(what)
        if not torch.stack(torch._foreach_norm([p.detach() for p in self.parameters])).isfinite().all():
            raise CellscaperError(f"{what}: weights are not finite after step {self.step}; try a lower lr")
        return {
            "step": self.step,
            "model": self.model.state_dict(),
            "ema": self.ema,
            "optimizer": self.optimizer.state_dict(),
            "names": self.names,
            "sums": sums,
            "rows": self.rows,
        }

    def load(self, content: Any) -> None:
        """Take over the content of another run of the same model and settings."""
        self.model.load_state_dict(content["model"])
        self.optimizer.load_state_dict(content["optimizer"])
        self._adopt_moments()
        for mine, saved in zip(self.ema, content["ema"], strict=True):
            mine.copy_(saved)
        self.step, self.rows = content["step"], content["rows"]
        self.tally = Tally(content["names"], content["sums"])

    def write(self, content: Any) -> None:
        """Write the state file."""
        try:
            with atomic(self.path) as partial:
                torch.save({"fingerprint": self.fingerprint, **content}, partial)
        except RuntimeError as error:  # torch's exception for a failed write
            raise CellscaperError(
                f"{self.path}: the state cannot be saved (disk full?); make room and go on"
            ) from error

    def resume(self, what: str) -> bool:
        """Resume from the state file if it has this fingerprint; log the result and return whether it was resumed."""
        if not self.path.exists():
            return False
        try:
            state = _read(self.path)
        except Exception as error:  # a damaged file may raise any exception
            say(f"{what}: saved state {self.path} is unreadable ({_first_line(error)}); starting anew")
            return False
        if state["fingerprint"] != self.fingerprint:
            say(f"{what}: saved state {self.path} is of other code, data or settings; starting anew")
            return False
        self.load(state)
        say(f"{what}: going on after step {self.step} of {self.settings.steps}")
        return True

    def _adopt_moments(self) -> None:
        """Give the loaded moments the memory format of their parameters: the fused AdamW takes both as flat memory.

        They come from the file in the format of the device that saved them (channels last on CUDA).
        """
        for parameter, values in self.optimizer.state.items():
            for name, value in values.items():
                values[name] = torch.empty_like(value if name == "step" else parameter).copy_(value)

    def weights(self) -> dict[str, Tensor]:
        """The state dict with the averaged parameters in place of the last ones."""
        result = {name: value.detach() for name, value in self.model.state_dict().items()}
        if self.ema:
            result |= dict(zip(self.trained_names(), self.ema, strict=True))
        return result

    def trained_names(self) -> list[str]:
        """The names of the trained parameters, in the order of the averages and of the optimizer's moments."""
        return [name for name, p in self.model.named_parameters() if p.requires_grad]


def say(text: str) -> None:
    """Print a log line, in one process only."""
    if launch.rank() == 0:
        log(text)


def _read(path: Path) -> Any:
    """A saved state with verified checksums; a damaged file raises any exception of zipfile or torch.

    Its tensors stay in the file until they are copied, so several processes do not hold several copies.
    """
    with zipfile.ZipFile(path) as archive:  # torch.load ignores the checksums that torch.save writes
        damaged = archive.testzip()
    if damaged is not None:
        raise ValueError(f"checksum of {damaged} is wrong")
    return torch.load(path, map_location="cpu", weights_only=True, mmap=True)


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
