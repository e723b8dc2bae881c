"""Weights that experiments name instead of a training (`weights`) or as its start (`init`): docs/weights.md."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cellscaper.disk.shipped import PREFIX, shipped_file
from cellscaper.disk.weights_header import read_header
from cellscaper.errors import CellscaperError
from cellscaper.plan.folders import file_state
from cellscaper.plan.numbers import spaced


@dataclass(frozen=True)
class Weights:
    """A file of weights: its name in the configuration, its path, its SHA-256, the facts in its header."""

    name: str
    file: str
    sha256: str
    facts: Any

    @property
    def section(self) -> Any:
        """The recipe of the training: a section of `train_layout`."""
        return self.facts["section"]

    @property
    def told(self) -> str:
        """A sentence's part on where they come from."""
        steps = f"{spaced(self.section['training']['steps'])} training steps"
        whose = "the bundled weights" if self.name.startswith(PREFIX) else "the weights"
        data = self.facts.get("package", {}).get("data", "").partition(":")[0]
        return f"{whose} {self.name.removeprefix(PREFIX)} ({steps}{data and ' on ' + data})"


def weights(name: str) -> Weights:
    """The weights ``package:NAME`` or those of a file; CellscaperError if they cannot be used."""
    file = shipped_file(name.removeprefix(PREFIX)) if name.startswith(PREFIX) else Path(name)
    if file.suffix != ".safetensors":
        raise CellscaperError(f"expected {PREFIX}NAME or a file of weights that ends in .safetensors")
    if file.exists() and not file.is_file():
        raise CellscaperError(f"{file} is no regular file; name a file of weights")  # a pipe would never end
    facts, _ = read_header(file)
    if "beginning" in facts or not {"method", "region", "training"} <= set(facts.get("section", {})):
        raise CellscaperError(f"{file} holds no weights of a layout model; name a model.safetensors of train_layout")
    return Weights(name, str(file), file_state(str(file)), facts)
