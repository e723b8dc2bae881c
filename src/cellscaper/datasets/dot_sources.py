"""The images that the settings of :mod:`cellscaper.datasets.dots` choose, their splits, and the cells of each."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from cellscaper.datasets.dot_file import DotFormat, Dots, labelled, read_cells
from cellscaper.datasets.folder_files import FolderFiles, filled, has_place
from cellscaper.datasets.identity import Names, first_few, image_ids
from cellscaper.datasets.record import SPLITS, random_split
from cellscaper.datasets.split_lists import listing
from cellscaper.datasets.splits_of_cells import split_of
from cellscaper.disk.formats.annotated import Annotated
from cellscaper.disk.formats.counted import counted
from cellscaper.disk.formats.text_table import short
from cellscaper.errors import CellscaperError


class Choice(Protocol):
    """The settings of :mod:`cellscaper.datasets.dots` that choose images and files of cells."""

    @property
    def images(self) -> str | tuple[str, ...]: ...
    @property
    def leave_out(self) -> tuple[str, ...]: ...
    @property
    def dots(self) -> str | tuple[str, ...]: ...
    @property
    def split(self) -> Any: ...


@dataclass(frozen=True)
class Chosen:
    """An image (its path in the folder), the name of its record, its split."""

    image: str
    name: str
    split: str


class Sources:
    """Images and cells of a folder as the settings choose them; one file for all images is read once."""

    def __init__(self, settings: Choice, form: DotFormat, folder: FolderFiles):
        self.settings, self.form, self.folder = settings, form, folder
        self.patterns = (settings.dots,) if isinstance(settings.dots, str) else settings.dots
        self._shared: dict[str, tuple[Annotated, str, dict[str, np.ndarray]]] = {}

    def chosen(self) -> list[Chosen]:
        """The images that belong to a split, sorted by path; CellscaperError for settings that fit no image."""
        images = image_list(self.settings, self.folder)
        ids = image_ids(images)
        found = splits(self.settings, self.folder, images)
        return [Chosen(image, ids[image], found[image]) for image in sorted(found)]

    def path(self, name: str) -> Path:
        """The file of a name in the folder."""
        return self.folder.paths[name]

    def files(self) -> list[Path]:
        """All existing files that are read."""
        split = self.settings.split
        named = [split.train, split.val, split.test]
        lists = [self.folder.root / one for one in named if isinstance(one, str) and not one.endswith("/")]
        try:
            images = [one.image for one in self.chosen()]
        except CellscaperError:  # read() reports it
            images = self.folder.matching(_globs(self.settings)) if self.folder.paths else []
        cells = [name for image in images if (name := self.folder.cells_of(image, self._own())) is not None]
        cells += [name for name in self._common() if name in self.folder.paths]
        return sorted({*(path for path in lists if path.is_file()), *(self.path(name) for name in [*images, *cells])})

    def dots(self, one: Chosen) -> tuple[Dots, str]:
        """The dots of an image in the unit of the files, and the words before the number of an entry in messages."""
        cells, place = self.cells(one)
        return labelled(cells, self.form, place), place

    def cells(self, one: Chosen) -> tuple[Annotated, str]:
        """The cells of an image with all their classes. CellscaperError if no file has them."""
        own = self.folder.cells_of(one.image, self._own())
        if own is not None:
            cells, place = read_cells(self.path(own), self.form)
            return self._of_image(cells, one, own), place
        for name in self._common():
            if name not in self.folder.paths:
                raise CellscaperError(
                    f"dot file {self.folder.root / name} does not exist; correct the dataset's settings"
                )
            cells, place, rows = self._collection(name)
            if one.image in rows:
                return cells.of(rows[one.image]), place
        if self._own():
            file = self.folder.root / self.folder_name(one.image)
            raise CellscaperError(
                f"dot file of {one.image.rsplit('/', 1)[-1]}, {file} does not exist; add it or correct the dataset's "
                "settings"
            )
        raise CellscaperError(
            f"{self.folder.root / self._common()[0]} does not name image {one.image}; add its cells or leave it out"
        )

    def folder_name(self, image: str) -> str:
        """The dot file that an image should have."""
        return filled(self._own()[0], image)

    def strangers(self) -> dict[str, int]:
        """Cells in the files for all images whose image is not there, by the name in the file."""
        found: dict[str, int] = {}
        for name in self._common():
            cells, _, rows = self._collection(name)
            known = np.zeros(len(cells.names), bool)
            for chosen in rows.values():
                known[chosen] = True
            for image in (cells.images[i] for i in np.flatnonzero(~known)) if cells.images is not None else ():
                found[image] = found.get(image, 0) + 1
        return found

    def _own(self) -> list[str]:
        return [pattern for pattern in self.patterns if has_place(pattern)]

    def _common(self) -> list[str]:
        return [pattern for pattern in self.patterns if not has_place(pattern)]

    def _collection(self, name: str) -> tuple[Annotated, str, dict[str, np.ndarray]]:
        """A file for all images: its cells, the words before an entry's number, indices of the cells of each image."""
        if name not in self._shared:
            cells, place = read_cells(self.path(name), self.form)
            images = image_list(self.settings, self.folder)
            self._shared[name] = cells, place, _rows(cells, images, self.path(name))
        return self._shared[name]

    def _of_image(self, cells: Annotated, one: Chosen, file: str) -> Annotated:
        """Of a file of one image that names images, the cells of this one."""
        if cells.images is None or len({*cells.images, *cells.sizes}) <= 1:
            return cells
        rows = _rows(cells, [one.image], self.path(file))
        if one.image in rows:
            return cells.of(rows[one.image])
        if not cells.sizes and not _rows(cells, image_list(self.settings, self.folder), self.path(file)):
            return cells  # parts of this image: fields of view, regions
        raise CellscaperError(f"{self.path(file)} names images, none of which is {one.image}; correct the file")


