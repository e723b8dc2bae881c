"""One HTML file with a generator of layouts in it: the model, the programs that compute with it, and the page."""

import json
import re
from importlib.resources import files

from cellscaper.disk.weights import Facts
from cellscaper.errors import CellscaperError
from cellscaper.generators.pointsets.generate import SAMPLING
from cellscaper.generators.pointsets.network import PointDenoiser
from cellscaper.generators.pointsets.sampler import noise_levels
from cellscaper.generators.pointsets.settings import PointNetwork
from cellscaper.page.curves import FEW, RADII, STEPS, Curves, checked
from cellscaper.page.weights import packed
from cellscaper.report.figures.palette import colour, rgb
from cellscaper.run.settings import read

LARGEST = 4_000_000  # bytes of a page
SMALLEST_SIDE, LARGEST_SIDE = 16, 1024  # px of a region, as worker/request.js has them
# in the order in which they are read
WORKER = (
    "random", "matrix", "layers", "network", "weights", "pixels", "area", "apart", "request", "tiling", "scene",
    "sampler", "generate", "statistics", "main",
)  # fmt: skip
VIEW = ("state", "picture", "tools", "drawing", "charts", "downloads", "main")
PACKAGED = "curves_brca_m2c.json"  # made by docs/make_curves.py
OTHER = 20  # cells of each class that a page without real tissue asks for at first


def packaged_curves() -> Curves:
    """Curves of the tissue that the bundled model was trained on (:mod:`cellscaper.page.curves`)."""
    return json.loads(_source(PACKAGED))


def page(network: PointDenoiser, facts: Facts, real: Curves | None, command: str, model: str) -> str:
    """The page of a model, the same text for the same arguments.

    ``facts`` of its weights; ``real`` curves of tissue to compare with, None for none; ``command``, the beginning of
    the command line that makes the same layouts; ``model``, a sentence about the model.

    Raises CellscaperError if the curves have other classes, or if the page would be larger than LARGEST.
    """
    classes = tuple(facts["classes"])
    settings = read(PointNetwork, facts["section"]["settings"]["network"], "network")
    text, tensors = packed(network.state_dict())
    side = min(max(network.region, SMALLEST_SIDE), LARGEST_SIDE)
    levels = noise_levels(SAMPLING.steps, SAMPLING.sigma_max, SAMPLING.sigma_min, SAMPLING.rho)
    data = {
        "classes": classes,
        "colours": colour(classes),
        "rgb": rgb(classes),
        "mpp": float(facts["mpp"]),
        "size": side,
        "counts": [round(n * (side / network.region) ** 2) for n in real["counts"]] if real else [OTHER] * len(classes),
        "command": command,
        "trained": facts.get("package", {}).get("counts"),
        "tensors": tensors,
        "network": {
            "region": network.region,
            "heads": settings.heads,
            "neighbours": settings.neighbours,
            "layers": settings.layers,
        },
        "sampling": {
            "levels": [float(f"{level:.12g}") for level in levels],
            "churn": SAMPLING.churn,
            "churn_above": SAMPLING.churn_above,
        },
        "curves": {"radii": RADII, "steps": STEPS, "few": FEW, "real": checked(real, classes) if real else None},
    }
    parts = {
        "TITLE": "Layouts of cells in tissue",
        "ABOUT": f"Drawn by a small neural network in this file, in your browser: nothing is sent or loaded. {model}",
        "FOOT": "Made by cellscaper page. Layouts are statistics of tissue, not findings in a patient; "
        "nothing here is for diagnosis.",
        "STYLE": _source("page.css"),
        "MODEL": json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c"),
        "WEIGHTS": text,
        "WORKER": _program("worker", WORKER),
        "VIEW": _program("view", VIEW),
    }
    # at once: a class or a file may be called like a part
    made = re.sub(r"__([A-Z]+)__", lambda found: parts[found[1]], _source("page.html"))
    size = len(made.encode())
    if size > LARGEST:
        raise CellscaperError(
            f"the page would have {size / 1e6:.1f} MB, expected at most {LARGEST / 1e6:.0f}; train a smaller network "
            "(settings.network: width, layers)"
        )
    return made


def _program(folder: str, names: tuple[str, ...]) -> str:
    return "\n".join(_source(f"{folder}/{name}.js") for name in names)


def _source(name: str) -> str:
    return files("cellscaper.page").joinpath(name).read_text(encoding="utf-8")
