"""Nuclei in the JSON of HoVer-Net, HoVer-NeXt and CellViT.

HoVer-Net     ``{"nuc": {id: {"centroid": [x, y], "type": 1, …}}}``, or the inner map alone
HoVer-NeXt    ``class_inst.json``: ``{id: [class, [y, x]]}``
CellViT       ``cells.json``, ``cell_detection.json``:
              ``{"type_map": {"1": "Neoplastic"}, "cells": [{"centroid": [x, y], "type": 1, …}]}``

A nucleus without a centroid is where its contour or its box ``[[top, left], [bottom, right]]`` is. Both programs may
say a scale: HoVer-Net ``"mag": 40``, CellViT ``"wsi_metadata": {"base_mpp": 0.25, "base_magnification": 40}``.
"""

from typing import Any

from cellscaper.disk.formats import outlines
from cellscaper.disk.formats.annotated import Gathered, SaidScale, said_scale
from cellscaper.disk.formats.class_names import UNCLASSIFIED
from cellscaper.disk.formats.reading import found


def is_hovernet(data: Any) -> bool:
    """Whether a JSON value has the look of HoVer-Net's or HoVer-NeXt's nuclei."""
    if not isinstance(data, dict):
        return False
    if "nuc" in data:
        return True
    first = next(iter(data.values()), None)
    return (isinstance(first, dict) and bool({"centroid", "contour", "bbox"} & set(first))) or _is_next(first)


def is_cellvit(data: Any) -> bool:
    """Whether a JSON value has the look of CellViT's cells."""
    return isinstance(data, dict) and isinstance(data.get("cells"), list)


def read_hovernet(data: Any) -> Gathered:
    """The nuclei of HoVer-Net or HoVer-NeXt; ValueError with the name of the first that cannot be read."""
    if not isinstance(data, dict):
        raise ValueError(f"it is {found(data)}, expected an object with nuclei")
    nuclei = data.get("nuc", data)
    if not isinstance(nuclei, dict):
        raise ValueError(f"nuc is {found(nuclei)}, expected an object with nuclei")
    names = _names(data.get("type_map", data.get("type_info")))
    out = Gathered()
    out.scale = _of_magnification(data.get("mag"), "mag")
    for number, (name, nucleus) in enumerate(nuclei.items()):
        try:
            if _is_next(nucleus):
                kind, (y, x) = nucleus
                out.add(y, x, names.get(str(kind), kind), number)
            else:
                _add(out, nucleus, names, number, f"nucleus {str(name)[:40]}")
        except (TypeError, LookupError, AttributeError, ValueError) as error:
            raise ValueError(f"nucleus {str(name)[:40]}: {error}") from error
    return out


def read_cellvit(data: Any) -> Gathered:
    """The cells of CellViT with the names of its ``type_map``; ValueError with the number of the first bad cell."""
    names = _names(data.get("type_map") or (data.get("wsi_metadata") or {}).get("label_map"))
    out = Gathered()
    out.scale = _of_slide(data.get("wsi_metadata"))
    for number, cell in enumerate(data["cells"]):
        try:
            _add(out, cell, names, number, f"cell {number}")
        except (TypeError, LookupError, AttributeError, ValueError) as error:
            raise ValueError(f"cell {number}: {error}") from error
    return out


def _add(out: Gathered, nucleus: Any, names: dict[str, str], number: int, entry: str) -> None:
    if not isinstance(nucleus, dict):
        raise ValueError(f"it is {found(nucleus)}, expected an object with a centroid")
    kind = nucleus.get("type", nucleus.get("type_name"))
    box = nucleus.get("bbox")
    if nucleus.get("centroid") is not None:
        x, y = nucleus["centroid"]
    elif nucleus.get("contour"):
        shape = outlines.outline(nucleus["contour"])
        if shape is None:
            raise ValueError("its contour has no corner")
        if not shape.area:
            out.leave(outlines.FLAT, entry)
            return
        x, y = shape.x, shape.y
    elif box:
        (top, left), (bottom, right) = box
        if top == bottom or left == right:
            out.leave(outlines.FLAT, entry)
            return
        y, x = (top + bottom) / 2, (left + right) / 2
    else:
        raise ValueError(
            f"it has no centroid, contour or bbox, only {', '.join(map(str, list(nucleus)[:5])) or 'nothing'}"
        )
    out.add(y, x, UNCLASSIFIED if kind is None else names.get(str(kind), kind), number)


def _of_slide(said: Any) -> SaidScale | None:
    """What CellViT says of the slide whose px the places of cells are: those of its largest level, not of patches."""
    if not isinstance(said, dict):
        return None
    mpp = _number(said.get("base_mpp"))
    if mpp is not None:
        return said_scale(mpp, f"base_mpp {mpp:g} of wsi_metadata")
    whole = _number(said.get("downsampling", 1)) == 1  # else the magnification may be that of the patches
    key = "base_magnification" if "base_magnification" in said or not whole else "magnification"
    return _of_magnification(said.get(key), f"{key} of wsi_metadata,")


def _of_magnification(value: Any, words: str) -> SaidScale | None:
    """µm a pixel by a magnification: 40× is about 0.25."""
    number = _number(value)
    return None if not number else said_scale(10 / number, f"{words} {number:g}", exact=False)


def _number(value: Any) -> float | None:
    """A number above 0, also as text; None for anything else."""
    try:
        number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else 0.0
    except (ValueError, OverflowError):
        return None
    return number if 0 < number < 1e9 else None


def _is_next(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[1], list) and len(value[1]) == 2


def _names(known: Any) -> dict[str, str]:
    """Names of the classes by number: ``{"1": "Neoplastic"}``, ``{"1": ["Neoplastic", [r, g, b]]}``, or by name."""
    if not isinstance(known, dict):
        return {}
    names = {}
    for key, value in known.items():
        value = value[0] if isinstance(value, list) and value else value
        value = value.get("name") if isinstance(value, dict) else value
        if isinstance(value, str):
            names[str(key)] = value
        elif isinstance(value, int) and not str(key).isdecimal():
            names[str(value)] = str(key)
    return names
