"""What the columns of a table mean, by their names and values: y, x, boxes, class, image, kind of object, unit."""

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cellscaper.disk.formats.class_names import UNCLASSIFIED, is_object_number, tidy
from cellscaper.disk.formats.column_places import CENTRED, alone, in_other_unit, places, plain, unit_of, words
from cellscaper.disk.formats.column_values import (
    all_in,
    are_files,
    are_numbers,
    few_names,
    has_few,
    in_runs,
    numbers_objects,
    one_hot,
    same_groups,
)
from cellscaper.disk.formats.text_table import comma_number_in, number_in

_CLASSES = (
    "class", "classification", "classname", "classlabel", "cellclass", "celltype", "celltypename", "celltypes",
    "cellphenotype", "phenotype", "mainclassification", "superclassification", "rawclassification", "pathclass",
    "nucleustype", "category", "categoryname", "type", "label", "labelname", "prediction", "predictedclass",
    "predclass", "predictedcelltype", "annotation", "group", "cluster", "leiden", "louvain", "subtype", "marks", "mark",
    "marker", "stain", "name", "klasse", "klassifikation", "zelltyp", "zellklasse", "classe", "typecellulaire", "clase",
    "tipocelular",
)  # fmt: skip
_SURE = {
    "class", "classification", "classname", "classlabel", "cellclass", "celltype", "celltypename", "celltypes",
    "cellphenotype", "phenotype", "mainclassification", "pathclass", "nucleustype",
}  # fmt: skip
_NUMBERED = {"class", "classification", "type", "celltype", "category", "phenotype", "cluster", "label"}
_BESIDE = {  # words that may stand beside those of a class
    "id",
    "index",
    "idx",
    "code",
    "number",
    "no",
    "nr",
    "final",
    "manual",
    "gt",
    "true",
    "pred",
    "predicted",
    "nucleus",
    "cell",
    "nuclei",
    "main",
    "classifier",
    "annotated",
    "assigned",
    "consensus",
}
_IMAGES = (
    "image", "imagename", "imagefile", "imagefilename", "filename", "file", "filepath", "path", "img", "imgname",
    "imagepath", "imageid", "slide", "slidename", "slideid", "patch", "patchname", "tile", "tilename", "tileid",
    "sample", "sampleid", "roi", "fov", "scan", "section", "core", "frame", "picture", "photo", "bild", "bildname",
    "bilddatei", "datei", "dateiname", "imagen", "nomimage", "fichier",
)  # fmt: skip
_KINDS = ("objecttype", "objectclass", "shapetype", "roi", "name", "type")
NO_CELLS = {
    "tile": "tiles", "pathtileobject": "tiles", "superpixel": "tiles", "tmacore": "TMA cores",
    "tmacoreobject": "TMA cores", "root": "root objects", "pathrootobject": "root objects", "image": "root objects",
    "annotation": "annotations", "pathannotationobject": "annotations",
}  # fmt: skip
AS_CLASS = "the class is taken to be column"  # how a sentence about a doubtful class begins
_OBJECTS = {*NO_CELLS, "cell", "detection", "pathcellobject", "pathdetectionobject", "nucleus"}
_NO_CLASSES = {  # words in the names of columns that hold few words, too, but of something else than the kind of cell
    "annotator", "annotators", "reader", "rater", "observer", "pathologist", "operator", "reviewer", "scorer", "user",
    "author", "by", "annotatedby", "createdby", "createdat", "quality", "confidence", "certainty", "patient", "case",
    "subject", "donor", "sex", "gender", "batch", "cohort", "hospital", "institution", "site", "scanner", "device",
    "microscope", "magnification", "stain", "staining", "tissue", "organ", "region", "regions", "layer", "block",
    "compartment", "date", "day", "time", "split", "fold", "set", "comment", "comments", "note", "notes",
    "remark", "remarks", "shape", "unit", "units", "colour", "color", "software", "version", "visible", "selected",
}  # fmt: skip
_SHAPES = {"rectangle", "polyline", "polygon", "point", "ellipse", "circle", "geometry", "box"}
_XENIUM = {"cellid", "xcentroid", "ycentroid", "transcriptcounts"}  # its centroids are in µm
_MERSCOPE = {"fov", "volume", "centerx", "centery"}
_NOT_CELLS = {
    "vertexindex": "corners of shapes", "vertexx": "corners of outlines", "transcriptid": "transcripts",
    "intissue": "spots of Visium", "regionshapeattributes": "regions of the VGG Image Annotator (VIA)",
}  # fmt: skip


