"""What the user says of a file of layouts beside what the file says: both must agree; classes are named or refused."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cellscaper.disk.formats.class_names import UNCLASSIFIED, told
from cellscaper.disk.formats.counted import are, counted
from cellscaper.disk.formats.facts import Given, Say
from cellscaper.errors import CellscaperError
from cellscaper.layouts import LayoutSet

SAME = 1e-6  # relative difference of two scales that are one


def agreed(path: Path, layouts: LayoutSet, given: Given, say: Say) -> LayoutSet:
    """The layouts of a file with the classes that the user names.

    CellscaperError where the options --mpp, --size and --classes contradict the file. What ``given`` does not say, and
    what only stands in for facts that the file lacks, is not compared. ``say`` is told which cells are left out.
    """
    if not given.stands_in:
        if given.mpp is not None and abs(layouts.mpp - given.mpp) > SAME * layouts.mpp:
            raise CellscaperError(
                f"{path} says {layouts.mpp:.9g} µm a pixel, --mpp says {given.mpp:.9g}; leave --mpp out, or correct it"
            )
        if given.size is not None and (wrong := (layouts.size != given.size).any(axis=1)).any():
            height, width = layouts.size[int(np.flatnonzero(wrong)[0])]
            raise CellscaperError(
                f"{path} says {height} × {width} px (height × width), --size says {given.size[0]} × {given.size[1]}; "
                "leave --size out, or correct it"
            )
    return layouts if given.classes is None else _named(path, layouts, given.classes, say)


def _named(path: Path, layouts: LayoutSet, wanted: Sequence[str] | Mapping[str, str | None], say: Say) -> LayoutSet:
    """The layouts with classes in the order of the user, renamed, merged and left out as the user says."""
    mapping = dict(wanted) if isinstance(wanted, Mapping) else {name: name for name in wanted}
    counts = dict(zip(layouts.classes, layouts.counts().sum(axis=0).tolist(), strict=True))
    shown = ", ".join(wanted)
    mapping = told(mapping, counts)
    missing = {name: number for name, number in counts.items() if name not in mapping and number}
    if missing:
        if set(missing) == {UNCLASSIFIED} and set(wanted) != {UNCLASSIFIED}:
            how = f"add {UNCLASSIFIED}"
        elif isinstance(wanted, Mapping):
            ways = [added(missing, to) for to in ("NAME", "")]
            how = f"add {ways[0]}, or {ways[1]} to leave them out"
        else:
            how = f"add {'it' if len(missing) == 1 else 'them'}, or give CLASS-IN-THE-FILE=NAME for each"
        of = ", ".join(f"{name!r} of {counted(number, 'cells')}" for name, number in missing.items())
        classes = "class" if len(missing) == 1 else "classes"
        raise CellscaperError(f"{path}: {classes} {of} {are(len(missing))} none of --classes {shown}; {how}")
    for name, number in counts.items():
        if number and name not in wanted and mapping[name] is not None:
            same = next((one for one in wanted if one != name and one.casefold() == name.casefold()), None)
            if same is not None:
                say(f"{counted(number, 'cells')} of class {name!r} {are(number)} taken as {same!r} of --classes")
    order = tuple(dict.fromkeys(new for new in mapping.values() if new is not None))
    new = {name: mapping.get(name) for name in layouts.classes}
    for name, number in counts.items():
        if new[name] is None and number:
            say(f"{counted(number, 'cells')} of class {name} {are(number)} left out, as --classes says")
    gone = [name for name, number in counts.items() if not number and name not in mapping]
    if gone:
        say(f"the file also names {', '.join(gone)}, without a cell and not in --classes: dropped")
    if (order, new) == (layouts.classes, {name: name for name in layouts.classes}):
        return layouts
    n = len(layouts.classes)
    by_class = [key for key, column in layouts.columns.items() if column.ndim > 1 and n in column.shape[1:]]
    if by_class:
        raise CellscaperError(
            f"{path} has the classes {', '.join(layouts.classes)}, and its column {by_class[0]!r} is in their order; "
            f"--classes {shown} would change them: leave --classes out"
        )
    return _relabelled(
        layouts, order, [-1 if new[name] is None else order.index(new[name]) for name in layouts.classes]
    )


def added(names: Iterable[str], to: str) -> str:
    """What is to be added to --classes for classes of a file, for a shell."""
    return shlex.quote(",".join(f'"{name}"={to}' if "," in name else f"{name}={to}" for name in names))


def with_classes(layouts: LayoutSet, classes: tuple[str, ...]) -> LayoutSet:
    """The same cells with more classes, or with classes in another order."""
    return _relabelled(layouts, classes, [classes.index(name) for name in layouts.classes])


def _relabelled(layouts: LayoutSet, classes: tuple[str, ...], labels: Sequence[int]) -> LayoutSet:
    """Layouts with a new label for each label, without the cells whose new label is negative."""
    new = np.array([*labels, -1], np.int64)[layouts.labels]
    keep = new >= 0
    offsets = np.concatenate([[0], np.cumsum(keep)])[layouts.offsets]
    return replace(
        layouts, points=layouts.points[keep], labels=new[keep].astype(np.uint8), offsets=offsets, classes=classes
    )
