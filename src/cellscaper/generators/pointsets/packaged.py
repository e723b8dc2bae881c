"""The weights that come with the package: point diffusion trained on BRCA-M2C (model card beside them)."""

from pathlib import Path
from typing import Any

from cellscaper.disk.files import checksum
from cellscaper.disk.weights import read_weights
from cellscaper.errors import CellscaperError
from cellscaper.generators.pointsets.network import PointDenoiser, network

WEIGHTS = Path(__file__).parent / "weights" / "brca_m2c.safetensors"
SHA256 = "c711aaf7b5ba709bf62b376cc92feaa5b1dd42d2d4c13c57886809137bc0c90f"


def load_packaged() -> tuple[PointDenoiser, dict[str, Any]]:
    """The trained network, ready to draw (on the CPU), and its facts: ``classes``, ``mpp``, and
    ``section``, the settings of its training.

    Raises CellscaperError where the file is missing or is not the one this version came with.
    """
    if not WEIGHTS.exists():
        raise CellscaperError(f"{WEIGHTS} is missing from this installation; install cellscaper again")
    if checksum(WEIGHTS) != SHA256:
        raise CellscaperError(f"{WEIGHTS} is not the file this version came with; install cellscaper again")
    return load(WEIGHTS)


def load(path: Path) -> tuple[PointDenoiser, dict[str, Any]]:
    """The same of any weights that a training of point diffusion has written; CellscaperError for others."""
    weights, facts = read_weights(path)
    if not facts.get("section", {}).get("points"):
        raise CellscaperError(f"{path} holds no model of point diffusion; give weights of generator point_diffusion")
    model = network(facts["section"], len(facts["classes"]))
    model.load_state_dict(weights)
    return model.eval(), facts
