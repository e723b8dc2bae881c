"""What the user says of a file of layouts: --size, --mpp, --classes and --columns of every command that has them."""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from cellscaper.commands import check, options

if TYPE_CHECKING:
    from cellscaper.disk.formats.facts import Given

CLASSES = "class names in order, or class in the file = name for each, as in check; an empty name leaves it out"


def given_facts(args: argparse.Namespace) -> "Callable[[], Given]":
    """The checked options, as a function that makes the facts (which imports numpy).

    `disk.export.read` compares them with what the file says. CellscaperError for a value that cannot be read.
    """
    size = options.size(args.size) if args.size else None
    mpp = options.microns(args.mpp)
    classes = _classes(args.classes) if args.classes else None
    columns = options.columns(getattr(args, "columns", None))

    def facts() -> "Given":
        from cellscaper.disk.formats.facts import Given

        return Given(size, mpp, classes, columns)

    return facts


def _classes(text: str) -> tuple[str, ...] | dict[str, str | None]:
    """Names in order, or a name for each class as written in the file."""
    return (check.classes(text) or {}) if "=" in text else options.names(text, "--classes")
