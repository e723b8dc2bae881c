"""What a check says of files, columns and facts of a folder that are not used."""

from collections.abc import Sequence

from cellscaper.datasets import discovery, dots, pictures, unused
from cellscaper.datasets.folder_files import FolderFiles, has_place
from cellscaper.datasets.splits_of_cells import unread
from cellscaper.datasets.survey_state import WhatWasRead
from cellscaper.disk.formats.counted import counted_are


def tell_unused(
    files: FolderFiles, found: discovery.Found, lists: Sequence[str], images: Sequence[str], settings: dots.Settings,
    read: WhatWasRead,
) -> None:  # fmt: skip
    """Say which files, pages, turns of images and columns of splits are not used. ``lists``: files of splits."""
    read.said += unused.lines(files, [*images, *found.cells.values(), *found.dots, *lists], found.reasons)
    own = isinstance(settings.split, dots.Lists) and has_place(settings.split.train)
    if not own and (told := unread(files, list(dict.fromkeys(found.cells.values())), lists)) is not None:
        read.said.append(told)
    if drawn := [image for image in images if pictures.drawn_over(image)]:
        read.said.append(
            f"{counted_are(len(drawn), 'images')} in a folder of drawn pictures by its name {unused.shown(drawn)}: if "
            "cells are drawn into them, give the originals"
        )
    turned = [image for image in images if found.headers[image].turned != 1]
    if turned:
        read.said.append(
            f"{counted_are(len(turned), 'images')} turned by their EXIF orientation {unused.shown(turned)}; "
            "pixels are read as they are stored, and dots must fit those"
        )
    pages = [image for image in images if found.headers[image].pages > 1]
    if pages:
        read.said.append(
            f"{counted_are(len(pages), 'images')} of several pages {unused.shown(pages)}: only the first is read"
        )
