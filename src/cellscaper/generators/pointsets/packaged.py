"""The weights that are shipped with the package: point diffusion trained on BRCA-M2C (model card in their folder)."""

from pathlib import Path
from typing import Any

from cellscaper.disk.files import checksum
from cellscaper.disk.weights import read_weights
from cellscaper.errors import CellscaperError
from cellscaper.generators.pointsets.network import PointDenoiser, network
from cellscaper.generators.pointsets.settings import PointNetwork
from cellscaper.run.settings import read

WEIGHTS = Path(__file__).parent / "weights" / "brca_m2c.safetensors"
SHA256 = "0136176e737e146db14dfdd2cc72c5383f316fcf65424191debe1520447d9126"


def load_packaged() -> tuple[PointDenoiser, dict[str, Any]]:
    """The trained network, ready to sample on the CPU, and its facts: ``classes``, ``mpp`` and ``section``, its recipe.

    Raises CellscaperError if the file is missing or differs from the file of this version.
    """
    if not WEIGHTS.exists():
        raise CellscaperError(f"{WEIGHTS} is missing from this installation; install cellscaper again")
    if checksum(WEIGHTS) != SHA256:
        raise CellscaperError(f"{WEIGHTS} is not the file this version came with; install cellscaper again")
    return load(WEIGHTS)


def load(path: Path) -> tuple[PointDenoiser, dict[str, Any]]:
    """Network and facts, as above, from any weights of a point diffusion training; CellscaperError for other files."""
    weights, facts = read_weights(path)
    section = facts.get("section", {})
    if section.get("method") != "point_diffusion":
        raise CellscaperError(f"{path} holds no model of point diffusion; give weights of generator point_diffusion")
    settings = read(PointNetwork, section["settings"]["network"], f"{path}: network")
    model = network(settings, len(facts["classes"]), section["region"])
    model.load_state_dict(weights)
    return model.eval(), facts