def image_list(settings: Choice, folder: FolderFiles) -> list[str]:
    """The images of the settings; CellscaperError if there is none, or if two have the same dot file."""
    patterns = _globs(settings)
    images = folder.matching(patterns)
    if settings.leave_out:
        out = set(folder.matching(settings.leave_out))
        images = [image for image in images if image not in out]
    if not images:
        shown = folder.root / patterns[0]
        raise CellscaperError(f"no image matches {shown}; check the dataset's path and images")
    return images


def splits(settings: Choice, folder: FolderFiles, images: list[str]) -> dict[str, str]:
    """The split of each image that belongs to one."""
    dots = (settings.dots,) if isinstance(settings.dots, str) else settings.dots
    owners: dict[str, str] = {}
    for image in images:
        file = folder.cells_of(image, [one for one in dots if has_place(one)])
        if file is not None and owners.setdefault(file, image) != image:
            raise CellscaperError(f"images {owners[file]} and {image} have the same name for {file}; rename one")
    split = settings.split
    if not isinstance(split.val, str) and not isinstance(split.train, str):
        ids = image_ids(images)
        names = {ids[image]: image for image in images}
        fractions = {name: float(getattr(split, name)) for name in SPLITS}
        chosen = random_split(list(names), fractions, split.seed)
        return {names[one]: name for one, name in chosen.items()}
    return _listed(split, folder, images, dots)


def _listed(split: Any, folder: FolderFiles, images: list[str], dots: tuple[str, ...]) -> dict[str, str]:
    """The splits by list files and folders; a table of all cells (one of ``dots``) may name more images."""
    names = Names(images)
    where: dict[str, str] = {}
    chosen: dict[str, str] = {}
    entries = {name: getattr(split, name) for name in SPLITS}
    said: dict[str, dict[str, str | None]] = {}  # pattern of files of cells → what each says of its image's split
    for name, entry in entries.items():
        if not isinstance(entry, str):
            continue
        if entry.endswith("/"):
            inner = set(folder.matching([f"{entry}**"])) & set(images)
            found = dict.fromkeys(sorted(inner), entry)
        elif has_place(entry):
            own = {image: file for image in images if (file := folder.cells_of(image, [entry])) is not None}
            if entry not in said:
                said[entry] = {file: split_of(folder.paths[file]) for file in own.values()}
            found = {image: file for image, file in own.items() if said[entry][file] == name}
        else:
            listed_in = folder.root / entry
            shared = list(entries.values()).count(entry) > 1
            listed = listing(listed_in, names, name if shared else None, f"{name} split")
            if listed.unknown and entry not in dots:
                place, unknown = listed.unknown[0]
                raise CellscaperError(f"{place}: there is no image {short(unknown)}; add it or delete the line")
            found = listed.images
        if not found and has_place(entry):
            raise CellscaperError(f"{folder.root / entry}: no file of cells says that its image is in {name}")
        if not found:
            what = f"folder {folder.root / entry} holds" if entry.endswith("/") else f"{folder.root / entry} lists"
            raise CellscaperError(
                f"{what} no image; expected one image name a line" if entry[-1:] != "/" else f"{what} no image"
            )
        for image, place in found.items():
            if image in chosen:
                raise CellscaperError(f"{place}: image {short(image)} is also in {where[image]}; keep one")
            chosen[image], where[image] = name, place
    if not isinstance(split.val, str):
        ids = image_ids(images)
        train = {ids[image]: image for image, name in chosen.items() if name == "train"}
        share = max(split.val, 1 / max(len(train), 1))  # at least one image
        if len(train) < 2:
            raise CellscaperError(
                f"{folder.root / split.train} lists {counted(len(train), 'images')}, of which none can be taken for val"
            )
        parts = random_split(list(train), {"train": 1 - share, "val": share}, 0)
        chosen |= {train[one]: name for one, name in parts.items()}
    return chosen


def _rows(cells: Annotated, images: list[str], file: Path) -> dict[str, np.ndarray]:
    """The indices of the cells of each image, by the names in the file, also of images without cells."""
    if cells.images is None:
        if len(images) > 1:
            raise CellscaperError(
                f"{file} names no images, and there are {len(images)}; expected a file for each image"
            )
        return dict.fromkeys(images, np.arange(len(cells.names)))
    names = Names(images)
    found: dict[str, np.ndarray] = {}
    numbers = {name: i for i, name in enumerate(dict.fromkeys((*cells.sizes, *cells.images)))}
    index = np.array([numbers[name] for name in cells.images], np.int64)
    order = np.argsort(index, kind="stable")
    edges = np.searchsorted(index[order], np.arange(len(numbers) + 1))
    for name, i in numbers.items():
        matched = names.find(name)
        if len(matched) > 1:
            raise CellscaperError(
                f"{file}: image {short(name)} fits {len(matched)} images, {first_few(matched)}; add its folder"
            )
        if matched:
            rows = order[edges[i] : edges[i + 1]]
            found[matched[0]] = np.sort(np.concatenate([found.get(matched[0], rows[:0]), rows]))
    return found


def _globs(settings: Choice) -> tuple[str, ...]:
    return (settings.images,) if isinstance(settings.images, str) else settings.images
