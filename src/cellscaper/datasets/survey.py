"""A folder of images and dots, read as the workflow will read it: its contents, its faults, and its configuration."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cellscaper.datasets import discovery, dots, same_images, survey_places, unused
from cellscaper.datasets.class_name_files import names_in_files
from cellscaper.datasets.dot_file import FIELDS, DotFormat
from cellscaper.datasets.dot_sources import Chosen, Sources, splits
from cellscaper.datasets.doubtful_columns import decided
from cellscaper.datasets.folder_files import FolderFiles, has_place
from cellscaper.datasets.inspection import Cells
from cellscaper.datasets.kept_pixels import KeptPixels
from cellscaper.datasets.missing import without_cells
from cellscaper.datasets.patients import on_both_sides
from cellscaper.datasets.splitting import against_folders, find_split, names_say, too_few
from cellscaper.datasets.survey_classes import cells_of_classes, classes_of
from cellscaper.datasets.survey_overlay import PRESETS, overlay
from cellscaper.datasets.survey_scale import find_scale, tell_scale
from cellscaper.datasets.survey_start import starts
from cellscaper.datasets.survey_state import Asked, WhatWasRead
from cellscaper.datasets.survey_text import Report
from cellscaper.datasets.survey_unused import tell_unused
from cellscaper.datasets.table_search import Columns, Tables, find_tables
from cellscaper.disk.formats.annotations import format_of
from cellscaper.disk.formats.counted import are, counted, counted_are
from cellscaper.errors import CellscaperError
from cellscaper.run.progress import Progress

AT_20X = (0.4, 0.6)  # µm a pixel that need no rescaling
LOOKED_AT = 60  # images whose pixels under the dots are looked at


@dataclass(frozen=True)
class Survey:
    """What was found: text about it, the configuration of a run, and the cells themselves.

    lines, faults     to print; what keeps the workflow from running
    overlay, preset   the configuration as YAML, and the preset that it changes
    settings          of the reader `dots`: places, classes, scale, split; ``scale``, ``split``: in words how found
    cells             of the images that have a dot file, px of the file
    paths, without    the file of each image, by name; the images that have no dot file
    misplaced         the faults of places of cells
    said              sentences about what was guessed or left out
    """

    lines: list[str]
    faults: list[str]
    overlay: str
    preset: str
    settings: dots.Settings
    scale: str
    split: str
    cells: list[Cells]
    paths: Mapping[str, Path]
    without: list[str]
    misplaced: list[str]
    said: list[str]


def survey(folder: Path, name: str, asked: Asked) -> Survey:
    """Read a folder and describe it. CellscaperError for an invalid name and for files that cannot be read at all."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise CellscaperError(f"--name {name!r}: expected small letters, digits and _, a letter first")
    files = FolderFiles(folder).drop_lost()
    found = discovery.find(files, asked.images, asked.dots)
    try:
        return _survey(folder, name, asked, files, found)
    except CellscaperError as error:
        if not (more := _without_cells(found)):
            raise
        raise CellscaperError(f"{error}{more}") from error


def _without_cells(found: discovery.Found) -> str:
    """The end of a sentence about images that are missed; nothing without any."""
    left = [image for image, reason in found.reasons.items() if reason == discovery.NO_CELLS]
    if not left:
        return ""
    have = "has" if len(left) == 1 else "have"
    return f"; {counted(len(left), 'more images')} {have} no file of cells, first {left[0]}"


