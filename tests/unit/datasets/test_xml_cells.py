"""Cells in the XML of annotation programs, as the check reads them."""

import pytest

from cellscaper.disk.export import read
from cellscaper.disk.formats.facts import Given
from cellscaper.disk.formats.xml_cells import read_xml
from cellscaper.errors import CellscaperError


def box(y, x, r=4):
    return [(x - r, y - r), (x + r, y - r), (x + r, y + r), (x - r, y + r)]


def aperio(cells, i):
    def regions(kind):
        return "".join(
            "<Region Id='1'><Vertices>"
            + "".join(f'<Vertex X="{a}" Y="{b}"/>' for a, b in box(y, x))
            + "</Vertices></Region>"
            for y, x, c in cells
            if c == kind
        )

    inner = "".join(
        f'<Annotation Name="{kind}"><Regions>{regions(kind)}</Regions></Annotation>' for kind in {c for *_, c in cells}
    )
    return f'<Annotations MicronsPerPixel="0.5">{inner}</Annotations>'


def asap(cells, i):
    inner = "".join(
        f'<Annotation Name="a" Type="Dot" PartOfGroup="{c}"><Coordinates><Coordinate Order="0" X="{x}" Y="{y}"/>'
        "</Coordinates></Annotation>"
        for y, x, c in cells
    )
    return f"<?xml version='1.0'?><ASAP_Annotations><Annotations>{inner}</Annotations></ASAP_Annotations>"


def voc(cells, i):
    inner = "".join(
        f"<object><name>{c}</name><bndbox><xmin>{x - 4}</xmin><ymin>{y - 6}</ymin><xmax>{x + 4}</xmax>"
        f"<ymax>{y + 6}</ymax></bndbox></object>"
        for y, x, c in cells
    )
    size = "<size><width>196</width><height>168</height><depth>3</depth></size>"
    return f"<annotation><filename>s_{i:02d}.png</filename>{size}{inner}</annotation>"


def counter(cells, i):
    kinds = sorted({c for *_, c in cells})
    inner = "".join(
        f"<Marker_Type><Type>{k + 1}</Type><Name>{kind}</Name>"
        + "".join(f"<Marker><MarkerX>{x}</MarkerX><MarkerY>{y}</MarkerY></Marker>" for y, x, c in cells if c == kind)
        + "</Marker_Type>"
        for k, kind in enumerate(kinds)
    )
    name = f"<Image_Properties><Image_Filename>s_{i:02d}.png</Image_Filename></Image_Properties>"
    return f"<CellCounter_Marker_File>{name}<Marker_Data>{inner}</Marker_Data></CellCounter_Marker_File>"


@pytest.mark.parametrize("write", [aperio, asap, voc, counter])
def test_a_file_for_each_image(world, tmp_path, write):
    world.save(tmp_path / "d/images")
    (tmp_path / "d/Annotations").mkdir()
    for i in range(world.n):
        (tmp_path / f"d/Annotations/s_{i:02d}.xml").write_text(write(world.cells(i), i))
    assert world.right(world.check(tmp_path / "d"))
    found = read(tmp_path / "d/Annotations/s_00.xml", Given(world.size, 0.5, None))
    assert len(found.points) == len(world.cells(0)) and tuple(found.size[0]) == world.size


def test_a_file_of_cvat_for_all_images(world, tmp_path):
    world.save(tmp_path / "d/images")
    shapes = [
        lambda y, x, c: f'<points label="{c}" points="{x},{y}"/>',
        lambda y, x, c: f'<box label="{c}" xtl="{x - 4}" ytl="{y - 4}" xbr="{x + 4}" ybr="{y + 4}"/>',
        lambda y, x, c: f'<polygon label="{c}" points="' + ";".join(f"{a},{b}" for a, b in box(y, x)) + '"/>',
        lambda y, x, c: f'<ellipse label="{c}" cx="{x}" cy="{y}" rx="4" ry="4"/>',
    ]
    inner = "".join(
        f'<image id="{i}" name="s_{i:02d}.png" width="196" height="168">'
        + "".join(shapes[k % 4](y, x, c) for k, (y, x, c) in enumerate(world.cells(i)))
        + '<polyline label="vessel" points="1,1;2,2"/></image>'
        for i in range(world.n)
    )
    (tmp_path / "d/annotations.xml").write_text(f"<annotations><version>1.1</version>{inner}</annotations>")
    found = world.check(tmp_path / "d")
    assert world.right(found) and found.complains("6 shapes of kind polyline are left out")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<html/>", "outermost element is html"),
        ("<annotation><object></object></annotation>", "has no bndbox/xmin"),
        (
            "<Annotations><Annotation><Region><Vertex X='a' Y='1'/></Region></Annotation></Annotations>",
            "could not convert",
        ),
        ("<annotations><image/></annotations>", "no name"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><annotation/>", "entities"),
        ("<annotation>", "no element|mismatched|not well"),
    ],
)
def test_other_xml_is_told_in_one_line(tmp_path, text, words):
    (tmp_path / "a.xml").write_text(text)
    with pytest.raises(CellscaperError, match=words):
        read(tmp_path / "a.xml", Given((9, 9), 0.5, None))


def test_regions_and_holes_are_counted():
    cells = [(20.0 * k, 20.0 * k, "a") for k in range(1, 9)]
    big = (
        "<Region><Vertices>"
        + "".join(f'<Vertex X="{a}" Y="{b}"/>' for a, b in box(100, 100, 99))
        + "</Vertices></Region>"
    )
    hole = big.replace("<Region>", '<Region NegativeROA="1">')
    text = aperio(cells, 0).replace(
        "</Annotations>", f"<Annotation><Regions>{big}{hole}</Regions></Annotation></Annotations>"
    )
    found = read_xml(text)
    assert len(found.points) == 8 and found.left == {"holes": 1, "regions around cells": 1}
