"""Trained weights: safetensors (no pickle) with schema, provenance, facts and a digest of everything in the header."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from cellscaper.disk.files import atomic
from cellscaper.disk.hdf5 import Provenance
from cellscaper.disk.weights_header import SCHEMA, VERSION, check_schema
from cellscaper.errors import CellscaperError

Facts = Mapping[str, Any]  # what a file says of its weights: classes, scale, settings, origin
Weights = tuple[dict[str, Tensor], dict[str, Any]]  # tensors by name, facts


def write_weights(path: Path, tensors: Mapping[str, Tensor], provenance: Provenance, **facts: Any) -> None:
    """Write weights as safetensors; ``facts`` (JSON): all that a reader needs to rebuild and use the model."""
    weights = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    header = {
        "schema": SCHEMA,
        "schema_version": VERSION,
        "provenance": json.dumps(provenance, sort_keys=True),
        "facts": json.dumps(facts, sort_keys=True),
    }
    header["digest"] = _digest(weights, header)
    with atomic(path) as partial:
        # One entry: safetensors writes several in random order, and equal trainings must give equal files.
        partial.write_bytes(save(weights, metadata={"cellscaper": json.dumps(header, sort_keys=True)}))


def read_weights(path: Path) -> Weights:
    """Weights and facts written by :func:`write_weights`; CellscaperError if damaged or of another version."""
    if not Path(path).exists():
        raise CellscaperError(f"{path} does not exist; run the stage that makes it")
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("cellscaper", "{}"))
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError, ValueError) as error:
        raise CellscaperError(
            f"{path} is not a readable weights file (cut off or damaged); delete it and make it again, or name another"
        ) from error
    check_schema(path, header)
    if header.pop("digest", None) != _digest(tensors, header):
        raise CellscaperError(f"{path} is damaged (its digest is wrong); delete it and make it again, or name another")
    return tensors, json.loads(header["facts"])


def read_weights_for(path: Path | None, classes: Sequence[str], source: object) -> Weights:
    """:func:`read_weights`, checked to be of the classes of ``source``; both empty for a method without weights."""
    if not path:
        return {}, {}
    weights, facts = read_weights(path)
    check_classes(path, facts, classes, source)
    return weights, facts


def check_classes(path: Path, facts: Facts, classes: Sequence[str], source: object) -> None:
    """CellscaperError if the weights of ``path`` were trained on other classes than the classes of ``source``."""
    if tuple(facts["classes"]) != tuple(classes):
        raise CellscaperError(
            f"{path} was trained on the classes {', '.join(facts['classes'])}, {source} has {', '.join(classes)}; "
            "take weights that were trained on these classes"
        )


def _digest(tensors: Mapping[str, Tensor], header: Mapping[str, str]) -> str:
    """SHA-256 of everything in a weights file: header, then names, types, shapes and bytes of the tensors."""
    found = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name, value in sorted(tensors.items()):
        found.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        found.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()