@dataclass(frozen=True)
class Roles:
    """The columns of a table: field (y, x, class, image, kind, y_end, x_end, box_height, box_width) → header name.

    unit    "px" or "um" (µm)
    corner  y, x may be a corner of the box with these fields of height and width
    why     what was decided by the values
    question  of several columns that may hold the class, where neither names nor values decide
    """

    names: dict[str, str]
    unit: str = "px"
    corner: dict[str, str] | None = None
    why: tuple[str, ...] = ()
    question: str | None = None


def is_header(fields: Sequence[str]) -> bool:
    """Whether the first line of a table names its columns: none of its fields is a number, and two can be places.

    If two have the names of places, others may have numbers as names (wave lengths).
    """
    named = [field for field in fields if not (number_in(field) or comma_number_in(field))]
    if len(named) < len(fields):
        return len(named) >= 2 and places(named) is not None
    return len(fields) >= 2 and (len(fields) >= 3 or places(fields) is not None)


def find(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Roles | None:
    """The columns of a table with a header (rows have as many fields); None if no columns can be y and x.

    ValueError for a table of something else than cells.
    """
    for name in header:
        if plain(name) in _NOT_CELLS:
            raise ValueError(f"column {name!r}: its lines are {_NOT_CELLS[plain(name)]}, expected a line for each cell")
    numeric = [name if are_numbers([row[i] for row in rows]) else "" for i, name in enumerate(header)]
    at, why = places(numeric) or places(header), []  # else the reader names the line
    if at is None and (other := in_other_unit(numeric)) is not None:
        raise ValueError(f"column {other!r} is in {unit_of(other)}, expected px or µm; convert it")
    if at is None:
        at = alone(numeric)
        if at is None:
            return None
        why.append(f"y and x are taken to be the columns {at['y']!r} and {at['x']!r} (else --columns y=…,x=…)")
    unit = unit_of(at["y"]) or "px"
    plains = {plain(name): name for name in header}
    if set(plains) >= _XENIUM or set(plains) >= _MERSCOPE:
        unit = "um"
    values = {name: [row[i] for row in rows] for i, name in enumerate(header) if header.count(name) == 1 and name}
    names = dict(at)
    kind = next((plains[one] for one in _KINDS if one in plains and all_in(values.get(plains[one]), _OBJECTS)), None)
    if kind is not None:
        names["kind"] = kind
    image = next((plains[one] for one in _IMAGES if one in plains and plains[one] not in names.values()), None)
    if image is not None:
        names["image"] = image
    chosen, others = _class(header, values, {*at.values(), kind})
    question = None
    if chosen is not None and (better := _names_of(header, values, chosen, {*at.values(), kind})) is not None:
        why.append(f"the class is column {better!r}, whose names go with the numbers of {chosen!r} one to one")
        chosen = better
    if chosen is not None:
        names["class"] = chosen
        if others and any(_surely(one) or not _surely(chosen) for one in others):
            question = _question(names, [chosen, *others])
        elif others:
            shown = " or ".join(map(repr, others[:3]))
            why.append(f"the class is column {chosen!r}, it could be {shown}: {_option(names, others[0])}")
        if names.get("image") == chosen:
            del names["image"]
        if _class_rank(chosen) is None:
            why.append(
                f"{AS_CLASS} {chosen!r} for its few words, its name does not say so: "
                f"{_option(names)} reads no class, with class=… another"
            )
    elif numbers := [
        name
        for name in header
        if plain(name) in _CLASSES and name in values and name != kind and numbers_objects(values[name])
    ]:
        why.append(f"column {numbers[0]!r} differs from cell to cell and numbers them: no class")
    hot = one_hot({name: values[name] for name in values if name not in names.values()})
    few = [name for name in values if name not in names.values() and has_few(values[name])]
    few.sort(key=lambda name: in_runs(values[name]))  # a column of images last
    if chosen is None and hot:
        question = (
            f"the columns {', '.join(map(repr, hot))} are 1 in one of them for each cell and 0 in the others: classes "
            f"are read from one column; add a column 'class' with these names, or say {_option(names)} to read no class"
        )
    elif chosen is None and few:
        shown = " or ".join(map(repr, few[:3]))
        why.append(f"no column is taken for the class; if it is {shown}, say {_option(names, few[0])}")
    corner = next(
        ({"box_height": plains[h], "box_width": plains[w]} for y, x, h, w in CENTRED
         if (plains.get(y), plains.get(x)) == (at["y"], at["x"]) and h in plains and w in plains),
        None,
    ) if "y_end" not in at and "box_height" not in at else None  # fmt: skip
    return Roles(names, unit, corner, tuple(why), question)


def image_columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns that may name an image: by their names, then all that hold text and are no places, the surest first."""
    named = {plain(name): name for name in reversed(header) if name}
    first = [named[one] for one in _IMAGES if one in named]
    rest = [
        name
        for i, name in enumerate(header)
        if name and name not in first and not all(number_in(row[i]) for row in rows)
    ]
    return first + rest


def names_an_image(column: str) -> bool:
    """Whether a column's name says that it names images."""
    return plain(column) in _IMAGES


def are_shapes(values: Iterable[str]) -> bool:
    """Whether values name kinds of shapes or objects: Polygon, Point, Detection."""
    known = {value.lower() for value in values}
    return known <= _SHAPES or known <= _OBJECTS


def _option(names: Mapping[str, str], chosen: str | None = None) -> str:
    """The option that makes a column the class, or none, for a shell."""
    held = {field: name for field, name in names.items() if field not in ("class", "image")}
    held |= {} if chosen is None else {"class": chosen}
    parts = [f"{field}={name}" for field, name in held.items()]
    quoted = [f'"{part}"' if "," in part else part for part in parts]
    return f"--columns {shlex.quote(','.join(quoted))}"


def _question(names: Mapping[str, str], candidates: Sequence[str]) -> str:
    """The question which of several columns holds the class."""
    shown = ", ".join(map(repr, candidates[:-1])) + f" or {candidates[-1]!r}"
    rest = [_option(names, one).removeprefix("--columns ") for one in candidates[1:3]]
    return (
        f"the class may be column {shown}, and they group the cells in different ways; say "
        f"{_option(names, candidates[0])}, or {' or '.join(rest)}"
    )


def _surely(name: str) -> bool:
    """Whether a column's name says class or type of cell outright."""
    return plain(name) in _SURE


def _class(header: Sequence[str], values: dict[str, list[str]], taken: set[str | None]) -> tuple[str | None, list[str]]:
    """The column of the class, and others that could be it since they group the cells in another way."""
    found: list[tuple[tuple[bool, int], str]] = []
    for name in header:
        if name in taken or name not in values or (rank := _class_rank(name)) is None:
            continue
        known = Counter(tidy(value) for value in values[name])
        known.pop(UNCLASSIFIED, None)
        rough = {one.lower() for one in known}
        if is_object_number(values[name]) or are_files(known) or (rough and are_shapes(rough)):
            continue
        if any(re.fullmatch(r"[+-]?\d*[.,]\d+", one) for one in known):  # a measurement
            continue
        found.append(((len(known) > 1, -rank), name))
    if found:
        best = max(found)[1]
        others = [name for (several, _), name in found if several and name != best]
        return best, [name for name in others if not same_groups(values[best], values[name])]
    texts = [name for name in header if name in values and name not in taken and few_names(values[name])]
    texts = [name for name in texts if plain(name) not in _IMAGES and not _NO_CLASSES & {*words(name), plain(name)}]
    return (texts[0] if len(texts) == 1 else None), []


def _class_rank(name: str) -> int | None:
    """How surely a column of this name holds the class, 0 the surest; None if the name says nothing of a class."""
    if plain(name) in _CLASSES:
        return _CLASSES.index(plain(name))
    rest = "".join(word for word in words(name) if word not in _BESIDE) or "".join(words(name))
    return len(_CLASSES) + _CLASSES.index(rest) if rest in _NUMBERED else None


def _names_of(header: Sequence[str], values: dict[str, list[str]], numbers: str, taken: set[str | None]) -> str | None:
    """The column with the names of classes whose numbers are in another; None if there is not a single one."""
    known = {tidy(value) for value in values[numbers]} - {UNCLASSIFIED}
    if len(known) < 2 or not all(one.isdecimal() for one in known):
        return None
    found = []
    for name in header:
        if name in taken or name == numbers or name not in values or _class_rank(name) is None:
            continue
        others = {tidy(value) for value in values[name]} - {UNCLASSIFIED}
        plain_names = not any(number_in(one) or comma_number_in(one) for one in others) and not are_files(others)
        if plain_names and same_groups(values[numbers], values[name]) and same_groups(values[name], values[numbers]):
            found.append(name)
    return found[0] if len(found) == 1 else None
