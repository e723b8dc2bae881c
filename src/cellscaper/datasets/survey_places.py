"""The unit of the places of a folder that is surveyed, and the faults of places that do not fit their images."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from cellscaper.datasets import contradictions, dots, misfits, nuclei_under_dots, units
from cellscaper.datasets.candidates import Candidates
from cellscaper.datasets.discovery import Found
from cellscaper.datasets.dot_file import in_px
from cellscaper.datasets.folder_files import FolderFiles
from cellscaper.datasets.survey_state import Asked, WhatWasRead, placed
from cellscaper.datasets.table_search import Tables
from cellscaper.datasets.units import Placed

_WORDS = {"um": "µm", "fraction": "fractions of height and width"}


def find_unit(asked: Asked, tables: Tables, read: WhatWasRead) -> str:
    """px, um or fraction; what is decided by names or numbers is said."""
    units_in = {cells.unit for cells in read.cells.values()} - {"px"}
    unit = asked.unit or (units_in.pop() if units_in else tables.unit)
    if asked.unit is None and unit == "px" and units.are_fractions(placed(read)):
        read.said.append(
            "all places lie between 0 and 1: they are taken as fractions of height and width (else --unit px)"
        )
        return "fraction"
    if asked.unit is not None and asked.unit != tables.unit and tables.unit != "px":
        read.said.append(
            f"--unit {asked.unit} is given, but the places are in {_WORDS[tables.unit]} by the names of their columns"
        )
    if unit == "um" and asked.unit is None:
        read.said.append(
            "the places are in µm by the names of their columns, and are divided by µm a pixel (else --unit px)"
        )
    return unit


def check(
    settings: dots.Settings, files: FolderFiles, found: Found, read: WhatWasRead,
    sample: Mapping[str, NDArray[np.uint8]], pixels: misfits.Pixels, asked: Asked,
) -> None:  # fmt: skip
    """Faults of dots outside their images, far too much inside, where no nuclei are, or of another image.

    ``--unit`` says that places are right where their image looks otherwise, ``--dots`` that names of files are.
    """
    places = [
        Placed(one.name, in_px(one.points, settings.unit, settings.mpp, one.size), one.size) for one in placed(read)
    ]
    points = {one.name: one.points for one in places}
    if asked.dots is None:
        _fault(read, contradictions.other_images(files, found, read, Candidates(files)))
    if asked.unit is None and _fault(read, contradictions.other_sizes(found, read)):
        return
    if _fault(read, _told_of(asked, units.outside(places))):
        return
    if units.few_inside(places):
        profiles = [nuclei_under_dots.profile(sample[image], points[image]) for image in sample]
        seen = nuclei_under_dots.radius(profiles) is not None
        if asked.unit is None:
            (read.said if seen else read.faults).append(units.upper_left(places))
        elif not seen:
            read.said.append(f"--unit {asked.unit} is given, and {units.upper_left(places, asked.unit)}")
        return
    if asked.unit is not None:
        return
    judged = misfits.find(points, pixels, found.cells)
    usual = not judged.bright and (judged.whole or not judged.faults)
    if usual and _fault(read, contradictions.other_frame(points, sample)):
        return
    read.faults.extend(judged.faults)
    read.said.extend(judged.parts)
    if (told := misfits.doubt(judged, found.cells)) is not None:
        read.said.append(told)


def _told_of(asked: Asked, told: str | None) -> str | None:
    """A sentence about dots outside, with the unit that the user gave as its cause where it is not px."""
    if told is None or asked.unit in (None, "px"):
        return told
    told += "" if told.endswith("?") else "."
    return f"by --unit {asked.unit}, which is given, {told} Leave --unit out, or say --unit px, if they are in px"


def _fault(read: WhatWasRead, told: str | None) -> bool:
    if told is not None:
        read.faults.append(told)
    return told is not None
