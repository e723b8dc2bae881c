"""Networks of point diffusion from files of weights: those that are shipped with the package, or any other."""

from pathlib import Path
from typing import Any

from cellscaper.disk.shipped import shipped_file
from cellscaper.disk.weights import read_weights
from cellscaper.errors import CellscaperError
from cellscaper.generators.pointsets.network import PointDenoiser, network
from cellscaper.generators.pointsets.settings import PointNetwork
from cellscaper.run.settings import read


def load_packaged() -> tuple[PointDenoiser, dict[str, Any]]:
    """The trained network, ready to sample on the CPU, and its facts: ``classes``, ``mpp`` and ``section``, its recipe.

    Raises CellscaperError if the file is missing or differs from the file of this version.
    """
    return load(shipped_file("point_diffusion"))


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
