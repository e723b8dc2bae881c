"""Names of classes: those in the files, merged where two spellings mean one, or those that the user gives."""

import shlex
from collections.abc import Mapping

from cellscaper.disk.formats.agreement import added
from cellscaper.disk.formats.class_names import UNCLASSIFIED, alike, spellings, tidy, told
from cellscaper.disk.formats.counted import are, counted
from cellscaper.disk.formats.doubts import of_spellings
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
        mapping = told(given, written)
        if set(written) & set(mapping):  # cells without a class are left out, with their number
            mapping = {**dict.fromkeys(nothing, mapping.get(UNCLASSIFIED)), **mapping}
        unknown = sorted(set(written) - set(mapping))
        if unknown:
            of = ", ".join(f"{name!r} ({counted(written[name], 'cells')})" for name in unknown)
            classes = "class" if len(unknown) == 1 else "classes"
            raise CellscaperError(
                f"{classes} {of} of the files {are(len(unknown))} not among --classes {', '.join(given)}; add "
                f"{added(unknown, 'NAME')}, or {added(unknown, '')} to leave them out"
            )
        same = {name: one for name, one in mapping.items() if name in written and name not in map(tidy, given)}
        if shown := ", ".join(f"{name!r} ({one or 'left out'})" for name, one in same.items() if name != UNCLASSIFIED):
            said.append(f"classes that differ from --classes in capital letters alone are taken as there: {shown}")
    else:
        mapping = _found(written)
        said += of_spellings({name: one for name, one in spellings(written).items() if name not in nothing})
        said += _ignored(written, mapping)
    if out := {name: written[name] for name in sorted(nothing) if mapping.get(name) is None and written[name]}:
        number = sum(out.values())
        words = [f"{name!r}" for name in out if name != UNCLASSIFIED]
        hint = f"; --classes …,{UNCLASSIFIED}=NAME keeps them" if given is None else ""
        as_written = f" (also written {', '.join(words)})" if words else ""
        said.append(f"{counted(number, 'cells')} without a class{as_written} {are(number)} left out{hint}")
    for name, number in written.items():
        if name not in nothing and mapping.get(name) is None and number:
            said.append(f"{counted(number, 'cells')} of class {name} {are(number)} left out")
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
    shown = ", ".join(f"{name} ({counted(written[name], 'cells')})" for name in stars)
    return [
        f"{'class' if len(stars) == 1 else 'classes'} {shown}: by the * QuPath means that it is ignored; to leave it "
        f"out: --classes {shlex.quote(option)}"
    ]


def _written(written: str, name: str) -> str:
    """A part of --classes."""
    return f'"{written}"={name}' if "," in written else f"{written}={name}"


def _by_number(text: str) -> tuple[int, str]:
    return (int(text), "") if text.isdecimal() and text.isascii() and len(text) < 10 else (1 << 30, text)
