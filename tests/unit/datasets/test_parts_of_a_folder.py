"""Everything that looks like an image or a table is read, or counted and named."""

import gzip
import json
import os
import unicodedata

import pytest


def test_a_control_raises_no_complaint(world, tmp_path):
    world.save(tmp_path / "d/images")
    for i in range(world.n):
        world.table(tmp_path / f"d/dots/s_{i:02d}.csv", i)
    result = world.check(tmp_path / "d")
    assert world.right(result) and result.settings["mpp"] == 0.5
    assert not [line for line in result.complaints if "test windows" not in line]


@pytest.mark.parametrize("endings", [(".png", ".PNG", ".tif"), (".jpg", ".JPEG", ".TIFF"), (".bmp", ".png", ".Png")])
def test_mixed_endings_are_all_read(world, tmp_path, endings):
    (tmp_path / "d").mkdir()
    for i in range(world.n):
        world.image(i).save(tmp_path / f"d/s_{i:02d}{endings[i % 3]}")
        world.table(tmp_path / f"d/s_{i:02d}.csv", i)
    assert world.right(world.check(tmp_path / "d"))


def test_mixed_kinds_of_cells_are_all_read(world, tmp_path, feature):
    world.geojson(tmp_path / "d", lambda j, y, x, c: feature(x, y, classification={"name": c}))
    for i in (1, 4):
        (tmp_path / f"d/s_{i:02d}.geojson").unlink()
        world.table(tmp_path / f"d/s_{i:02d}.csv", i)
    assert world.right(world.check(tmp_path / "d"))


@pytest.mark.parametrize(
    ("image", "cells"),
    [
        ("p{0}/s_{1:02d}.png", "p{0}/s_{1:02d}.csv"),
        ("p{0}/HE/s_{1:02d}.png", "p{0}/cells/s_{1:02d}_cells.csv"),
        ("images/p{0}/s_{1:02d}.png", "labels/p{0}/s_{1:02d}.csv"),
        ("case_{1:02d}/image.png", "case_{1:02d}/cells.csv"),
        ("case_{1:02d}/image.png", "case_{1:02d}/case_{1:02d}.csv"),
        ("case_{1:02d}/images/case_{1:02d}.png", "case_{1:02d}/dots/dots.csv"),
        ("HE/s_{1:02d}.png", "out/s_{1:02d}/cells.csv"),
        ("s_{1:02d}.png", "s_{1:02d}.png.csv"),
        ("s_{1:02d}.png", "dots_s_{1:02d}.csv"),
        ("a [x]/{{b}}/s_{1:02d}.png", "a [x]/{{b}}/s_{1:02d}.csv"),
    ],
)
def test_nested_folders_are_read_whole(world, tmp_path, image, cells):
    for i in range(world.n):
        path = tmp_path / "d" / image.format(i % 3, i)
        path.parent.mkdir(parents=True, exist_ok=True)
        world.image(i).save(path)
        world.table(tmp_path / "d" / cells.format(i % 3, i), i)
    result = world.check(tmp_path / "d")
    assert world.right(result) and len(result.records) == 6


@pytest.mark.parametrize("folder", [".hidden/d", "HE [40x] {a}", "a b'c\"d", "Präparate", "*", "d?"])
def test_parents_of_any_name_are_read(world, tmp_path, folder):
    world.plain(tmp_path / folder)
    assert world.right(world.check(tmp_path / folder, "--mpp", "0.5"))


def test_hidden_files_inside_are_no_data(world, tmp_path):
    world.plain(tmp_path / "d")
    (tmp_path / "d/._s_00.png").write_bytes(b"resource fork")
    (tmp_path / "d/.cache").mkdir()
    world.image(0).save(tmp_path / "d/.cache/t.png")
    assert world.right(world.check(tmp_path / "d"))


def test_links_are_followed_once_and_end(world, tmp_path):
    world.plain(tmp_path / "far")
    (tmp_path / "d").mkdir()
    os.symlink(tmp_path / "far", tmp_path / "d/data")
    os.symlink(tmp_path / "d", tmp_path / "far/round")
    assert world.right(world.check(tmp_path / "d"))


