"""Splits that the files of cells say: in columns of tables, in obs of .h5ad, in properties of GeoJSON."""

import json

import h5py
import numpy as np
import pytest

SPLIT = {"train": range(3), "val": range(3, 4), "test": range(4, 6)}
RIGHT = {f"s_{i:02d}": split for split, part in SPLIT.items() for i in part}


def split_of(i):
    return RIGHT[f"s_{i:02d}"]


def of_all(world, folder, split, head="image,split,x,y,class"):
    """One table of all cells; ``split(i, j)`` is that of cell j of image i."""
    world.save(folder)
    rows = [f"s_{i:02d},{split(i, j)},{x},{y},{c}" for i in range(world.n)
            for j, (y, x, c) in enumerate(world.cells(i))]  # fmt: skip
    (folder / "cells.csv").write_text("\n".join([head, *rows, f"t_09,{split(0, 0)},5,5,tumor"]), encoding="utf-8")
    return folder


@pytest.mark.parametrize("column", ["split", "Data set", "subset"])
@pytest.mark.parametrize("called", [{}, {"train": "Training", "val": "valid", "test": "TEST"}])
def test_a_column_of_splits_in_the_table_of_all_cells(world, tmp_path, column, called):
    folder = of_all(world, tmp_path / "d", lambda i, j: called.get(RIGHT[f"s_{i:02d}"], RIGHT[f"s_{i:02d}"]),
                    f"image,{column},x,y,class")  # fmt: skip
    result = world.check(folder)
    assert world.right(result) and result.splits == RIGHT and result.complains("1 cell", "t_09")


def test_an_image_in_two_splits_of_the_table_of_all_cells_stops(world, tmp_path):
    folder = of_all(world, tmp_path / "d", lambda i, j: "test" if i == 2 and j == 3 else RIGHT[f"s_{i:02d}"])
    fault = world.check(folder).fault
    assert "image s_02.png is in train, and in test in line" in fault and "expected one split in all rows" in fault


def test_a_column_of_splits_in_tables_of_one_image_is_told(world, tmp_path):
    folder = world.plain(tmp_path / "d", head="y,x,class,split", row="{y},{x},{c},train")
    result = world.check(folder)
    assert world.right(result) and result.complains("column 'split' of s_00.csv may be a split, and is not read")


def of_each(world, folder, called, column="split"):
    """A table of each image with a column of splits; ``called`` is the word for a split."""
    world.save(folder)
    for i in range(world.n):
        row = f"{{y}},{{x}},{{c}},{called(split_of(i))}"
        world.table(folder / f"s_{i:02d}.csv", i, head=f"y,x,class,{column}", row=row)
    return folder


def test_a_column_of_splits_in_the_table_of_each_image(world, tmp_path):
    folder = of_each(world, tmp_path / "d", str.title, "Subset")
    result = world.check(folder)
    assert world.right(result) and result.splits == RIGHT and result.settings["split"]["test"] == "{stem}.csv"
    assert not result.complains("may be a split")


def test_without_validation_images_a_tenth_of_the_training_images_are_taken(world, tmp_path):
    folder = of_each(world, tmp_path / "d", lambda split: split.replace("val", "train"))
    result = world.check(folder)
    assert result.settings["split"]["val"] == 0.1 and sorted(result.splits.values()).count("val") == 1
    assert all(result.splits[name] == "test" for name, split in RIGHT.items() if split == "test")


def test_two_splits_in_the_table_of_one_image_stop(world, tmp_path):
    folder = of_each(world, tmp_path / "d", str)
    path = folder / "s_01.csv"
    path.write_text(path.read_text().replace(",train\n", ",test\n", 1))
    assert "s_01.csv says split 'test' and 'train' of cells of one image" in world.check(folder).fault


def test_training_images_alone_stop_with_a_test_list_missing(world, tmp_path):
    folder = world.plain(tmp_path / "d")
    for i in range(world.n):
        split = "val" if i == 2 else "train"
        world.table(folder / f"s_{i:02d}.csv", i, head="y,x,class,split", row=f"{{y}},{{x}},{{c}},{split}")
    assert "say the splits train (in s_00.csv) and val (in s_02.csv)" in world.check(folder).fault


def test_lists_count_more_than_columns(world, tmp_path):
    folder = world.plain(tmp_path / "d", head="y,x,class,split", row="{y},{x},{c},train")
    for split, part in SPLIT.items():
        (folder / f"{split}.txt").write_text("".join(f"s_{i:02d}\n" for i in part))
    assert world.check(folder).splits == RIGHT


def test_a_split_in_the_properties_of_geojson(world, tmp_path):
    folder = tmp_path / "d"
    world.save(folder)
    for i in range(world.n):
        features = [
            {"type": "Feature", "geometry": {"type": "Point", "coordinates": [x, y]},
             "properties": {"classification": {"name": c}, "split": split_of(i)}}
            for y, x, c in world.cells(i)
        ]  # fmt: skip
        (folder / f"s_{i:02d}.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    result = world.check(folder)
    assert world.right(result) and result.splits == RIGHT


def annotated(path, rows, column="split"):
    """An AnnData file of another program: rows are (image, y, x, class, split)."""
    images, y, x, classes, splits = zip(*rows, strict=True)
    with h5py.File(path, "w") as file:
        file["obsm/spatial"] = np.stack([x, y], 1).astype(float)
        for name, values in (("image", images), ("cell_type", classes), (column, splits)):
            file[f"obs/{name}"] = list(values)


@pytest.mark.parametrize("column", ["split", "subset"])
def test_a_column_of_splits_in_one_file_of_anndata(world, tmp_path, column):
    folder = tmp_path / "d"
    world.save(folder)
    rows = [(f"s_{i:02d}.png", y, x, c, split_of(i)) for i in range(world.n) for y, x, c in world.cells(i)]
    annotated(folder / "cells.h5ad", rows, column)
    result = world.check(folder)
    assert world.right(result) and result.splits == RIGHT and result.settings["split"]["val"] == "cells.h5ad"


def test_a_column_of_splits_in_the_anndata_of_each_image(world, tmp_path):
    folder = tmp_path / "d"
    world.save(folder)
    for i in range(world.n):
        rows = [(f"s_{i:02d}.png", y, x, c, split_of(i)) for y, x, c in world.cells(i)]
        annotated(folder / f"s_{i:02d}.h5ad", rows)
    result = world.check(folder)
    assert world.right(result) and result.splits == RIGHT
