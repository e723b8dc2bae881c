"""Which columns of a table hold the places of cells, and in which unit, by their names.

A name is taken apart into words. Words of a unit do not count; what stands beside the word x or y is the base:
``CenterX_local_px``, ``Cell X Position`` and ``centroid-x`` have the bases centerlocal, cellposition and centroid.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence

_BASES = (  # what stands beside x and y in the names of columns, in small letters without signs, the surest first
    "", "centroid", "center", "centre", "c", "pos", "position", "coord", "coords", "coordinate", "coordinates", "pixel",
    "loc", "location", "locationcenter", "areashapecenter", "centerlocal", "localcenter", "centroidlocal", "local",
    "fov", "point", "nucleus", "nucleuscentroid", "cell", "cellcentroid", "cellposition", "cellcenter", "nuclei",
    "nucleusposition", "nucleuscenter", "nucleilocationcenter", "cellslocationcenter", "m", "mean", "centerofmass",
    "spatial", "marker", "img", "image", "global", "centerglobal", "globalcenter", "slide", "abs",
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
_UM = {"μm", "um", "micron", "microns", "micrometer", "micrometers", "micrometre", "micrometres"}
_PX = {"px", "pixel", "pixels", "pix", "pxl"}
_OTHER = {"mm": "mm", "millimeter": "mm", "millimetre": "mm", "nm": "nm", "cm": "cm", "inch": "inches"}
_LOST = re.compile(r"(?:Â\s?[µμ]|[?\ufffd])m\b")  # µm in a file that was read in another coding once


def words(name: str) -> list[str]:
    """The words of a column's name in small letters, with one sign for µ."""
    text = unicodedata.normalize("NFKC", _LOST.sub("um", name))
    text = re.sub(r"(?<=[a-z])(?=[XY](?:\b|_|$))", " ", text)  # posX
    return re.findall(r"[^\W_]+", text.lower())


def plain(name: str) -> str:
    """A column's name in small letters without signs and units."""
    found = words(name)
    return "".join(word for word in found if word not in _UM | _PX or len(found) == 1)


def unit_of(name: str) -> str | None:
    """The unit that a column's name says: "um", "px", "mm", "nm", "cm", "inches" or None."""
    found = words(name)
    if len(found) < 2:
        return None
    if _UM & set(found):
        return "um"
    other = next((_OTHER[word] for word in found if word in _OTHER), None)
    return other or ("px" if _PX & set(found) else None)


def places(header: Sequence[str]) -> dict[str, str] | None:
    """The columns with the places of cells; px before µm. None if no names are those of places."""
    for unit in (("px", None), ("um",)):
        found = _places([name for name in header if unit_of(name) in unit])
        if found:
            return found
    return None


def in_other_unit(header: Sequence[str]) -> str | None:
    """A column with places in a unit that is not read; None if there is none."""
    other = [name for name in header if unit_of(name) in _OTHER.values()]
    bare = {re.sub(rf"(?i)[\W_]*\b(?:{'|'.join(_OTHER)})\b", "", name.replace("_", " ")): name for name in other}
    found = _places(list(bare))
    return bare[found["y"]] if found else None


def alone(header: Sequence[str]) -> dict[str, str] | None:
    """The only two columns that have the words y and x beside the same others; None if there is no such pair or more.

    For names that say nothing else of places: ``Tumor nuclei X, Tumor nuclei Y``.
    """
    axes = _axes(header)
    bases = [base for axis, base in axes if axis == "y" and ("x", base) in axes]
    return {axis: axes[axis, bases[0]] for axis in "yx"} if len(bases) == 1 else None


def _axes(header: Sequence[str]) -> dict[tuple[str, str], str]:
    """(axis, base) → the first name with the word of an axis beside those of the base."""
    found: dict[tuple[str, str], str] = {}
    for name in header:
        parts = [word for word in words(name) if word not in _UM | _PX]
        axes = [word for word in parts if word in ("x", "y")]
        if len(axes) == 1 and len(parts) > 1:
            found.setdefault((axes[0], "".join(word for word in parts if word != axes[0])), name)
    return found


def _places(header: Sequence[str]) -> dict[str, str] | None:
    named: Mapping[str, str] = {plain(name): name for name in reversed(header)}
    axes = _axes(header)
    for y, x in _TRIPLES:
        if x in named and y in named:
            return {"y": named[y], "x": named[x]}
    for base in _BASES:
        for y, x in ((base + "y", base + "x"), ("y" + base, "x" + base)):
            if y in named and x in named:
                return {"y": named[y], "x": named[x]}
        if ("y", base) in axes and ("x", base) in axes:
            return {"y": axes["y", base], "x": axes["x", base]}
    for y, x in _PAIRS:
        if y in named and x in named:
            return {"y": named[y], "x": named[x]}
    for fields, kinds in ((("y", "x", "y_end", "x_end"), _BOXES), (("y", "x", "box_height", "box_width"), _CORNERS)):
        for kind in kinds:
            if all(name in named for name in kind):
                return {field: named[name] for field, name in zip(fields, kind, strict=True)}
    return None