@pytest.mark.parametrize(("one", "two"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_names_in_letters_of_both_forms_are_one(world, tmp_path, one, two):
    (tmp_path / "d/bilder ü").mkdir(parents=True)
    for i in range(world.n):
        world.image(i).save(tmp_path / "d/bilder ü" / unicodedata.normalize(one, f"é_{i}.png"))
        world.table(tmp_path / "d/dots" / unicodedata.normalize(two, f"é_{i}.csv"), i)
    (tmp_path / "d/train.txt").write_text("\n".join(f"é_{i}" for i in range(3)), encoding="utf-8")
    (tmp_path / "d/test.txt").write_text(unicodedata.normalize("NFD", "é_3\né_4\né_5"), encoding="utf-8")
    result = world.check(tmp_path / "d")
    assert world.right(result) and result.splits["é_5"] == "test"


def test_packed_files_are_read(world, tmp_path):
    world.save(tmp_path / "d")
    for i in range(world.n):
        rows = "\n".join(f"{y},{x},{c}" for y, x, c in world.cells(i))
        (tmp_path / f"d/s_{i:02d}.csv.gz").write_bytes(gzip.compress(f"y,x,class\n{rows}\n".encode()))
    assert world.right(world.check(tmp_path / "d"))
    (tmp_path / "d.yaml").unlink()
    (tmp_path / "d/s_00.csv.gz").write_bytes(gzip.compress(b"y,x,class\n1,2,tumor\n" * 50)[:-9])
    assert "packed with gzip and damaged" in world.check(tmp_path / "d").fault


def test_what_is_not_used_is_counted_and_named(world, tmp_path):
    world.plain(tmp_path / "d")
    world.save(tmp_path / "d/more", "t_{}.png", 3)
    world.image(0).save(tmp_path / "d/overview.tif")
    (tmp_path / "d/patients.csv").write_text("patient,age\na,60\nb,61\n")
    (tmp_path / "d/README.txt").write_text("Cells were marked by hand.\n")
    (tmp_path / "d/slide.svs").write_bytes(b"?")
    result = world.check(tmp_path / "d")
    assert world.right(result)
    assert result.complains("3 images are not used", "more/t_0.png")
    assert result.complains("1 image is not used (overview.tif)") or result.complains("overview.tif")
    assert result.complains("1 table is not used (patients.csv)") and result.complains("slide.svs")
    assert not result.complains("README")


def test_an_image_without_cells_beside_others_stops(world, tmp_path):
    world.plain(tmp_path / "d")
    (tmp_path / "d/s_03.csv").unlink()
    assert "1 image has no dot file, first s_03.png" in world.check(tmp_path / "d").fault


@pytest.mark.parametrize("column", ["image", "File Name", "slide_id", "Img"])
@pytest.mark.parametrize("entry", ["s_{:02d}.png", "s_{:02d}", "/data/HE/s_{:02d}.tif"])
def test_one_table_for_all_images(world, tmp_path, column, entry):
    world.save(tmp_path / "d/images")
    rows = [f"{entry.format(i)},{x},{y},{c}" for i in range(world.n) for y, x, c in world.cells(i)]
    (tmp_path / "d/all.csv").write_text(f"{column},x,y,class\n" + "\n".join(rows))
    assert world.right(world.check(tmp_path / "d"))


def test_cells_of_images_that_are_not_there_are_counted(world, tmp_path):
    world.save(tmp_path / "d/images")
    rows = [f"s_{i:02d},{x},{y},{c}" for i in range(world.n) for y, x, c in world.cells(i)]
    (tmp_path / "d/all.csv").write_text("image,x,y,class\n" + "\n".join([*rows, "t_01,1,1,tumor", "t_01,9,9,tumor"]))
    result = world.check(tmp_path / "d")
    assert world.right(result) and result.complains("2 cells", "t_01", "left out")


def test_a_table_for_all_images_that_lacks_one_stops(world, tmp_path):
    world.save(tmp_path / "d/images")
    rows = [f"s_{i:02d},{x},{y},{c}" for i in range(5) for y, x, c in world.cells(i)]
    (tmp_path / "d/all.csv").write_text("image,x,y,class\n" + "\n".join(rows))
    assert "1 image has no dot file" in world.check(tmp_path / "d").fault


def test_an_empty_file_says_that_an_image_of_one_table_has_no_cell(world, tmp_path):
    world.save(tmp_path / "d/images")
    rows = [f"s_{i:02d},{x},{y},{c}" for i in range(5) for y, x, c in world.cells(i)]
    (tmp_path / "d/all.csv").write_text("image,x,y,class\n" + "\n".join(rows))
    fault = world.check(tmp_path / "d").fault
    assert "all.csv does not name it, first images/s_05.png; if it has no cell, put an empty file s_05.csv" in fault
    (tmp_path / "d/images/s_05.csv").touch()
    result = world.check(tmp_path / "d")
    assert not result.fault and len(result.records) == 6 and result.cells == 5 * 90
    assert result.complains("1 image is without a cell", "images/s_05.csv has none")


def test_an_empty_file_beside_one_file_of_another_kind(world, tmp_path):
    world.save(tmp_path / "d")
    images = [{"id": i, "file_name": f"s_{i:02d}.png", "height": 168, "width": 196} for i in range(5)]
    cells = [{"id": 100 * i + j, "image_id": i, "category_id": int(c == "tumor"), "bbox": [x - 4, y - 6, 8, 12]}
             for i in range(5) for j, (y, x, c) in enumerate(world.cells(i))]  # fmt: skip
    names = [{"id": 0, "name": "lymphocyte"}, {"id": 1, "name": "tumor"}]
    data = {"images": images, "annotations": cells, "categories": names}
    (tmp_path / "d/coco.json").write_text(json.dumps(data))
    (tmp_path / "d/s_05.csv").touch()
    result = world.check(tmp_path / "d")
    assert not result.fault and len(result.records) == 6 and result.cells == 5 * 90


def test_one_geojson_of_all_images_that_names_none_says_so(world, tmp_path, feature):
    world.save(tmp_path / "d/images")
    cells = [feature(x, y, classification={"name": c}) for i in range(6) for y, x, c in world.cells(i)]
    (tmp_path / "d/all.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": cells}))
    fault = world.check(tmp_path / "d").fault
    assert "all.geojson is not: 540 cells are in it, and nothing says of which image" in fault


