"""Trainings that begin alike: the rule `start_layout` makes their first steps once, and all go on from there."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cellscaper.plan.provenance import canonical, digest
from cellscaper.plan.schema import facts
from cellscaper.run.begins import Begins, plain_beginning, what_counts


@dataclass(frozen=True)
class Beginning:
    """The first ``steps`` steps of ``trainings`` (names of experiments): those of a training with ``recipe``.

    ``name`` is that of the first experiment with this recipe. If there is none, it is the generator and a digest.
    """

    name: str
    recipe: Any
    steps: int
    trainings: tuple[str, ...]


def shared_beginnings(recipes: Mapping[str, Any]) -> list[Beginning]:
    """The beginnings that at least two trainings share; ``recipes`` are those of all trainings, each once.

    Trainings whose losses act after different steps have different beginnings. A training of the plain generator goes
    on from the first of them.
    """
    plain: dict[str, list[str]] = {}
    late: dict[tuple[str, int], list[str]] = {}
    alike = {name: plain_beginning(recipe, begins(recipe["method"])) for name, recipe in recipes.items()}
    for name, (recipe, steps) in alike.items():
        text = canonical(what_counts(recipe))
        if begins(recipes[name]["method"]) is None:
            plain.setdefault(text, []).append(name)
        elif steps > 0:
            late.setdefault((text, steps), []).append(name)
    found = []
    for (text, steps), names in late.items():
        whole = plain.pop(text, [])
        trainings = (*whole, *names)
        recipe = alike[trainings[0]][0]
        name = whole[0] if whole else f"{recipe['method']}_{digest([text, steps])}"
        if len(trainings) > 1:
            found.append(Beginning(name, recipe, steps, trainings))
    return found


def begins(generator: str) -> Begins | None:
    """The fact ``BEGINS`` of a generator, or None."""
    fact = facts()["generators"][generator]["begins"]
    return None if fact is None else Begins(**fact)
