"""Automatic search of a folder of images and dot files: patterns, columns, classes, splits."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cellscaper.datasets.dot_file import FIELDS, number_in, split_line
from cellscaper.datasets.dots import Fractions, Lists
from cellscaper.datasets.record import SPLITS, read_text
from cellscaper.disk.formats.annotations import format_of, read_annotated
from cellscaper.errors import CellscaperError

IMAGES = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp")
DOTS = (".csv", ".tsv", ".txt", ".geojson", ".json", ".mat", ".h5ad")
_NAMES = {  # header names of a column, in small letters, the surest first; none in µm
    "y": ("y", "row", "centroid_y", "y_centroid", "cy", "centroid y px", "y_px", "pos_y"),
    "x": ("x", "col", "column", "centroid_x", "x_centroid", "cx", "centroid x px", "x_px", "pos_x"),
    "class": ("class", "type", "label", "classification", "cell_type", "celltype", "category", "class_name", "name"),
}


@dataclass(frozen=True)
class Found:
    """Places of the images and dots of a folder: globs and patterns relative to it, as the reader `dots` takes them."""

    images: str
    dots: str
    files: list[tuple[Path, Path]]  # image and its dot file
    without: list[Path]  # images without a dot file


def find_pairs(folder: Path) -> Found:
    """The images of a folder and the file of dots that belongs to each.

    The images come from the folder, at any depth, with the most dot files named after its images: ``<stem>.csv``,
    ``<stem>_labels.txt`` and so on. CellscaperError if there is no image, or no dot file named after an image.
    """
    files = sorted(p for p in folder.rglob("*") if p.is_file() and not any(q.startswith(".") for q in p.parts[-3:]))
    images = [p for p in files if p.suffix.lower() in IMAGES]
    if not images:
        raise CellscaperError(f"{folder} holds no image ({', '.join(IMAGES)}); name the folder that does")
    groups = Counter((p.parent, p.suffix) for p in images)
    dots = [p for p in files if p.suffix.lower() in DOTS]
    best: tuple[int, int, Path, str, str] | None = None
    for (parent, suffix), number in groups.items():
        stems = {p.stem for p in images if (p.parent, p.suffix) == (parent, suffix)}
        for pattern, matched in _patterns(folder, stems, dots).most_common(1):
            if best is None or (matched, -number) > best[:2]:
                best = (matched, -number, parent, suffix, pattern)
    if best is None:
        example = images[0].stem
        raise CellscaperError(
            f"{folder} holds {len(images)} images and no file of dots named after one; expected for example "
            f"{example}.csv, {example}.geojson, {example}.mat or {example}.json beside it or in another folder"
        )
    _, _, parent, suffix, pattern = best
    chosen = [p for p in images if (p.parent, p.suffix) == (parent, suffix)]
    pairs = [(p, folder / pattern.replace("{stem}", p.stem)) for p in chosen]
    inner = parent.relative_to(folder)
    return Found(
        str(inner / f"*{suffix}") if str(inner) != "." else f"*{suffix}",
        pattern,
        [pair for pair in pairs if pair[1].is_file()],
        [image for image, file in pairs if not file.is_file()],
    )


def _patterns(folder: Path, stems: set[str], dots: Sequence[Path]) -> Counter[str]:
    """Patterns of dot files with ``{stem}``, each with its number of images."""
    found: Counter[str] = Counter()
    for file in dots:
        name = file.name
        for end in range(len(name) - len(file.suffix), 0, -1):
            if name[:end] in stems:
                inner = file.parent.relative_to(folder)
                found[str(inner / ("{stem}" + name[end:])) if str(inner) != "." else "{stem}" + name[end:]] += 1
                break
    return found


# -- tables --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Columns:
    """Settings of the reader `dots` for text tables; ``how`` explains in words how they were found."""

    columns: Sequence[str] | Mapping[str, str]
    how: str
    separator: str = "auto"
    header: bool | str = "auto"


def find_columns(files: Sequence[Path], sizes: Sequence[tuple[int, int]]) -> Columns:
    """The columns of text tables: by their header, else two numbers and a class.

    Without a header, the dots must lie inside the images (sizes are height, width), which decides the order of y and x.
    If both orders fit, y comes first, and ``how`` mentions it. CellscaperError if no three columns fit.
    """
    lines = {file: _lines(file) for file in files}
    filled = [file for file in files if lines[file]]
    if not filled:
        raise CellscaperError(f"all {len(files)} dot files are empty; no column can be found")
    first = lines[filled[0]][0]
    separator, fields = split_line(first)
    header = not any(number_in(field) for field in fields) and len(fields) >= 3
    if header:
        small = [field.lower() for field in fields]
        named: dict[str, str] = {}
        for key in FIELDS:
            name = next((fields[small.index(one)] for one in _NAMES[key] if one in small), None)
            if name is None:
                raise CellscaperError(
                    f"{filled[0]}: no column {key} among {', '.join(fields)}; name it with --columns y=…,x=…,class=…"
                )
            named[key] = name
        return Columns(named, f"header of {filled[0].name}", separator)
    if len(fields) != 3:
        raise CellscaperError(
            f"{filled[0]}: {len(fields)} columns and no header; say which they are with --columns y,x,class,…"
        )
    rows = {file: [split_line(line, separator)[1] for line in lines[file]] for file in filled}
    at = [i for i in range(3) if all(number_in(row[i]) for part in rows.values() for row in part if len(row) == 3)]
    one, other = (1, 2) if len(at) == 3 and _few_first(rows) else (at[0], at[1]) if len(at) >= 2 else (0, 1)
    label = ({0, 1, 2} - {one, other}).pop()
    inside = {
        order: sum(_inside(rows[file], order, size) for file, size in zip(files, sizes, strict=True) if file in rows)
        for order in ((one, other), (other, one))
    }
    y, x = max(inside, key=lambda order: inside[order])
    columns = [""] * 3
    columns[y], columns[x], columns[label] = "y", "x", "class"
    total = sum(len(part) for part in rows.values())
    surely = inside[y, x] > inside[x, y]
    how = (
        f"{inside[y, x]} of {total} dots lie inside with y, x in this order, {inside[x, y]} in the other"
        if surely
        else "no header, and both orders of y and x fit the images: y is taken to come first (else --columns x,y,class)"
    )
    return Columns(columns, how, separator, header=False)


def _lines(file: Path) -> list[str]:
    """The lines of a dot file that are not blank."""
    return [line for line in read_text(file, "dot file").splitlines() if line.strip()]


def _few_first(rows: dict[Path, list[list[str]]]) -> bool:
    """Whether the first of three columns of numbers is the class: whole numbers with fewer values than the last."""
    values = [[row[i] for part in rows.values() for row in part if len(row) == 3] for i in (0, 2)]
    return all(re.fullmatch(r"\d+", one) for one in values[0]) and len(set(values[0])) * 4 < len(set(values[1]))


def _inside(rows: list[list[str]], order: tuple[int, int], size: tuple[int, int]) -> int:
    """Number of dots of an image that lie inside it."""
    places = [(float(row[order[0]]), float(row[order[1]])) for row in rows if len(row) == 3 and _numbers(row, order)]
    return sum(0 <= y < size[0] and 0 <= x < size[1] for y, x in places)


def _numbers(row: list[str], order: tuple[int, int]) -> bool:
    return all(number_in(row[i]) for i in order)


def written_classes(files: Sequence[Path], columns: Columns) -> Counter[str]:
    """The classes as written in the files, with their numbers of cells."""
    found: Counter[str] = Counter()
    for file in files:
        form = format_of(file)
        if form != "table":
            found.update(read_annotated(file, form).names)
            continue
        lines = _lines(file)
        if not lines:
            continue
        names, separator = columns.columns, columns.separator
        fields = split_line(lines[0], separator)[1]
        if isinstance(names, Mapping):
            at, start = fields.index(names["class"]) if names["class"] in fields else -1, 1
        else:
            at, y = list(names).index("class"), list(names).index("y")
            start = int(y < len(fields) and not number_in(fields[y]))
        for line in lines[start:]:
            row = split_line(line, separator)[1]
            if 0 <= at < len(row):
                found[row[at]] += 1
    return found


def find_split(folder: Path, stems: set[str]) -> tuple[Lists | Fractions, str]:
    """Split lists in the folder (``…train….txt``, one image name a line), else 70, 10 and 20 % at random; a note."""
    lists = {}
    for name in SPLITS:
        for file in sorted(folder.glob(f"*{name}*.txt")):
            entries = {Path(line.strip()).stem for line in read_text(file, "list").splitlines() if line.strip()}
            if entries and entries & stems:
                lists[name] = file.name
    if set(lists) == set(SPLITS):
        return Lists(**lists), "lists " + ", ".join(lists.values())
    fractions = Fractions(train=0.7, val=0.1, test=0.2, seed=0)
    return fractions, "at random: 70, 10 and 20 % of the images, seed 0"
