"""Names of classes: those in the files, merged where two spellings mean one, or those that the user gives."""

import shlex
from collections.abc import Mapping

from cellscaper.datasets.identity import number_of
from cellscaper.disk.formats.class_names import UNCLASSIFIED, alike, spellings, tidy
from cellscaper.errors import CellscaperError

MANY = 30  # classes that raise doubts
NO_CLASS = frozenset(
    (UNCLASSIFIED, "unknown", "?", "??", "unlabeled", "unlabelled", "unassigned", "undetermined", "unspecified",
     "unannotated", "not classified", "not assigned", "not labeled", "not labelled", "no class", "no label", "noclass",
     "not available", "not applicable", "missing", "path class: none")
)  # fmt: skip


def named_classes(
    written: Mapping[str, int], given: Mapping[str, str | None] | None
) -> tuple[dict[str, str | None], list[str]]:
    """Class in the files → name (None: left out), and sentences. ``written``: classes with their numbers of cells.

    CellscaperError for a class that ``given`` lacks.
    """
    said = []
    nothing = {name for name in written if means_nothing(name)}
    if given is not None:
        mapping = {tidy(key): name for key, name in given.items()}
        if set(written) & set(mapping):  # cells without a class are left out, with their number
            mapping = {**dict.fromkeys(nothing, mapping.get(UNCLASSIFIED)), **mapping}
        unknown = sorted(set(written) - set(mapping))
        if unknown:
            raise CellscaperError(
                f"class {unknown[0]!r} of the files is not among --classes {', '.join(mapping)}; add "
                f"{_pasted(unknown[0], 'NAME')}, or {_pasted(unknown[0], '')} to leave its "
                f"{number_of(written[unknown[0]], 'cell')} out"
            )
    else:
        mapping = _found(written)
        merged = [name for name, one in spellings(written).items() if one != name and name not in nothing]
        if merged:
            pairs = ", ".join(f"{name!r} as {spellings(written)[name]!r}" for name in sorted(merged))
            said.append(f"classes that differ in capital letters alone are one: {pairs} (--classes keeps them apart)")
        said += _ignored(written, mapping)
    if out := {name: written[name] for name in sorted(nothing) if mapping.get(name) is None and written[name]}:
        number = sum(out.values())
        words = [f"{name!r}" for name in out if name != UNCLASSIFIED]
        hint = f"; --classes …,{UNCLASSIFIED}=NAME keeps them" if given is None else ""
        as_written = f" (also written {', '.join(words)})" if words else ""
        said.append(f"{number_of(number, 'cell')} without a class{as_written} {_are(number)} left out{hint}")
    for name, number in written.items():
        if name not in nothing and mapping.get(name) is None and number:
            said.append(f"{number_of(number, 'cell')} of class {name} {_are(number)} left out")
    names = sorted({one for one in mapping.values() if one is not None})
    said += [
        f"classes {', '.join(group)} are alike: one class? --classes can give them one name" for group in alike(names)
    ]
    if len(names) > MANY:
        said.append(
            f"there are {len(names)} classes, first {', '.join(names[:4])}: are these classes? --columns names theirs"
        )
    if written and set(written) == nothing and given is None:
        said.append(
            f"no cell has a class (a classification): all {sum(written.values())} are of one class, {UNCLASSIFIED}"
        )
    return mapping, said


def means_nothing(name: str) -> bool:
    """Whether a class in a file says that a cell has none."""
    return name.casefold() in NO_CLASS


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _found(written: Mapping[str, int]) -> dict[str, str | None]:
    """A name for each class: numbers become class_1; cells without a class are left out if other cells have classes."""
    same = spellings(written)
    named: dict[str, str | None] = {}
    for one in sorted(written, key=_by_number):
        name = same[one]
        named[one] = f"class_{name}" if name.isdecimal() else name
    nothing = {one for one in named if means_nothing(one)}
    return {**named, **dict.fromkeys(nothing, None if len(nothing) < len(named) else UNCLASSIFIED)}


def _ignored(written: Mapping[str, int], mapping: Mapping[str, str | None]) -> list[str]:
    """The sentence about classes that QuPath ignores: their names end with *."""
    stars = [name for name in written if name.endswith("*") and len(name) > 1]
    if not stars or len(stars) == len(written):
        return []
    option = ",".join(
        _written(name, "" if name in stars or new is None else new) for name, new in mapping.items() if written[name]
    )
    shown = ", ".join(f"{name} ({number_of(written[name], 'cell')})" for name in stars)
    return [
        f"{'class' if len(stars) == 1 else 'classes'} {shown}: by the * QuPath means that it is ignored; to leave it "
        f"out: --classes {shlex.quote(option)}"
    ]


def _written(written: str, name: str) -> str:
    """A part of --classes."""
    return f'"{written}"={name}' if "," in written else f"{written}={name}"


def _pasted(written: str, name: str) -> str:
    """A part of --classes that can be pasted into a shell."""
    return shlex.quote(_written(written, name))


def _by_number(text: str) -> tuple[int, str]:
    return (int(text), "") if text.isdecimal() and text.isascii() and len(text) < 10 else (1 << 30, text)
