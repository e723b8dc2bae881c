"""µm a pixel of a folder that is surveyed: the evidence, the decision, and what is said about it."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cellscaper.datasets import discovery, dots, inspection, nuclei_under_dots, scale, scale_by_image
from cellscaper.datasets.dot_file import in_px
from cellscaper.datasets.folder_files import FolderFiles
from cellscaper.datasets.inspection import Cells
from cellscaper.datasets.survey_state import Asked, WhatWasRead, placed
from cellscaper.errors import CellscaperError


def find_scale(
    asked: Asked, settings: dots.Settings, files: FolderFiles, found: discovery.Found, read: WhatWasRead,
    sample: Mapping[str, NDArray[np.uint8]], used: Sequence[str],
) -> tuple[scale.Scale, list[scale.Evidence]]:  # fmt: skip
    """µm a pixel, and all evidence there is."""
    images = list(read.cells)
    evidence = scale.of_headers([found.headers[image].mpp for image in images if image in found.headers])
    evidence += scale.of_cells({found.cells[image]: cells.scale for image, cells in read.cells.items()})
    evidence += scale_by_image.of_names(images) + scale.of_texts(files, used)
    evidence += scale_by_image.of_tables(files, images, used)
    mixed = None
    if settings.unit != "um":
        in_image_px = [
            Cells(
                in_px(one.points, settings.unit, 1.0, one.size), np.zeros(len(one.points), int), one.size, one.name, ""
            )
            for one in placed(read)
        ]
        distance = inspection.nearest_distance(in_image_px)
        if distance:
            evidence.append(scale.of_neighbours(distance))
        evidence += scale_by_image.of_twins(files, placed(read), found.cells, used)
        by_name = {one.name: one.points for one in in_image_px}
        profiles = [nuclei_under_dots.profile(pixels, by_name[image]) for image, pixels in sample.items()]
        radius = nuclei_under_dots.radius(profiles)
        if radius:
            evidence.append(scale.of_nuclei(radius))
        mixed = scale_by_image.two_scales(sample, by_name)
    if asked.mpp is not None:
        if mixed is not None:
            read.said.append(mixed)
        return scale.Scale(asked.mpp, "given", True), evidence
    if not evidence:
        number = sum(len(cells.points) for cells in read.cells.values())
        if settings.unit == "um":
            raise CellscaperError(
                f"the places are in µm{' by --unit um' if asked.unit else ''}, and nothing tells the size of a pixel; "
                "give --mpp (0.5 at 20×)" + (", or leave --unit out if they are in px" if asked.unit else "")
            )
        raise CellscaperError(f"{number} cells are too few to guess the scale from; give --mpp (0.5 at 20×)")
    if (
        settings.unit == "fraction"
        and asked.unit
        and not any(one.low < scale.PLAUSIBLE[1] and one.high > scale.PLAUSIBLE[0] for one in evidence)
    ):
        raise CellscaperError(
            f"--unit fraction is given, and by it {evidence[0].words}; leave --unit out if the places are in px"
        )
    decided = scale.decide(evidence)
    if mixed is None or not decided.certain:
        return decided, evidence
    if any(one.written for one in evidence):
        read.said.append(mixed)
        return decided, evidence
    return scale.Scale(dots.MPP, f"{mixed} {decided.words}", False), evidence


def tell_scale(asked: Asked, decided: scale.Scale, evidence: Sequence[scale.Evidence], read: WhatWasRead) -> None:
    """Say that evidence disagrees, with each other or with the scale that the user gave."""
    if not decided.certain:
        read.said.append(
            f"the scale is not certain, since evidence disagrees ({decided.words}): give --mpp, or a folder of "
            "their own to images of each scale; nothing is rescaled"
        )
    if asked.mpp is not None:
        for one in scale.contradicting(asked.mpp, [one for one in evidence if one.written]):
            read.said.append(f"--mpp {asked.mpp:g} is given, but {one.words}")
        if (told := scale.far_from_tissue(asked.mpp, evidence)) is not None:
            read.said.append(told)
