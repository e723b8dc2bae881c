"""What a check says of files, columns and facts of a folder that are not used."""

import re
from collections.abc import Sequence

from cellscaper.datasets import discovery, dots, unused
from cellscaper.datasets.folder_files import FolderFiles
from cellscaper.datasets.splits_of_cells import unread
from cellscaper.datasets.survey_state import WhatWasRead


def left_out(number: int, what: str) -> str:
    """``1 tile is left out``, ``3 tiles are left out``; what: in the plural, with more words behind it or not."""
    one = re.sub(r"(?<=[a-z])s\b", "", what, count=1).replace("boxe ", "box ")
    return f"1 {one} is left out" if number == 1 else f"{number} {what} are left out"


def tell_unused(
    files: FolderFiles, found: discovery.Found, lists: Sequence[str], images: Sequence[str], settings: dots.Settings,
    read: WhatWasRead,
) -> None:  # fmt: skip
    """Say which files, pages, turns of images and columns of splits are not used. ``lists``: files of splits."""
    read.said += unused.lines(files, [*images, *found.cells.values(), *found.dots, *lists], found.reasons)
    if (told := unread(files, list(dict.fromkeys(found.cells.values())), lists)) is not None:
        read.said.append(told)
    turned = [image for image in images if found.headers[image].turned != 1]
    if turned:
        read.said.append(
            f"{unused.counted(len(turned), 'image')} turned by their EXIF orientation {unused.shown(turned)}; "
            "pixels are read as they are stored, and dots must fit those"
        )
    pages = [image for image in images if found.headers[image].pages > 1]
    if pages:
        read.said.append(
            f"{unused.counted(len(pages), 'image')} of several pages {unused.shown(pages)}: only the first is read"
        )
