"""The block of a method in a configuration, and the section that its stages take."""

from typing import Any


def method_block(block: Any, *apart: str) -> Any:
    """A method's block in the form for its stages: ``method`` and ``settings``; keys in ``apart`` stay outside them."""
    choosing = "reader" if "reader" in block else "method"
    settings = {key: value for key, value in block.items() if key not in (choosing, *apart)}
    return {"method": block[choosing], "settings": settings}


def as_section(given: Any) -> Any:
    """The section of a data set's stages; its block, as a configuration has it, is taken too."""
    return method_block(given, "layouts") if "reader" in given else given