def test_coco_of_each_split_beside_the_images(world, tmp_path):
    for split, part in (("train", range(3)), ("valid", range(3, 4)), ("test", range(4, 6))):
        world_images = []
        found = []
        for i in part:
            (tmp_path / "d" / split).mkdir(parents=True, exist_ok=True)
            world.image(i).save(tmp_path / f"d/{split}/s_{i:02d}.png")
            world_images.append({"id": i, "file_name": f"s_{i:02d}.png", "height": 168, "width": 196})
            found += [
                {"id": len(found), "image_id": i, "category_id": int(c == "tumor"), "bbox": [x - 4, y - 6, 8, 12]}
                for y, x, c in world.cells(i)
            ]
        names = [{"id": 0, "name": "lymphocyte"}, {"id": 1, "name": "tumor"}]
        data = {"images": world_images, "annotations": found, "categories": names}
        (tmp_path / f"d/{split}/_annotations.coco.json").write_text(json.dumps(data))
    result = world.check(tmp_path / "d")
    assert world.right(result)
    assert result.splits == {f"s_{i:02d}": "train" if i < 3 else "val" if i == 3 else "test" for i in range(6)}


def test_a_folder_without_cells_is_named_where_the_check_stops(world, tmp_path):
    for i in range(world.n):
        path = tmp_path / "d" / ("train" if i < 4 else "test") / f"s_{i:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        world.image(i).save(path)
        if i < 4:
            world.table(path.with_suffix(".csv"), i)
    assert "2 more images have no file of cells, first test/s_04.png" in world.check(tmp_path / "d").fault


def test_the_same_unused_file_of_many_folders_is_one_line(world, tmp_path):
    for i in range(world.n):
        part = tmp_path / f"d/region{i}"
        part.mkdir(parents=True)
        world.image(i).save(part / "he.png")
        world.table(part / "cells.csv", i)
        (part / "cell_groups.csv").write_text("cell_id,group,colour\n1,a,#111111\n")
    found = world.check(tmp_path / "d")
    assert world.right(found) and found.complains("6 tables are not used (first region0/cell_groups.csv")


def test_links_that_lead_nowhere_and_pipes_are_counted(world, tmp_path):
    folder = world.plain(tmp_path / "d")
    for name in ("b.png", "c.tif", "old.csv", "notes.md"):
        (folder / name).symlink_to("/nowhere/at/all")
    os.mkfifo(folder / "pipe.csv")  # reading it would not end
    found = world.check(folder)
    assert world.right(found) and found.complains("4 links are not used", "lead nowhere")
    (tmp_path / "d.yaml").unlink()
    (folder / "s_03.csv").unlink()
    (folder / "s_03.csv").symlink_to("/nowhere/s_03.csv")
    assert "1 image has no dot file, first s_03.png" in world.check(folder).fault


def test_a_list_of_a_split_that_leads_nowhere_stops(world, tmp_path):
    folder = world.plain(tmp_path / "d")
    (folder / "train.txt").symlink_to("/nowhere/at/all")
    assert "train.txt is a link that leads nowhere" in world.check(folder).fault
