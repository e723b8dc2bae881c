"""What check tells or asks: outlines without area, lines without a place, images without cells, scales, columns."""

import json
from collections import Counter

import pytest

from cellscaper.datasets.odd_classes import odd
from cellscaper.disk.formats.annotations import format_of, read_annotated

FLAT = [[0, 0], [0, 0], [0, 0], [0, 0]]
LINE = [[1, 1], [5, 5], [9, 9], [1, 1]]
GOOD = [[1, 1], [5, 1], [5, 5], [1, 1]]


def geo(ring):
    return {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": {"class": "a"}}


def vertices(ring):
    return "<Region>" + "".join(f'<Vertex X="{x}" Y="{y}"/>' for x, y in ring) + "</Region>"


RINGS = (GOOD, FLAT, LINE)
FILES = {
    "x.geojson": (json.dumps([geo(ring) for ring in RINGS]), "feature 1"),
    "labelme.json": (json.dumps({"shapes": [{"label": "a", "points": ring[:3]} for ring in RINGS]}), "shape 1"),
    "hovernet.json": (json.dumps({"nuc": {str(i): {"contour": ring} for i, ring in enumerate(RINGS)}}), "nucleus 1"),
    "coco.json": (json.dumps({"images": [{"id": 1, "file_name": "a.png"}], "categories": [{"id": 1, "name": "a"}],
                              "annotations": [{"image_id": 1, "category_id": 1, "bbox": [0, 0, side, side]} if box else
                                              {"image_id": 1, "category_id": 1, "segmentation": [ring]}
                                              for box, side, ring in ((1, 4, 0), (1, 0, 0), (0, 0, [1, 1, 5, 5, 9, 9])
                                              )]}),
                  "annotation 1"),
    "x_cp_outlines.txt": ("".join(",".join(str(v) for place in ring for v in place) + "\n" for ring in RINGS),
                          "line 2"),
    "x.xml": ("<Annotations><Annotation>" + "".join(map(vertices, RINGS)) + "</Annotation></Annotations>", "shape 2"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_outlines_and_boxes_without_area_are_counted_and_named(tmp_path, name):
    text, first = FILES[name]
    (tmp_path / name).write_text(text)
    found = read_annotated(tmp_path / name, format_of(tmp_path / name))
    assert len(found.points) == 1
    assert found.left_out() == [f"2 outlines without area are left out, first {first}"]


def test_dots_of_asap_are_points(tmp_path):
    text = "".join(f'<Annotation Type="{kind}"><Coordinates>{places}</Coordinates></Annotation>' for kind, places in (
        ("Dot", '<Coordinate X="1" Y="2"/>'),
        ("PointSet", '<Coordinate X="3" Y="4"/><Coordinate X="30" Y="4"/><Coordinate X="3" Y="40"/>'),
    ))  # fmt: skip
    (tmp_path / "x.xml").write_text(f"<ASAP_Annotations>{text}</ASAP_Annotations>")
    assert read_annotated(tmp_path / "x.xml", "xml").points.tolist() == [[2, 1], [4, 3], [4, 30], [40, 3]]


@pytest.mark.parametrize("header", ["y,x,class", "Centroid Y µm,Centroid X µm,class"])
@pytest.mark.parametrize("lost", ["y", "x"])
def test_a_missing_coordinate_is_left_out_in_any_unit(world, tmp_path, header, lost):
    folder, factor = world.plain(tmp_path / "d"), 0.5 if "µm" in header else 1
    for i in range(world.n):
        rows = [[y * factor, x * factor, c] for y, x, c in world.cells(i)]
        rows[3]["yx".index(lost)] = "" if i else "NaN"
        (folder / f"s_{i:02d}.csv").write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]))
    result = world.check(folder, "--mpp", "0.5")
    assert result.cells == world.total() - world.n
    assert result.complains(f"{world.n} lines without a place are left out, first line 5 of s_00.csv")


def write_json(world, folder, **more):
    for i in range(world.n):
        cells = [{"centroid": [x, y], "type": c} for y, x, c in world.cells(i)]
        (folder / f"s_{i:02d}.json").write_text(json.dumps({**more, "cells": cells}))


def test_an_image_whose_file_has_no_cell_is_named(world, tmp_path):
    folder = tmp_path / "d"
    world.save(folder)
    write_json(world, folder)
    (folder / "s_02.json").write_text(json.dumps({"cells": []}))
    result = world.check(folder)
    assert result.complains("1 image is without a cell, first s_02.png, of which s_02.json has none")


def test_what_files_of_cells_say_of_the_scale_is_evidence(world, tmp_path):
    folder = tmp_path / "d"
    world.save(folder)
    write_json(world, folder, wsi_metadata={"base_mpp": 0.4952, "target_patch_mpp": 0.25})
    assert world.check(folder).settings["mpp"] == 0.4952
    result = world.check(folder, "--mpp", "0.9")
    assert result.settings["mpp"] == 0.9 and result.complains("--mpp 0.9 is given, but s_00.json says 0.495 µm a pixel")
    write_json(world, folder, wsi_metadata={"base_magnification": 40})
    assert world.check(folder).complains("the scale is not certain", "base_magnification of wsi_metadata, 40")