def _survey(folder: Path, name: str, asked: Asked, files: FolderFiles, found: discovery.Found) -> Survey:
    """The survey of the images and cells that were found."""
    images = sorted([*found.cells, *found.without])
    pixels = KeptPixels(files.paths)
    read = WhatWasRead()
    _look(pixels, images, read)
    tables = _tables(files, found, read, asked)
    tables = _decided(folder, files, found, tables, asked, pixels)
    read.said.extend(tables.said)
    settings = _settings(folder, found, tables, asked)
    _read_cells(settings, files, found, read)
    sample = _sample(pixels, read)
    unit = survey_places.find_unit(asked, tables, read)
    settings = settings.model_copy(update={"unit": unit})
    mapping, names = classes_of(asked, read, found.cells)
    if asked.classes is None and (told := names_in_files(files, list(mapping))) is not None:
        read.said.append(told)
    split, split_how, lists = find_split(files, images, found.cells, found.dots, found.reasons)
    if asked.all_train and isinstance(split, dots.Fractions):
        split, split_how = dots.Fractions(train=1.0), "no lists: all images"
    elif isinstance(split, dots.Fractions) and (told := names_say(images)) is not None:
        read.said.append(told)
    settings = settings.model_copy(update={"split": split, "classes": tuple(names), "class_map": mapping})
    tell_unused(files, found, lists, images, settings, read)
    decided, evidence = find_scale(asked, settings, files, found, read, sample, [*found.cells.values(), *lists])
    settings = settings.model_copy(update={"mpp": decided.mpp, "rescale": not AT_20X[0] <= decided.mpp <= AT_20X[1]})
    tell_scale(asked, decided, evidence, read)
    where = {} if found.without else _where(settings, files, found, images, asked, read)
    if (leak := on_both_sides(where)) is not None:
        read.said.append(leak)
    read.said += same_images.told(same_images.same(files.paths, read.thumbnails, read.sizes), where)
    said = isinstance(split, dots.Lists) and not split.train.endswith("/")
    if said and (against := against_folders(images, where, isinstance(split.val, str))) is not None:
        read.said.append(against)
    if where and (left := [image for image in images if image not in where]):
        read.said.append(f"{counted_are(len(left), 'images')} in no list and left out {unused.shown(left)}")
    cells = cells_of_classes(settings, mapping, names, read, where)
    before = len(read.faults)
    survey_places.check(settings, files, found, read, sample, pixels, asked)
    misplaced = read.faults[before:]
    if found.without:
        read.faults.append(without_cells(found.without, [one for one in found.dots if not has_place(one)]))
    factor = dots.MPP / decided.mpp if settings.rescale else 1.0
    report = Report(settings, tables.how, cells, factor, decided.words, split_how, read.said, read.faults)
    settings = dots.Settings.model_validate(settings.model_dump())
    region = report.region()
    begun = starts(settings.classes, dots.MPP if settings.rescale else settings.mpp, region)
    return Survey(
        [*report.lines(), "", *begun.lines],
        report.faults,
        overlay(name, settings, region, report, begun),
        PRESETS[region],
        settings,
        decided.words,
        split_how,
        cells,
        {image: files.paths[image] for image in images},
        sorted(found.without),
        misplaced,
        read.said,
    )


# -- reading -------------------------------------------------------------------------------------------------


def _look(pixels: KeptPixels, images: Sequence[str], read: WhatWasRead) -> None:
    """The sizes and mean colours of all images."""
    with Progress(len(images), "images") as progress:
        for image in images:
            found = pixels(image)
            read.sizes[image] = int(found.shape[0]), int(found.shape[1])
            read.thumbnails[image] = same_images.thumbnail(found)
            progress.update()


def _tables(files: FolderFiles, found: discovery.Found, read: WhatWasRead, asked: Asked) -> Tables:
    """The form of the text tables among the files of cells."""
    names = list(dict.fromkeys(found.cells.values()))
    tables = {name: files.paths[name] for name in names if format_of(files.paths[name]) == "table"}
    kinds = Counter(format_of(files.paths[name]) for name in names[:50])
    if kinds["outlines"] and all(path.stat().st_size == 0 for path in tables.values()):
        return Tables((), "outlines files", form="outlines" if set(kinds) <= {"outlines", "table"} else "auto")
    if not tables and asked.columns is not None:
        raise CellscaperError(
            f"--columns names the columns of text tables, and the cells are in {' and '.join(sorted(kinds))} files, "
            f"first {names[0]}; leave --columns out, or name tables with --dots"
        )
    others = " and ".join(sorted(f"{kind} files" for kind in kinds if kind != "table"))
    if not tables:
        return Tables((), others)
    if others and all(path.stat().st_size == 0 for path in tables.values()):  # images without a cell
        return Tables(FIELDS, others)
    size_of = {files.paths[cells]: read.sizes[image] for image, cells in found.cells.items()}
    return find_tables(list(tables.values()), size_of, asked.columns, found.image_column)


