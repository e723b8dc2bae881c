"""The beginning of a training as a file: all that its trainer knows after some steps, for trainings that begin alike.

Weights, averaged weights and the optimizer's moments are tensors of a weights file (`disk.weights`); the step, the
losses so far and what the beginning belongs to are its facts.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cellscaper.disk.checked_csv import with_checks
from cellscaper.disk.files import write_text
from cellscaper.disk.hdf5 import Provenance
from cellscaper.disk.weights import read_weights, write_weights
from cellscaper.errors import CellscaperError
from cellscaper.plan.provenance import canonical
from cellscaper.run.begins import Begins, plain_beginning, what_counts
from cellscaper.training.loss_log import as_text
from cellscaper.training.state import Run, say

_BELONGS = {"recipe": "another recipe", "seed": "another seed", "inputs": "other input files"}


@dataclass(frozen=True)
class Origin:
    """All that the first steps of a training depend on besides the code, and how many of them others may share."""

    recipe: Any
    seed: int
    inputs: dict[str, str]  # SHA-256 by name
    steps: int

    @classmethod
    def of(cls, recipe: Any, begins: Begins | None, provenance: Provenance) -> "Origin":
        """From a training's recipe (JSON), its generator's fact ``BEGINS`` and its record."""
        plain, steps = plain_beginning(recipe, begins)
        inputs = {name: one["sha256"] for name, one in provenance["inputs"].items() if name != "beginning"}
        return cls(what_counts(plain), provenance["seed"], inputs, steps)


def write_beginning(model: Path, losses: Path, run: Run, origin: Origin, provenance: Provenance, **facts: Any) -> None:
    """Write a run as the beginning of others (safetensors), and its losses (CSV)."""
    names, content = run.trained_names(), run.content(str(model.parent))
    moments = {
        f"optimizer.{names[i]}.{key}": value
        for i, moment in content["optimizer"]["state"].items()
        for key, value in moment.items()
    }
    tensors = {
        **{f"model.{name}": value for name, value in content["model"].items()},
        **{f"ema.{names[i]}": value for i, value in enumerate(content["ema"])},
        **moments,
    }
    told = {key: content[key] for key in ("step", "names", "sums", "rows")}
    told["still"] = [name for i, name in enumerate(names) if i not in content["optimizer"]["state"]]
    belongs = {key: getattr(origin, key) for key in _BELONGS}
    write_weights(model, tensors, provenance, beginning={**told, **belongs}, **facts)
    write_text(losses, with_checks(["step", *run.names], [as_text(row) for row in run.rows]))


def load_beginning(path: Path, run: Run, origin: Origin, what: str) -> None:
    """Put a fresh run where the beginning ends; CellscaperError if the file is damaged or of another training."""
    tensors, facts = read_weights(path)
    told = facts.get("beginning")
    if told is None:
        raise CellscaperError(f"{path} holds weights but no beginning of a training; give a file of start_layout")
    for key, other in _BELONGS.items():
        if canonical(told[key]) != canonical(getattr(origin, key)):
            raise CellscaperError(f"{path} is the beginning of a training with {other}; run start_layout again")
    if told["step"] > origin.steps:
        raise CellscaperError(
            f"{path} ends after step {told['step']}, but this training has only its first {origin.steps} steps in "
            "common with others; run start_layout again"
        )
    _check_tensors(path, run, tensors, told.get("still", ()))
    names = run.trained_names()
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            parameter, _, key = name.removeprefix("optimizer.").rpartition(".")
            moments.setdefault(names.index(parameter), {})[key] = value
    run.load(
        {
            **told,
            "model": {name: tensors[f"model.{name}"] for name in run.model.state_dict()},
            "ema": [tensors[f"ema.{name}"] for name in names] if run.ema else [],
            "optimizer": {**run.optimizer.state_dict(), "state": moments},
        }
    )
    say(f"{what}: begins after step {run.step} of {run.settings.steps}, with {path}")


def _check_tensors(path: Path, run: Run, tensors: dict[str, Tensor], still: Collection[str]) -> None:
    """CellscaperError if the tensors are not finite, or not those of the run in names, shapes and types.

    ``still``: parameters that no step has moved, which have no moments.
    """
    model, names = {name: _form(value) for name, value in run.model.state_dict().items()}, run.trained_names()
    wanted = {f"model.{name}": form for name, form in model.items()}
    wanted |= {f"ema.{name}": model[name] for name in names if run.ema}
    for name in names:
        if name not in still:
            wanted |= {f"optimizer.{name}.{key}": model[name] for key in ("exp_avg", "exp_avg_sq")}
            wanted[f"optimizer.{name}.step"] = _form(torch.zeros(()))
    found = {name: _form(value) for name, value in tensors.items()}
    wrong = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    if wrong:
        name = wrong[0]
        raise CellscaperError(
            f"{path}: {name} is {found.get(name, 'missing')}, expected {wanted.get(name, 'missing')} "
            f"({len(wrong)} such tensors); run start_layout again"
        )
    for name, value in tensors.items():
        if not bool(torch.isfinite(value).all()):
            raise CellscaperError(f"{path}: {name} has values that are not finite; run start_layout again")


def _form(value: Tensor) -> str:
    kind = "" if value.dtype == torch.float32 else f"{str(value.dtype).removeprefix('torch.')} "
    return f"{kind}of shape {tuple(value.shape)}"