def test_columns_of_folders_without_tables_stop(world, tmp_path):
    folder = tmp_path / "d"
    world.save(folder)
    write_json(world, folder)
    assert (
        "cells are in cellvit files, first s_00.json; leave --columns out"
        in world.check(folder, "--columns", "y,x,class").fault
    )


def tables(world, folder, names):
    for i in range(world.n):
        rows = [",".join([str(y), str(x), c, "abc"[k % 3], "de"[k // 2 % 2]])
                for k, (y, x, c) in enumerate(world.cells(i))]  # fmt: skip
        (folder / f"s_{i:02d}.csv").write_text("\n".join([",".join(["y", "x", *names]), *rows]))


@pytest.mark.parametrize(
    "names", [("class", "cell_type", "phenotype"), ("cell_type", "phenotype", "cluster"), ("label", "group", "cluster")]
)
def test_several_columns_that_may_hold_the_class_are_a_question_with_its_answer(world, tmp_path, names):
    folder = world.plain(tmp_path / "d")
    tables(world, folder, names)
    fault = world.check(folder).fault
    sure = names[:2] if "cluster" in names and "cell_type" in names else names
    assert all(repr(name) in fault for name in sure) and f"say --columns y=y,x=x,class={names[0]}" in fault
    assert world.check(folder, "--columns", f"y=y,x=x,class={names[0]}").counts == world.counts()


def test_the_only_sure_name_is_taken_and_the_others_are_named(world, tmp_path):
    folder = world.plain(tmp_path / "d")
    tables(world, folder, ("class", "cluster", "group"))
    result = world.check(folder)
    assert result.counts == world.counts() and result.complains("the class is column 'class', it could be 'cluster'")


def test_other_properties_that_may_hold_the_class_are_named(tmp_path):
    listed = [{**geo(GOOD), "properties": {"class": "ab"[i % 2], "phenotype": "cd"[i // 2 % 2], "label": "xy"[i % 2]}}
              for i in range(8)]  # fmt: skip
    (tmp_path / "x.geojson").write_text(json.dumps(listed))
    note = "the class is the property 'class', no feature has a classification; it could be 'phenotype': name the right"
    assert any(told.startswith(note) for told in read_annotated(tmp_path / "x.geojson", "geojson").notes)


def test_a_class_with_a_blank_can_be_pasted(world, tmp_path):
    folder = world.plain(tmp_path / "d")
    for i in range(world.n):
        cells = [(y, x, "Immune cells" if c == "tumor" else c) for y, x, c in world.cells(i)]
        world.table(folder / f"s_{i:02d}.csv", i, cells=cells)
    assert "add 'Immune cells=NAME', or 'Immune cells='" in world.check(folder, "--classes", "lymphocyte=a").fault


def classes(*numbers):
    return Counter(dict.fromkeys(map(str, numbers), 9))


def test_numbers_beside_names_as_classes_are_told():
    names = {f"{i}": Counter(a=5, b=5) if i % 2 else classes(1, 2) for i in range(6)}
    said = odd(names, {image: f"{image}.csv" for image in names})
    assert said is not None and "3 images have numbers as classes, first 0.csv, and 3 names, first 1.csv" in said


def test_numbers_that_begin_at_two_places_are_told():
    names = {f"{i}": classes(0, 1, 2) if i % 2 else classes(1, 2, 3) for i in range(6)}
    said = odd(names, {image: f"{image}.csv" for image in names})
    assert said is not None and "3 have 0, first 1.csv, the other 3 3, first 0.csv" in said
    names["0"] = classes(0, 3)
    assert odd(names, {image: f"{image}.csv" for image in names}) is None


def test_pictures_in_a_folder_of_overlays_are_told(world, tmp_path):
    folder = tmp_path / "d"
    world.save(folder / "overlay")
    for i in range(world.n):
        world.table(folder / f"dots/s_{i:02d}.csv", i)
    assert world.check(folder).complains("6 images are in a folder of drawn pictures", "give the originals")


def test_a_configuration_in_the_folder_is_no_evidence_of_the_scale(world, tmp_path):
    folder = world.plain(tmp_path / "d")
    first = world.check(folder)
    (tmp_path / "d.yaml").rename(folder / "own.yaml")
    second = world.check(folder)
    assert "guessed" in first.said and "guessed" in second.said


def test_a_dot_file_of_an_ome_tiff_lacks_both_endings(world, tmp_path):
    folder = tmp_path / "d"
    world.save(folder, "s_{:02d}.ome.tif")
    for i in range(world.n):
        world.table(folder / f"s_{i:02d}.csv", i)
    assert world.right(world.check(folder))