def _decided(
    folder: Path, files: FolderFiles, found: discovery.Found, tables: Tables, asked: Asked, pixels: KeptPixels
) -> Tables:
    """The tables after a look at the pixels, where their columns can mean two things."""
    if not (tables.corner or tables.either) or tables.unit != "px":
        return tables

    def points(image: str, columns: Columns) -> NDArray[np.float64]:
        settings = _settings(folder, found, replace(tables, columns=columns), asked)
        form = DotFormat(columns, {}, settings.separator, settings.header)
        return Sources(settings, form, files).cells(Chosen(image, image, ""))[0].points

    images = {image: pixels(image) for image in sorted(found.cells)[:8]}
    return decided(tables, images, points)


def _where(
    settings: dots.Settings, files: FolderFiles, found: discovery.Found, images: list[str], asked: Asked,
    read: WhatWasRead,
) -> dict[str, str]:  # fmt: skip
    """The split of each image; a split that cannot be made is a fault, and no image has one."""
    told = None if asked.all_train else too_few(len(images), settings.split)
    if told is not None:
        read.faults.append(told + _without_cells(found))
        return {}
    try:
        return splits(settings, files, images)
    except CellscaperError as error:
        if asked.all_train:
            raise
        read.faults.append(f"{error}{_without_cells(found)}")
        return {}


def _settings(folder: Path, found: discovery.Found, tables: Tables, asked: Asked) -> dots.Settings:
    """Settings with which the cells of all classes can be read."""
    known: dict[str, Any] = {
        "path": str(folder),
        "images": found.images[0] if len(found.images) == 1 else tuple(found.images),
        "leave_out": tuple(found.leave_out),
        "dots": found.dots[0] if len(found.dots) == 1 else tuple(found.dots),
        "format": tables.form,
        "unit": asked.unit or tables.unit,
        "columns": tables.columns,
        "separator": tables.separator,
        "header": tables.header,
        "classes": (),
        "mpp": dots.MPP,
        "split": dots.Fractions(train=1.0),
    }
    return dots.Settings.model_construct(**known)


def _read_cells(settings: dots.Settings, files: FolderFiles, found: discovery.Found, read: WhatWasRead) -> None:
    sources = Sources(
        settings, DotFormat(settings.columns, {}, settings.separator, settings.header, settings.format), files
    )
    left: Counter[str] = Counter()
    notes: Counter[str] = Counter()
    told: set[str] = set()
    entries: dict[str, str] = {}
    for image, file in sorted(found.cells.items()):
        cells, _ = sources.cells(Chosen(image, image, ""))
        read.cells[image] = cells
        if file not in told:
            left.update(cells.left)
            for what in cells.left:
                first = f"{cells.first[what]} of " if what in cells.first else ""
                entries.setdefault(what, f", first {first or 'in '}{file}")
            notes.update(dict.fromkeys(cells.notes, 1))
            told.add(file)
    read.said += [f"{counted_are(number, what)} left out{entries.get(what, '')}" for what, number in left.items()]
    if bare := [image for image, cells in read.cells.items() if not len(cells.points)]:
        file = found.cells[bare[0]]
        read.said.append(
            f"{counted_are(len(bare), 'images')} without a cell, first {bare[0]}, of which {file} has none"
        )
    read.said += [note + (f" (in {number} files)" if number > 1 else "") for note, number in notes.items()]
    if strangers := sources.strangers():
        first = next(iter(strangers))
        read.said.append(
            f"{counted(sum(strangers.values()), 'cells')} left out, of {counted(len(strangers), 'images')} that "
            f"{are(len(strangers))} not here, first {first}"
        )


def _sample(pixels: KeptPixels, read: WhatWasRead) -> dict[str, NDArray[np.uint8]]:
    """The pixels of some images with dots."""
    filled = [image for image, cells in read.cells.items() if len(cells.points)]
    step = max(1, len(filled) // LOOKED_AT)
    return {image: pixels(image) for image in filled[::step][:LOOKED_AT]}
