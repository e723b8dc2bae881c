"""Names of classes: those in the files, merged where two spellings mean one, or those that the user gives."""

from collections.abc import Mapping

from cellscaper.disk.formats.agreement import added
from cellscaper.disk.formats.class_names import UNCLASSIFIED, alike, spellings, tidy, told
from cellscaper.disk.formats.counted import are, counted
from cellscaper.errors import CellscaperError

MANY = 30  # classes that raise doubts


def named_classes(
    written: Mapping[str, int], given: Mapping[str, str | None] | None
) -> tuple[dict[str, str | None], list[str]]:
    """Class in the files → name (None: left out), and sentences. ``written``: classes with their numbers of cells.

    CellscaperError for a class that ``given`` lacks.
    """
    said = []
    if given is not None:
        mapping = told(given, written)
        if set(written) & set(mapping):  # cells without a class are left out, with their number
            mapping = {**dict.fromkeys(set(written) & {UNCLASSIFIED}), **mapping}
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
        merged = [name for name, one in spellings(written).items() if one != name]
        if merged:
            pairs = ", ".join(f"{name!r} as {spellings(written)[name]!r}" for name in sorted(merged))
            said.append(f"classes that differ in capital letters alone are one: {pairs} (--classes keeps them apart)")
    for name, number in written.items():
        if mapping.get(name) is None and number:
            what = "without a class" if name == UNCLASSIFIED else f"of class {name}"
            hint = f"; --classes …,{UNCLASSIFIED}=NAME keeps them" if given is None else ""
            said.append(f"{counted(number, 'cells')} {what} {are(number)} left out{hint}")
    names = sorted({one for one in mapping.values() if one is not None})
    said += [
        f"classes {', '.join(group)} are alike: one class? --classes can give them one name" for group in alike(names)
    ]
    if len(names) > MANY:
        said.append(
            f"there are {len(names)} classes, first {', '.join(names[:4])}: are these classes? --columns names theirs"
        )
    if written and set(written) == {UNCLASSIFIED}:
        said.append(
            f"no cell has a class (a classification): all {written[UNCLASSIFIED]} are of one class, {UNCLASSIFIED}"
        )
    return mapping, said


def _found(written: Mapping[str, int]) -> dict[str, str | None]:
    """A name for each class: numbers become class_1; cells without a class are left out if other cells have classes."""
    same = spellings(written)
    named: dict[str, str | None] = {}
    for one in sorted(written, key=_by_number):
        name = same[one]
        named[one] = f"class_{name}" if name.isdecimal() else name
    if UNCLASSIFIED in named and len(named) > 1:
        named[UNCLASSIFIED] = None
    return named


def _by_number(text: str) -> tuple[int, str]:
    return (int(text), "") if text.isdecimal() and text.isascii() and len(text) < 10 else (1 << 30, text)
