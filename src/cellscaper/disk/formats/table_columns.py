"""What the columns of a table mean, by their names and values: y, x, boxes, class, image, kind of object, unit."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from cellscaper.disk.formats.class_names import UNCLASSIFIED, is_object_number, tidy
from cellscaper.disk.formats.text_table import comma_number_in, number_in

_BASES = (  # what stands beside x and y in the names of columns, in small letters without signs, the surest first
    "", "centroid", "center", "centre", "c", "pos", "position", "coord", "coords", "coordinate", "coordinates", "pixel",
    "loc", "location", "locationcenter", "areashapecenter", "centerlocal", "local", "point", "nucleus",
    "nucleuscentroid", "cell", "cellcentroid", "nuclei", "m", "mean", "centerofmass", "spatial", "global",
    "centerglobal", "img", "image",
    "abs",
)  # fmt: skip
_PAIRS = (  # y, x under other names
    ("row", "col"), ("row", "column"), ("rows", "cols"), ("r", "c"), ("centroid0", "centroid1"), ("axis0", "axis1"),
    ("centroidweighted0", "centroidweighted1"), ("centroidrow", "centroidcol"), ("centroidrow", "centroidcolumn"),
    ("dim0", "dim1"), ("spatial1", "spatial0"),
)  # fmt: skip
_TRIPLES = (("axis1", "axis2"), ("centroid1", "centroid2"))  # y, x where the first axis is z or time
_BOXES = (  # top, left, bottom, right
    ("ymin", "xmin", "ymax", "xmax"), ("miny", "minx", "maxy", "maxx"), ("y1", "x1", "y2", "x2"),
    ("y0", "x0", "y1", "x1"), ("top", "left", "bottom", "right"), ("bbox0", "bbox1", "bbox2", "bbox3"),
    ("bboxymin", "bboxxmin", "bboxymax", "bboxxmax"), ("minrow", "mincol", "maxrow", "maxcol"),
    ("ystart", "xstart", "yend", "xend"), ("bboxy1", "bboxx1", "bboxy2", "bboxx2"),
)  # fmt: skip
_CORNERS = (  # top, left, height, width
    ("top", "left", "height", "width"), ("bboxy", "bboxx", "bboxh", "bboxw"), ("by", "bx", "height", "width"),
    ("bboxy", "bboxx", "bboxheight", "bboxwidth"), ("bboxtop", "bboxleft", "bboxheight", "bboxwidth"),
    ("ymin", "xmin", "height", "width"), ("y1", "x1", "h", "w"), ("ymin", "xmin", "h", "w"),
)  # fmt: skip
CENTRED = (("y", "x", "height", "width"), ("y", "x", "h", "w"))  # a corner or a centre: the names do not say
_CLASSES = (
    "class", "classification", "classname", "classlabel", "cellclass", "celltype", "celltypename", "celltypes",
    "cellphenotype", "phenotype", "mainclassification", "superclassification", "rawclassification", "pathclass",
    "nucleustype", "category", "categoryname", "type", "label", "labelname", "prediction", "predictedclass",
    "predclass", "predictedcelltype", "annotation", "group", "cluster", "leiden", "subtype", "marker", "stain", "name",
)  # fmt: skip
_IMAGES = (
    "image", "imagename", "imagefile", "imagefilename", "filename", "file", "filepath", "path", "img", "imgname",
    "imagepath", "imageid", "slide", "slidename", "slideid", "patch", "patchname", "tile", "tilename", "tileid",
    "sample", "sampleid", "roi", "fov", "scan", "section", "core", "frame", "picture", "photo",
)  # fmt: skip
_KINDS = ("objecttype", "objectclass", "shapetype", "roi", "name", "type")
NO_CELLS = {
    "tile": "tiles", "pathtileobject": "tiles", "superpixel": "tiles", "tmacore": "TMA cores",
    "tmacoreobject": "TMA cores", "root": "root objects", "pathrootobject": "root objects", "image": "root objects",
    "annotation": "annotations", "pathannotationobject": "annotations",
}  # fmt: skip
_OBJECTS = {*NO_CELLS, "cell", "detection", "pathcellobject", "pathdetectionobject", "nucleus"}
_SHAPES = {"rectangle", "polyline", "polygon", "point", "ellipse", "circle", "geometry", "box"}
_UM = {"μm", "um", "micron", "microns", "micrometer", "micrometers", "micrometre", "micrometres"}
_PX = {"px", "pixel", "pixels", "pix"}
_XENIUM = {"cellid", "xcentroid", "ycentroid", "transcriptcounts"}  # its centroids are in µm
_MERSCOPE = {"fov", "volume", "centerx", "centery"}
_NOT_CELLS = {
    "vertexindex": "corners of shapes", "vertexx": "corners of outlines", "transcriptid": "transcripts",
}  # fmt: skip
FEW = 12  # classes of a column whose name says nothing


@dataclass(frozen=True)
class Roles:
    """The columns of a table: field (y, x, class, image, kind, y_end, x_end, box_height, box_width) → header name.

    unit    "px" or "um" (µm)
    corner  y, x may be a corner of the box with these fields of height and width
    why     what was decided by the values
    """

    names: dict[str, str]
    unit: str = "px"
    corner: dict[str, str] | None = None
    why: tuple[str, ...] = ()


def plain(name: str) -> str:
    """A column's name in small letters without signs and units."""
    return "".join(word for word in _words(name) if word not in _UM | _PX or len(_words(name)) == 1)


