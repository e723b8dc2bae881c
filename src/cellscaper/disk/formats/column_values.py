"""What the values of a column can be: names of classes, files, numbers of objects, flags."""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from cellscaper.disk.formats.class_names import UNCLASSIFIED, is_object_number, plain_key, tidy
from cellscaper.disk.formats.text_table import comma_number_in, number_in

_FILE = re.compile(r".+\.(?:png|tiff?|jpe?g|bmp|svs|ndpi|mrxs|scn|czi|qptiff|btf)(?::.*)?", re.I)
FEW = 12  # classes of a column whose name says nothing


def same_groups(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether two columns put the cells into the same groups under any names, or one of them names nothing new."""
    pairs = {(tidy(a), tidy(b)) for a, b in zip(one, other, strict=True)}
    return len(pairs) == len({a for a, _ in pairs})


def one_hot(values: Mapping[str, Sequence[str]]) -> list[str]:
    """The columns of classes of which one is 1 for each cell and the others 0; empty if there are none."""
    truth = {"0": 0, "1": 1, "false": 0, "true": 1}
    flags: dict[str, list[int]] = {}
    for name, column in values.items():
        read = [truth.get(tidy(value).lower(), 2) for value in column]
        if read and max(read) < 2:
            flags[name] = read
    sums = [sum(row) for row in zip(*flags.values(), strict=True)]
    some = sum(any(column) for column in flags.values()) >= 2
    return list(flags) if len(flags) >= 2 and some and all(one == 1 for one in sums) else []


def in_runs(values: Sequence[str]) -> bool:
    """Whether each value stands in one block of lines, as images do."""
    return 1 + sum(one != other for one, other in pairwise(values)) == len(set(values))


def are_files(names: Iterable[str]) -> bool:
    """Whether values are names of images, with or without ImageJ's label behind them."""
    listed = list(names)
    return bool(listed) and all(_FILE.fullmatch(one) for one in listed)


def few_names(values: Sequence[str]) -> bool:
    """Whether a column of any name can only be a class: words, more than one, few for many cells."""
    known = {tidy(value) for value in values} - {UNCLASSIFIED}
    if not 2 <= len(known) <= FEW or len(values) < 4 * len(known) or are_files(known):
        return False
    return not any(number_in(one) or comma_number_in(one) for one in known)


def are_numbers(values: Sequence[str]) -> bool:
    """Whether half or more of the values that are there are numbers."""
    known = [value for value in values if tidy(value) != UNCLASSIFIED]
    return 2 * sum(number_in(value) or comma_number_in(value) for value in known) >= len(known)


def numbers_objects(values: Sequence[str]) -> bool:
    """Whether values that are no names of images differ from cell to cell."""
    return is_object_number(values) and not are_files({tidy(value) for value in values} - {UNCLASSIFIED})


def has_few(values: Sequence[str]) -> bool:
    """Whether a column has a few values for many cells: whole numbers or words."""
    known = {tidy(value) for value in values}
    whole = all(one.isdecimal() or not (number_in(one) or comma_number_in(one)) for one in known)
    few = 2 <= len(known - {UNCLASSIFIED}) <= FEW and len(values) >= 4 * len(known)
    return whole and few and not are_files(known)


def all_in(values: Sequence[str] | None, known: set[str]) -> bool:
    plain_values = {plain_key(value) for value in values or ()}
    return bool(plain_values) and plain_values <= known
