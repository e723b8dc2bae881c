"""Trained weights made ready for the package: rounded to 16 bits, with all that a user must know in the header."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from cellscaper.disk.files import checksum, write_text
from cellscaper.disk.storage import read_layouts
from cellscaper.disk.weights import read_weights, write_weights
from cellscaper.disk.weights_header import read_header
from cellscaper.errors import CellscaperError
from cellscaper.generators.protocol import read_recipe
from cellscaper.layouts import LayoutSet
from cellscaper.run.methods import method
from cellscaper.run.settings import read
from cellscaper.views.crops import CropSampler

LARGEST = 10_500_000  # bytes of a file
CROPS = 4096  # whose counts are the range of the training


def pack(
    model: Path, cells: Path, folder: Path, name: str, precision: Literal["fp16", "fp32"], sampling: Any, **told: str
) -> Path:
    """Write ``folder/NAME.safetensors`` and its SHA-256 from a training's ``model`` and the ``cells`` of its data.

    ``sampling``: settings with which to sample; ``told``: further facts, ``data`` and ``licence`` among them. They
    stand in the fact ``package`` with the ``counts`` of the training crops (:func:`count_range`).
    CellscaperError if the training had other cells, if a number does not fit into 16 bits, or if the file is too large.
    """
    weights, facts = read_weights(model)
    _, provenance = read_header(model)
    recipe = read_recipe(facts["section"])
    given = provenance["inputs"]["cells"]["sha256"]
    if checksum(cells) != given:
        raise CellscaperError(f"{cells} is not the file that {model} was trained on (SHA-256 {given}); name that one")
    used = read(method("generators", recipe.method).Sampling, sampling, f"generators {recipe.method}.sampling")
    facts["package"] = {
        "name": name,
        "precision": precision,
        "counts": count_range(read_layouts(cells).where(split="train"), recipe.region, recipe.small),
        "sampling": used.model_dump(mode="json"),
        "seed": provenance["seed"],
        "commit": provenance["git"],
        "trained": checksum(model),
        **told,
    }
    path = folder / f"{name}.safetensors"
    write_weights(path, rounded(weights) if precision == "fp16" else weights, provenance, **facts)
    if path.stat().st_size > LARGEST:
        size = path.stat().st_size / 1e6
        path.unlink()
        raise CellscaperError(f"{path} would have {size:.1f} MB, at most {LARGEST / 1e6:g} are shipped")
    write_text(path.with_suffix(".sha256"), f"{checksum(path)}  {path.name}\n")
    return path


def rounded(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights in 16 bits; those of one axis (biases, norms, edges) stay as they are, because they take no room.

    CellscaperError for a number that has no 16 bits.
    """
    found = {name: one.half() if one.dim() > 1 and one.dtype == torch.float32 else one for name, one in weights.items()}
    for name, one in found.items():
        if one.is_floating_point() and not one.isfinite().all():
            raise CellscaperError(f"parameter {name} has numbers beyond 16 bits; pack it with --precision fp32")
    return found


def count_range(cells: LayoutSet, region: int, small: Literal["error", "skip"]) -> dict[str, list[int]]:
    """The smallest and the largest number of cells in CROPS random training crops: of each class, and of ``all``."""
    crops = CropSampler(cells, region, small=small).sample(CROPS, torch.Generator().manual_seed(0))
    counts = crops.counts(cells.n_classes).long()
    every = dict(zip(cells.classes, counts.T, strict=True)) | {"all": counts.sum(dim=1)}
    return {name: [int(one.min()), int(one.max())] for name, one in every.items()}