def unit_of(name: str) -> str | None:
    """The unit that a column's name says: "um", "px" or None."""
    words = _words(name)
    if len(words) < 2:
        return None
    return "um" if _UM & set(words) else "px" if _PX & set(words) else None


def is_header(fields: Sequence[str]) -> bool:
    """Whether the first line of a table names its columns: none of its fields is a number, and two can be places."""
    if any(number_in(field) or comma_number_in(field) for field in fields):
        return False
    return len(fields) >= 2 and (len(fields) >= 3 or places(fields) is not None)


def places(header: Sequence[str]) -> dict[str, str] | None:
    """The columns with the places of cells; px before µm."""
    for unit in (("px", None), ("um",)):
        named: dict[str, str] = {}
        for name in header:
            if unit_of(name) in unit:
                named.setdefault(plain(name), name)
        found = _places(named)
        if found:
            return found
    return None


def _places(named: dict[str, str]) -> dict[str, str] | None:
    for y, x in _TRIPLES:
        if x in named and y in named:
            return {"y": named[y], "x": named[x]}
    for base in _BASES:
        for y, x in ((base + "y", base + "x"), ("y" + base, "x" + base)):
            if y in named and x in named:
                return {"y": named[y], "x": named[x]}
    for y, x in _PAIRS:
        if y in named and x in named:
            return {"y": named[y], "x": named[x]}
    for fields, kinds in ((("y", "x", "y_end", "x_end"), _BOXES), (("y", "x", "box_height", "box_width"), _CORNERS)):
        for kind in kinds:
            if all(name in named for name in kind):
                return {field: named[name] for field, name in zip(fields, kind, strict=True)}
    return None


def find(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Roles | None:
    """The columns of a table with a header (rows have as many fields); None if no columns can be y and x.

    ValueError for a table of something else than cells.
    """
    for name in header:
        if plain(name) in _NOT_CELLS:
            raise ValueError(f"column {name!r}: its lines are {_NOT_CELLS[plain(name)]}, expected a line for each cell")
    at = places(header)
    if at is None:
        return None
    unit = unit_of(at["y"]) or "px"
    plains = {plain(name): name for name in header}
    if set(plains) >= _XENIUM or set(plains) >= _MERSCOPE:
        unit = "um"
    values = {name: [row[i] for row in rows] for i, name in enumerate(header) if header.count(name) == 1 and name}
    names, why = dict(at), []
    kind = next((plains[one] for one in _KINDS if one in plains and _all_in(values.get(plains[one]), _OBJECTS)), None)
    if kind is not None:
        names["kind"] = kind
    image = next((plains[one] for one in _IMAGES if one in plains and plains[one] not in names.values()), None)
    if image is not None:
        names["image"] = image
    chosen = _class(header, values, {*at.values(), kind})
    if chosen is not None:
        names["class"] = chosen
        if names.get("image") == chosen:
            del names["image"]
    elif numbers := [name for name in header if plain(name) in _CLASSES and name in values and name != kind]:
        why.append(f"column {numbers[0]!r} differs from cell to cell and numbers them: no class")
    corner = next(
        ({"box_height": plains[h], "box_width": plains[w]} for y, x, h, w in CENTRED
         if (plains.get(y), plains.get(x)) == (at["y"], at["x"]) and h in plains and w in plains),
        None,
    ) if "y_end" not in at and "box_height" not in at else None  # fmt: skip
    return Roles(names, unit, corner, tuple(why))


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


def _class(header: Sequence[str], values: dict[str, list[str]], taken: set[str | None]) -> str | None:
    best: tuple[tuple[bool, int], str] | None = None
    for name in header:
        if name in taken or name not in values or plain(name) not in _CLASSES:
            continue
        known = Counter(tidy(value) for value in values[name])
        known.pop(UNCLASSIFIED, None)
        rough = {one.lower() for one in known}
        if is_object_number(values[name]) or (rough and (rough <= _SHAPES or rough <= _OBJECTS)):
            continue
        if any(re.fullmatch(r"[+-]?\d*[.,]\d+", one) for one in known):  # a measurement
            continue
        rank = len(known) > 1, -_CLASSES.index(plain(name))
        if best is None or rank > best[0]:
            best = rank, name
    if best is not None:
        return best[1]
    texts = [name for name in header if name in values and name not in taken and _few_names(values[name])]
    texts = [name for name in texts if plain(name) not in _IMAGES]
    return texts[0] if len(texts) == 1 else None


def _few_names(values: Sequence[str]) -> bool:
    """Whether a column of any name can only be a class: words, more than one, few for many cells."""
    known = {tidy(value) for value in values} - {UNCLASSIFIED}
    if not 2 <= len(known) <= FEW or len(values) < 4 * len(known):
        return False
    return not any(number_in(one) or comma_number_in(one) for one in known)


def _all_in(values: Sequence[str] | None, known: set[str]) -> bool:
    plain_values = {"".join(sign for sign in value.lower() if sign.isalnum()) for value in values or ()}
    return bool(plain_values) and plain_values <= known


def _words(name: str) -> list[str]:
    """The words of a column's name in small letters, with one sign for µ."""
    text = unicodedata.normalize("NFKC", name)
    text = re.sub(r"(?<=[a-z])(?=[XY](?:\b|_|$))", " ", text)  # posX
    return re.findall(r"[^\W_]+", text.lower())
