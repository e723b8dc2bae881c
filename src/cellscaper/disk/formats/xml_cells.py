"""Cells in the XML of annotation programs: points, and the centres of outlines and boxes.

Aperio ImageScope (MoNuSeg)  ``<Annotations><Annotation Name><Regions><Region><Vertices><Vertex X Y>``
HALO (``.annotations``)      the same with ``<V X Y>``, and words for ImageScope's numbers of types
ASAP                         ``<ASAP_Annotations>…<Annotation Type PartOfGroup><Coordinates><Coordinate X Y>``
CVAT                         ``<annotations><image name width height><points label points>``, also box, polygon, ellipse
Pascal VOC                   ``<annotation><filename><object><name><bndbox><xmin>…``
ImageJ's Cell Counter        ``<CellCounter_Marker_File>…<Marker_Type><Type><Marker><MarkerX>…``
"""

import re
from collections.abc import Callable, Iterable
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from cellscaper.disk.formats import outlines
from cellscaper.disk.formats.annotated import Gathered, SaidScale, said_scale
from cellscaper.disk.formats.class_names import is_object_number
from cellscaper.disk.formats.outlines import Shape

_Cell = tuple[Shape, str | None, str | None]  # shape, class, image
_BY_CORNERS = ("1", "2", "rectangle", "ellipse")  # types of regions with two vertices
_OBJECT = re.compile(r"(?:(?:cell|nucleus|nuclei|object|region|roi|id|no|nr)\W*|#\s*)\d+", re.I)


