"""Generators whose own losses act late: until then their training is that of a plainer generator.

Planning and the stages both read this, so nothing heavy is imported here.
"""

import math
from typing import Any, NamedTuple


class Begins(NamedTuple):
    """The fact ``BEGINS`` of a generator: until its own losses act, its training is that of another generator.

    like   the generator without these losses, which has no ``BEGINS``
    block  the block of the settings that ``like`` does not have; nothing in it counts before the losses act
    after  the key in this block for the fraction of the steps after which they act
    """

    like: str
    block: str
    after: str


def acts_from(after: float, steps: int) -> int:
    """The first step, counted from 0, of losses that act after a fraction of the steps."""
    return math.ceil(after * steps)


def plain_beginning(recipe: Any, begins: Begins | None) -> tuple[Any, int]:
    """The recipe (JSON) that a training begins with, and the number of steps that are the same.

    Of a generator without ``BEGINS`` that is its own recipe, for all steps.
    """
    steps = recipe["training"]["steps"]
    if begins is None:
        return recipe, steps
    settings = {key: value for key, value in recipe["settings"].items() if key != begins.block}
    alike = acts_from(recipe["settings"][begins.block][begins.after], steps)
    return {**recipe, "method": begins.like, "settings": settings}, alike


def what_counts(recipe: Any) -> Any:
    """A recipe without the setting that changes no result: how often the state is saved."""
    training = {key: value for key, value in recipe["training"].items() if key != "save_every"}
    return {**recipe, "training": training}
