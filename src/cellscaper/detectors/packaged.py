"""Trained detectors as files: the one that ships with the package, any that the workflow trained, and the packing.

The shipped file is ``weights/brca_m2c.safetensors`` beside this module, with its SHA-256 in ``brca_m2c.sha256``.
Until a detector has been trained for it, there is no such folder, and `cellscaper detect` asks for ``--weights``.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from cellscaper.detectors.decoupled import Decoupled
from cellscaper.detectors.protocol import Detector, DetectorSettings
from cellscaper.detectors.symmetries import over_symmetries
from cellscaper.detectors.whole_image import Maps, ReadCells
from cellscaper.disk.files import checksum, write_text
from cellscaper.disk.weights import Facts, read_weights, write_weights
from cellscaper.errors import CellscaperError
from cellscaper.run.methods import load as load_method
from cellscaper.run.methods import names
from cellscaper.run.settings import read

WEIGHTS = Path(__file__).parent / "weights" / "brca_m2c.safetensors"
LARGEST = 20_000_000  # bytes of a file that is shipped
MPP = 0.5  # µm a pixel of detectors whose file does not say it


@dataclass(frozen=True)
class Trained:
    """A detector that is ready to detect: its maps of network inputs, and the reading of cells from them.

    ``classes`` in the order of the labels; ``mpp``: µm a pixel of the images that it was trained on; ``facts`` of its
    file, among them ``section``, its recipe.
    """

    maps: Callable[[nn.Module, Tensor], Tensor]
    read_cells: ReadCells
    model: nn.Module
    classes: tuple[str, ...]
    mpp: float
    facts: Facts

    def on(self, device: torch.device, symmetries: bool = False) -> Maps:
        """The maps on a device; with ``symmetries`` as means over the square's eight."""
        model = self.model.to(device)
        if not symmetries:
            return partial(self.maps, model)
        if isinstance(model, Decoupled):
            model.symmetries = False  # its own means would be taken eight times
        return partial(over_symmetries(self.maps), model)


def load(path: Path) -> Trained:
    """The detector in a file that `train_detector`, `select_detector` or :func:`pack` wrote, else CellscaperError.

    Weights in half precision compute in float32.
    """
    try:
        weights, facts = read_weights(path)
    except CellscaperError as error:
        raise CellscaperError(
            f"{path} is no file of weights that can be read ({str(error).split(';')[0]}); give the model.safetensors "
            "of a trained detector"
        ) from error
    section = facts.get("section") or {}
    if "synthetic_fraction" not in section or section.get("method") not in names("detectors"):
        what = f"a model of {section['method']}" if section.get("method") else "another model"
        raise CellscaperError(f"{path} holds {what} and no detector; give the model.safetensors of a trained detector")
    method: Detector = load_method("detectors", section["method"])
    settings: DetectorSettings = read(method.Settings, section["settings"], f"{path}: detectors {section['method']}")
    model = method.build(settings, len(facts["classes"])).eval()
    try:
        model.load_state_dict({name: one.float() if one.is_floating_point() else one for name, one in weights.items()})
    except RuntimeError as error:
        raise CellscaperError(
            f"{path} was written by another version of cellscaper: its weights are not those of detector "
            f"{section['method']} with its settings; train it again"
        ) from error
    reading = partial(method.cells, settings=settings)
    return Trained(method.maps, reading, model, tuple(facts["classes"]), float(facts.get("mpp", MPP)), facts)


def load_packaged() -> Trained:
    """The shipped detector; CellscaperError if there is none, or if its file differs from that of this version."""
    if not WEIGHTS.exists():
        raise CellscaperError(
            "no detector ships with this version of cellscaper; give --weights FILE, the model.safetensors of a "
            "detector that the workflow trained (docs/detect.md)"
        )
    sums = WEIGHTS.with_suffix(".sha256")
    if not sums.exists() or sums.read_text(encoding="ascii").split()[:1] != [checksum(WEIGHTS)]:
        raise CellscaperError(f"{WEIGHTS} is not the file this version came with; install cellscaper again")
    return load(WEIGHTS)


# -- packing -------------------------------------------------------------------------------------------------


def pack(source: Path, target: Path, data: str, scores: Facts) -> int:
    """Write the detector of ``source`` in half precision to ``target`` with its checksum beside it; bytes written.

    Its facts are those of the source, and ``data`` (what it was trained on), ``scores`` (on the test images),
    ``trained`` (commit, seed and inputs of the training) and ``precision``. CellscaperError if the file would be larger
    than LARGEST bytes, if a number is too large for half precision, or if the source is no detector.
    """
    load(source)
    weights, facts = read_weights(source)
    half = {name: one.half() if one.is_floating_point() else one for name, one in weights.items()}
    broken = [name for name, one in half.items() if one.is_floating_point() and not torch.isfinite(one).all()]
    if broken:
        raise CellscaperError(f"{source}: {broken[0]} has values beyond half precision; this detector cannot be packed")
    size = sum(one.numel() * one.element_size() for one in half.values())
    if size > LARGEST:
        raise CellscaperError(
            f"{source} would be {size / 1e6:.1f} MB in half precision, at most {LARGEST / 1e6:.0f} MB are shipped; "
            "train a smaller width"
        )
    training = training_record(source)
    own = {key: training.get(key) for key in ("git", "seed", "inputs", "cellscaper")}
    facts = {**facts, "data": data, "scores": dict(scores), "trained": own, "precision": "fp16"}
    write_weights(target, half, training, **facts)
    write_text(target.with_suffix(".sha256"), f"{checksum(target)}  {target.name}\n")
    return target.stat().st_size


def training_record(path: Path) -> dict[str, Any]:
    """The provenance of the training in a file of weights."""
    with safe_open(path, framework="pt") as file:
        return json.loads(json.loads((file.metadata() or {})["cellscaper"])["provenance"])
