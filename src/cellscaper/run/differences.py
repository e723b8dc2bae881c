"""Where two recipes of trainings differ, and the line of an error that says so."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from cellscaper.errors import CellscaperError


def differences(
    name: str, one: Any, other: Any, keys: Callable[[Any, Any], Iterable[str]]
) -> Iterator[tuple[str, Any, Any]]:
    """The names and both values of what differs, at any depth; ``keys`` of two maps are the keys that count."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in keys(one, other):
            yield from differences(f"{name}.{key}", one.get(key), other.get(key), keys)
    elif one != other:
        yield name, one, other


def other_weights(what: str, key: str, own: Any, theirs: Any) -> CellscaperError:
    """The error for weights (``what``, with its verb) that had another ``key`` than the training that is to start."""
    return CellscaperError(
        f"{what} trained with {key} = {theirs!r}, this experiment has {own!r}: another network or another scale; take "
        "the settings of the weights, or other weights"
    )
