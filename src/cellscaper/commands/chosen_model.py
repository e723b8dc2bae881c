"""The model that `cellscaper generate` uses: bundled weights or a file, by the header alone."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellscaper.disk.shipped import PREFIX, shipped_file
from cellscaper.disk.weights_header import read_header
from cellscaper.errors import CellscaperError

if TYPE_CHECKING:
    from cellscaper.layouts import Layout

DEFAULT = "point_diffusion"


@dataclass(frozen=True)
class Model:
    """Weights of a layout model: their file, the facts in its header, and their name in the record of a file."""

    file: Path
    facts: Any
    name: str

    @property
    def system(self) -> str:
        """The generator."""
        return str(self.facts["section"]["method"])

    @property
    def region(self) -> int:
        return int(self.facts["section"]["region"])

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(self.facts["classes"])

    @property
    def mpp(self) -> float:
        return float(self.facts["mpp"])

    def warnings(self, counts: Sequence[float], pixels: int) -> list[str]:
        """A line if counts in ``pixels`` px² are beyond those of the training crops, where the weights know these."""
        known = self.facts.get("package", {}).get("counts")
        if known is None:
            return []
        share = self.region**2 / pixels
        asked = {**dict(zip(self.classes, counts, strict=True)), "all": sum(counts)}
        beyond = [
            f"{name} {count * share:.0f} (trained on {known[name][0]} to {known[name][1]})"
            for name, count in asked.items()
            if not known[name][0] <= round(count * share) <= known[name][1]
        ]
        where = f"in {self.region} × {self.region} px"
        return [f"warning: {', '.join(beyond)} {where}: the model has seen no such counts"] if beyond else []


@dataclass(frozen=True)
class Work:
    """How layouts are made, for the common part of the command.

    counts (C,) cells in ``pixels`` px²; ``config`` and ``methods`` of the record; ``columns`` of every layout
    batch    layouts that are made together; with ``aligned`` batches begin at its multiples, so that a layout has the
             same rounding whatever else is made. ``units(n)``: steps of the progress of n layouts, called ``verb``
    layouts  a layout for each seed; it tells ``advance`` of the steps
    said     lines at the end
    """

    counts: Sequence[float]
    pixels: int
    config: Any
    methods: list[str]
    columns: Any
    batch: int
    units: Callable[[int], int]
    verb: str
    layouts: Callable[[Sequence[int], Callable[[int], None]], "Iterator[Layout]"]
    said: Callable[[], list[str]] = field(default=list)
    aligned: bool = False


def chosen_model(system: str | None, file: Path | None) -> Model:
    """The weights of ``--weights``, else those of ``--system``.

    CellscaperError if there are none, if the file holds no layout model, or if it is of another system.
    """
    path = shipped_file(system or DEFAULT) if file is None else file
    facts, _ = read_header(path)
    if not {"method", "region"} <= set(facts.get("section", {})):
        raise CellscaperError(f"{path} holds no model of layouts; give a model.safetensors of train_layout")
    if "beginning" in facts:
        raise CellscaperError(f"{path} is the beginning of a training, no weights; give a model.safetensors")
    model = Model(path, facts, "own" if file else f"{PREFIX}{system or DEFAULT}")
    if file is not None and system is not None and system != model.system:
        raise CellscaperError(f"--weights {file} is a model of {model.system}, --system says {system}; leave one out")
    return model
