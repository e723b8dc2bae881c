"""Class names as files write them: blanks, ``1.0`` for 1, letters of two kinds, words for no class."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")
UNCLASSIFIED = "unclassified"  # the class of cells without a class
_NONE = frozenset(("", "nan", "none", "null", "na", "n/a", "<na>", "#n/a", "nat", "undefined", "-", "–"))
_WHOLE = re.compile(r"([+-]?\d+)\.0*")


def tidy(name: Any) -> str:
    """A class name without blanks around it, in composed letters, whole numbers without ``.0``.

    An empty name and a word for nothing (nan, None, NA) are UNCLASSIFIED.
    """
    if isinstance(name, bool):
        return str(name)
    if name is None or name != name:  # NaN
        return UNCLASSIFIED
    text = " ".join(unicodedata.normalize("NFC", str(name)).split())
    if text.lower() in _NONE:
        return UNCLASSIFIED
    whole = _WHOLE.fullmatch(text)
    return whole[1] if whole else text


def plain_key(text: str) -> str:
    """A name in small letters without signs and blanks: ``Cell Type`` → celltype."""
    return "".join(sign for sign in text.lower() if sign.isalnum())


def spellings(counted: Mapping[str, int]) -> dict[str, str]:
    """For each class the most frequent of the spellings that differ from it in capital letters alone."""
    groups: dict[str, Counter[str]] = {}
    for name, number in counted.items():
        groups.setdefault(name.casefold(), Counter())[name] = number
    best = {key: max(sorted(group), key=lambda name: group[name]) for key, group in groups.items()}
    return {name: best[name.casefold()] for name in counted}


def spelled_as(names: Iterable[str], others: Iterable[str]) -> list[str]:
    """The names, each as among the others where these have it with other capital letters: one name for one other."""
    known, wanted = list(names), list(others)
    free = {other.casefold(): other for other in wanted if other not in known}
    return [name if name in wanted else free.pop(name.casefold(), name) for name in known]


def told(given: Mapping[str, T], written: Iterable[str]) -> dict[str, T]:
    """What a user says of classes, for all spellings of them in ``written`` that differ in capital letters alone.

    A spelling that the user writes counts before one that is alike; of several alike with different names none counts.
    """
    exact = {tidy(name): one for name, one in given.items()} | dict(given)
    rough: dict[str, list[T]] = {}
    for name, one in exact.items():
        rough.setdefault(name.casefold(), []).append(one)
    found = {name: rough.get(name.casefold(), []) for name in written if name not in exact}
    return exact | {name: ones[0] for name, ones in found.items() if ones and all(one == ones[0] for one in ones)}


def alike(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Groups of names that are alike but for signs, a plural s, British spelling and the ending of an adjective.

    ``T-cell``, ``T_cells``; ``tumor``, ``tumour``; ``stroma``, ``stromal``; ``epithelial``, ``epithelium``.
    """
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(_root(name), []).append(name)
    return [tuple(group) for key, group in groups.items() if len(group) > 1 and key]


def _root(name: str) -> str:
    plain = re.sub(r"[\W_]+", "", name.casefold()).removesuffix("s")
    plain = plain.replace("tumour", "tumor").replace("haem", "hem").replace("oedem", "edem")
    return re.sub(r"(?<=[a-z]{5})(al|um|a|ic|e)$", "", plain)


def is_object_number(values: Iterable[Any]) -> bool:
    """Whether the values number objects instead of naming classes: nearly each one differs from the others."""
    texts = [tidy(value) for value in values]
    known = [text for text in texts if text != UNCLASSIFIED]
    return len(known) >= 12 and len(set(known)) > max(8, len(known) // 2)