def read_xml(text: str) -> Gathered:
    """The cells of a file; ValueError for another kind of XML and with what cannot be read."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError("it defines entities, which files of annotations do not need")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ValueError(str(error)) from error
    read = _READERS.get(root.tag)
    if read is None:
        raise ValueError(f"its outermost element is {root.tag[:40]}, expected one of {', '.join(_READERS)}")
    out = Gathered()
    cells = read(root, out)
    out.scale = _scale(root)
    large = outlines.of_each_image(
        [image for _, _, image in cells], lambda own: outlines.regions([cells[k][0] for k in own])
    )
    if large:
        out.left["regions around cells"] += len(large)
    for number, (shape, name, image) in enumerate(cells):
        if number not in large:
            out.add(shape.y, shape.x, name, number, image)
    return out


def _scale(root: Element) -> SaidScale | None:
    """What ImageScope and the Cell Counter say of µm a pixel."""
    said = root.get("MicronsPerPixel"), "MicronsPerPixel"
    unit = root.findtext("Image_Properties/Calibration_Unit", "").strip().lower()
    if unit in ("micron", "microns", "um", "µm", "μm"):
        said = root.findtext("Image_Properties/X_Calibration"), "X_Calibration"
    try:
        value = float((said[0] or "").replace(",", "."))
    except ValueError:
        return None
    return said_scale(value, f"{said[1]} {value:g}")


def _aperio(root: Element, out: Gathered) -> list[_Cell]:
    found: list[_Cell] = []
    texts = [region.get("Text", "").strip() for region in root.iter("Region")]
    noted = _number_objects(text for text in texts if text)
    if noted:
        out.notes.append("the texts of the regions number the objects or annotate them one by one: they are no classes")
    for annotation in root.iter("Annotation"):
        name = annotation.get("Name") or _attribute(annotation)
        for region in annotation.iter("Region"):
            if region.get("NegativeROA") == "1":
                out.left["holes"] += 1
                continue
            corners = [[_number(one, "X"), _number(one, "Y")] for one in region.iter() if one.tag in ("Vertex", "V")]
            if len(corners) == 2 and region.get("Type", "").lower() in _BY_CORNERS:  # of a box, or around an ellipse
                corners = _box(*corners[0], *corners[1])
            _add(found, out, corners, name if noted else region.get("Text", "").strip() or name)
    return found


def _number_objects(texts: Iterable[str]) -> bool:
    """Whether texts say which object each one is, not of which class: nearly each differs, or all are as ``cell 7``."""
    listed = list(texts)
    numbered = bool(listed) and all(_OBJECT.fullmatch(text) for text in listed)
    return is_object_number(listed) or (numbered and len(set(listed)) == len(listed))


def _attribute(annotation: Element) -> str | None:
    """The class that a layer of ImageScope has as attribute: its name (MoNuSAC), or the value of the Description."""
    for one in annotation.findall("Attributes/Attribute"):
        name = one.get("Name", "").strip()
        told = one.get("Value", "").strip() if name.lower() in ("description", "class", "label", "") else name
        if told:
            return told
    return None


def _box(left: float, top: float, right: float, bottom: float) -> list[list[float]]:
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


def _asap(root: Element, out: Gathered) -> list[_Cell]:
    found: list[_Cell] = []
    for annotation in root.iter("Annotation"):
        corners = [[_number(one, "X"), _number(one, "Y")] for one in annotation.iter("Coordinate")]
        group = annotation.get("PartOfGroup")
        points = annotation.get("Type") in ("Dot", "PointSet")
        for part in [[corner] for corner in corners] if points else [corners]:
            _add(found, out, part, None if group == "None" else group)
    return found


def _cvat(root: Element, out: Gathered) -> list[_Cell]:
    found: list[_Cell] = []
    for image in root.iter("image"):
        name = image.get("name")
        if not name:
            raise ValueError("an image has no name")
        height, width = image.get("height"), image.get("width")
        known = height is not None and width is not None and height.isdecimal() and width.isdecimal()
        out.sizes[name] = (int(height), int(width)) if known else None  # type: ignore[arg-type]
        for one in image:
            label = one.get("label")
            if one.tag == "points":
                for place in _places(one.get("points", "")):
                    found.append((outlines.point(place), label, name))
            elif one.tag == "polygon":
                _add(found, out, _places(one.get("points", "")), label, name)
            elif one.tag == "box":
                box = _box(*(_number(one, key) for key in ("xtl", "ytl", "xbr", "ybr")))
                _add(found, out, box, label, name)
            elif one.tag == "ellipse":
                found.append((outlines.point([_number(one, "cx"), _number(one, "cy")]), label, name))
            elif label is not None:
                out.left[f"shapes of kind {one.tag[:20]}"] += 1
    return found


def _voc(root: Element, out: Gathered) -> list[_Cell]:
    found: list[_Cell] = []
    size = [root.findtext(f"size/{key}", "").strip() for key in ("height", "width")]
    if file := root.findtext("filename", "").strip():
        out.sizes[file] = (int(size[0]), int(size[1])) if all(one.isdecimal() and int(one) for one in size) else None
    for one in root.iter("object"):
        box = _box(*(_text(one, f"bndbox/{key}") for key in ("xmin", "ymin", "xmax", "ymax")))
        _add(found, out, box, one.findtext("name"))
    return found


def _counter(root: Element, out: Gathered) -> list[_Cell]:
    found: list[_Cell] = []
    if file := root.findtext("Image_Properties/Image_Filename", "").strip():
        out.sizes[file] = None
    for kind in root.iter("Marker_Type"):
        name = kind.findtext("Name") or kind.findtext("Type")
        found += [
            (outlines.point([_text(one, "MarkerX"), _text(one, "MarkerY")]), name, None) for one in kind.iter("Marker")
        ]
    return found


_READERS: dict[str, Callable[[Element, Gathered], list[_Cell]]] = {
    "Annotations": _aperio, "ASAP_Annotations": _asap, "annotations": _cvat, "annotation": _voc,
    "CellCounter_Marker_File": _counter,
}  # fmt: skip


def _add(
    found: list[_Cell], out: Gathered, corners: list[list[float]], name: str | None, image: str | None = None
) -> None:
    shape = outlines.point(corners[0]) if len(corners) == 1 else outlines.outline(corners)
    entry = f"shape {len(found) + sum(out.left.values()) + 1}"
    if shape is None:
        out.leave("shapes without a point", entry)
    elif not (shape.area or shape.is_point):
        out.leave(outlines.FLAT, entry)
    else:
        found.append((shape, name, image))


def _places(text: str) -> list[list[float]]:
    return [[float(value) for value in place.split(",")] for place in text.split(";") if place.strip()]


def _number(one: Element, key: str) -> float:
    value = one.get(key)
    if value is None:
        raise ValueError(f"a {one.tag[:20]} has no {key}")
    return _plain(value)


def _text(one: Element, path: str) -> float:
    value = one.findtext(path)
    if value is None:
        raise ValueError(f"a {one.tag[:20]} has no {path}")
    return _plain(value)


def _plain(text: str) -> float:
    return float(text.replace(",", "."))  # ASAP and ImageScope write decimal commas in some countries
