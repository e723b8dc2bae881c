"""A folder whose cells or images are of a kind that is not read: the line names the kind, and what to save instead."""

import json

import pytest

from cellscaper.disk.export import read
from cellscaper.disk.formats import other_kinds
from cellscaper.errors import CellscaperError

FILES = {
    "Cellpose": ("s_{:02d}_seg.npy", b"\x93NUMPY", "save its masks"),
    "ImageJ": ("s_{:02d}_RoiSet.zip", b"PK\3\4", "centroids"),
    "TIAToolbox": ("s_{:02d}.db", b"SQLite format 3", "to_geojson"),
    "TIAToolbox, old": ("s_{:02d}.dat", b"\x80\4", "to_geojson"),
    "Excel": ("s_{:02d}.xlsx", b"PK\3\4", "CSV UTF-8"),
    "Parquet": ("s_{:02d}.parquet", b"PAR1", "read_parquet"),
    "R": ("s_{:02d}.rds", b"\x1f\x8b", "write.csv"),
    "pickle": ("s_{:02d}.pkl", b"\x80\4", "not opened"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_kind_that_is_not_read_is_named_with_what_to_save_instead(world, tmp_path, name):
    pattern, content, words = FILES[name]
    world.save(tmp_path / "d")
    for i in range(world.n):
        (tmp_path / "d" / pattern.format(i)).write_bytes(content)
    (tmp_path / "d/train.txt").write_text("s_00\ns_01\n")  # a list is no reason
    fault = world.check(tmp_path / "d").fault
    assert words in fault and pattern.format(0) in fault
    with pytest.raises(CellscaperError, match=words):
        read(tmp_path / "d" / pattern.format(0))


JSON = {
    "COCO's results": [{"image_id": 1, "category_id": 2, "bbox": [1, 2, 3, 4], "score": 0.5}],
    "Label Studio": [{"id": 1, "data": {"image": "s_00.png"}, "annotations": [{"result": []}]}],
    "VGG Image Annotator": {"s_00.png123": {"filename": "s_00.png", "size": 123, "regions": []}},
}


@pytest.mark.parametrize("name", JSON)
def test_json_of_labelling_programs_is_named(world, tmp_path, name):
    words = {"COCO's results": "results of COCO"}.get(name, name)
    world.save(tmp_path / "d")
    (tmp_path / "d/project.json").write_text(json.dumps(JSON[name]))
    assert words in world.check(tmp_path / "d").fault
    with pytest.raises(CellscaperError, match=words):
        read(tmp_path / "d/project.json")


@pytest.mark.parametrize(("name", "words"), [("a.svs", "whole slide"), ("images.npy", "NumPy"), ("a.webp", "as PNG")])
def test_a_folder_without_images_says_what_is_there(world, tmp_path, name, words):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / name).write_bytes(b"II*\0")
    (tmp_path / "d/a.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    fault = world.check(tmp_path / "d").fault
    assert "holds no image" in fault and name in fault and words in fault


def test_a_table_of_other_images_says_what_it_calls_them(world, tmp_path):
    world.save(tmp_path / "d", "{:03d}.png")
    rows = [f"{i},{y},{x},{c}" for i in range(world.n) for y, x, c in world.cells(i)]
    (tmp_path / "d/cells.csv").write_text("\n".join(["image,y,x,class", *rows]))  # a spreadsheet ate the zeros
    assert "column 'image' of cells.csv has '0', '1', '2', …" in world.check(tmp_path / "d").fault


def test_spots_are_no_cells(world, tmp_path):
    world.save(tmp_path / "d", n=1)
    (tmp_path / "d/s_00.csv").write_text(
        "barcode,in_tissue,array_row,array_col,pxl_row_in_fullres,pxl_col_in_fullres\nA-1,1,3,4,30,40\n"
    )
    assert "spots of Visium" in world.check(tmp_path / "d").fault


def test_files_of_classes_or_cells_of_their_own_are_told_to_be_joined(world, tmp_path):
    world.save(tmp_path / "d")
    for i in range(world.n):
        for kind_of_cell in ("lymphocyte", "tumor"):
            own = [one for one in world.cells(i) if one[2] == kind_of_cell]
            world.table(tmp_path / f"d/s_{i:02d}_{kind_of_cell}.csv", i, "y,x", "{y},{x}", own)
    assert "put them into one file, a table with a column class" in world.check(tmp_path / "d").fault


def test_cells_that_cannot_be_placed_are_counted_where_none_is_left(world, tmp_path):
    world.save(tmp_path / "d")
    one = {"image_id": 0, "category_id": 1, "segmentation": {"counts": "ab", "size": [168, 196]}}
    data = {
        "images": [{"id": 0, "file_name": "s_00.png"}],
        "categories": [{"id": 1, "name": "a"}],
        "annotations": [one],
    }
    (tmp_path / "d/cells.json").write_text(json.dumps(data))
    assert "1 annotation without a box" in world.check(tmp_path / "d").fault


def test_every_kind_says_what_to_do(tmp_path):
    for ending in (*other_kinds._BY_ENDING, *other_kinds.SLIDES):
        told = other_kinds.kind(tmp_path / f"a{ending}")
        assert ": " in told and len(told) < 180
    assert other_kinds.kind(tmp_path / "a.csv") is None
