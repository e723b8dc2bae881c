"""Candidates compete: pictures and files of cells that fit alike are told apart by evidence, or asked about."""

import json

import numpy as np
import pytest
from PIL import Image


def drawn(world, i):
    """An image with outlines drawn in."""
    pixels = np.array(world.image(i))
    pixels[..., 1] = 255 - pixels[..., 1] // 4
    return Image.fromarray(pixels)


@pytest.mark.parametrize("name", ["overlays", "QC_outlines", "masks_rgb", "Prediction"])
def test_pictures_made_from_others_are_known_by_their_folder(world, tmp_path, name):
    world.save(tmp_path / "d/x20")
    for i in range(world.n):
        (tmp_path / "d" / name).mkdir(exist_ok=True)
        drawn(world, i).save(tmp_path / "d" / name / f"s_{i:02d}.png")
        world.table(tmp_path / f"d/dots/s_{i:02d}.csv", i)
    result = world.check(tmp_path / "d")
    assert world.right(result)
    assert result.settings["images"] == "x20/*.png"
    assert result.complains("6 images are not used", name)


def test_two_folders_of_pictures_without_evidence_are_a_question(world, tmp_path):
    for name in ("a", "b"):
        world.save(tmp_path / "d" / name)
    for i in range(world.n):
        world.table(tmp_path / f"d/dots/s_{i:02d}.csv", i)
    result = world.check(tmp_path / "d")
    assert "a/*.png and b/*.png" in result.fault and "--images" in result.fault
    assert world.right(world.check(tmp_path / "d", "--images", "b/*.png"))


def test_the_picture_that_the_dots_fill_is_taken(world, tmp_path):
    world.save(tmp_path / "d/one")
    for i in range(world.n):
        (tmp_path / "d/two").mkdir(exist_ok=True)
        world.image(i).resize((392, 336)).save(tmp_path / f"d/two/s_{i:02d}.png")
        world.table(tmp_path / f"d/dots/s_{i:02d}.csv", i)
    result = world.check(tmp_path / "d")
    assert world.right(result) and result.settings["images"] == "one/*.png"
    assert result.complains("6 images are not used", "two/s_00.png")


def test_the_same_picture_in_two_formats_is_read_without_losses(world, tmp_path):
    world.plain(tmp_path / "d")
    world.save(tmp_path / "d", "s_{:02d}.jpg")
    result = world.check(tmp_path / "d")
    assert world.right(result) and result.settings["images"] == "*.png"
    assert result.complains("6 images are not used", ".jpg")


@pytest.mark.parametrize(("good", "bad"), [("manual", "predictions"), ("dots", "old"), ("labels", "dots_backup")])
def test_of_two_tables_the_names_decide(world, tmp_path, good, bad):
    world.save(tmp_path / "d/images")
    for i in range(world.n):
        world.table(tmp_path / "d" / good / f"s_{i:02d}.csv", i)
        world.table(tmp_path / "d" / bad / f"s_{i:02d}.csv", i, cells=world.cells(i)[:50])
    result = world.check(tmp_path / "d")
    assert world.right(result)
    assert result.complains("6 tables are not used", bad)


def test_two_tables_without_evidence_are_a_question(world, tmp_path):
    world.save(tmp_path / "d/images")
    for i in range(world.n):
        world.table(tmp_path / f"d/one/s_{i:02d}.csv", i)
        world.table(tmp_path / f"d/two/s_{i:02d}.csv", i, cells=world.cells(i)[:50])
    result = world.check(tmp_path / "d")
    assert "one/s_00.csv and two/s_00.csv" in result.fault and "--dots" in result.fault
    assert world.right(world.check(tmp_path / "d", "--dots", "one/{stem}.csv"))


def test_the_same_cells_in_two_formats_are_no_question(world, tmp_path):
    world.plain(tmp_path / "d")
    for i in range(world.n):
        nuclei = {str(j): {"centroid": [x, y], "type": c} for j, (y, x, c) in enumerate(world.cells(i))}
        (tmp_path / f"d/s_{i:02d}.json").write_text(json.dumps({"nuc": nuclei}))
    result = world.check(tmp_path / "d")
    assert world.right(result) and result.complains("6 files are not used", "the same cells")


def test_a_file_without_cells_does_not_compete(world, tmp_path):
    world.plain(tmp_path / "d")
    for i in range(world.n):
        (tmp_path / f"d/s_{i:02d}.json").write_text(json.dumps({"stain": "H&E", "scanner": "x"}))
    result = world.check(tmp_path / "d")
    assert world.right(result) and result.complains("6 files are not used", "no cells can be read")


@pytest.mark.parametrize("mode", ["L", "I;16", "P", "1"])
def test_masks_beside_images_enter_no_split(world, tmp_path, mode):
    world.plain(tmp_path / "d")
    for i in range(world.n):
        mask = Image.fromarray(np.zeros(world.size, np.uint16 if mode == "I;16" else np.uint8))
        (mask if mode == "I;16" else mask.convert(mode)).save(tmp_path / f"d/s_{i:02d}_mask.png")
    result = world.check(tmp_path / "d")
    assert world.right(result) and len(result.records) == 6
    assert result.settings["leave_out"] == ["**/*_mask.png"]
    assert result.complains("6 images are not used", "mask")


def test_masks_alone_are_read_as_cells_if_they_number_them(world, tmp_path):
    world.save(tmp_path / "d/images")
    (tmp_path / "d/masks").mkdir()
    yy, xx = np.mgrid[: world.size[0], : world.size[1]]
    for i in range(world.n):
        mask = np.zeros(world.size, np.uint16)
        for j, (y, x) in enumerate(world.points(i)):
            mask[(yy - y) ** 2 + (xx - x) ** 2 <= 16] = j + 1
        Image.fromarray(mask).save(tmp_path / f"d/masks/s_{i:02d}_cp_masks.png")
    result = world.check(tmp_path / "d")
    assert result.cells == world.total() and result.settings["classes"] == ["unclassified"]
    gap = np.abs(result.records[0].points[:, None] - world.points(0)).max(axis=-1)
    assert gap.min(axis=0).max() < 0.8
    (tmp_path / "d.yaml").unlink()
    for i in range(world.n):
        path = tmp_path / f"d/masks/s_{i:02d}_cp_masks.png"
        Image.fromarray((np.array(Image.open(path)) > 0).astype(np.uint8) * 255).save(path)
    assert "does not number cells" in world.check(tmp_path / "d").fault


@pytest.mark.parametrize(
    ("good", "bad"), [("{}.csv", "{}_old.csv"), ("{}_manual.csv", "{}.csv"), ("{}.csv", "{}.auto.json")]
)
def test_of_two_tables_side_by_side_the_words_of_their_names_decide(world, tmp_path, good, bad):
    world.save(tmp_path / "d")
    for i in range(world.n):
        world.table(tmp_path / "d" / good.format(f"s_{i:02d}"), i)
        some = world.cells(i)[:40]
        if bad.endswith("json"):
            data = {"nuc": {str(k): {"centroid": [x, y], "type": 1} for k, (y, x, _) in enumerate(some)}}
            (tmp_path / "d" / bad.format(f"s_{i:02d}")).write_text(json.dumps(data))
        else:
            world.table(tmp_path / "d" / bad.format(f"s_{i:02d}"), i, cells=some)
    result = world.check(tmp_path / "d")
    assert world.right(result) and result.complains("6", "not used", "by their names")


def test_a_file_with_regions_alone_does_not_win_by_its_name(world, tmp_path):
    """QuPath: the measurements of annotations are regions, those of detections are the cells."""
    head = "Object type\tClassification\tCentroid X px\tCentroid Y px"
    world.save(tmp_path / "d")
    for i in range(world.n):
        world.table(tmp_path / f"d/s_{i:02d}_detections.txt", i, head, "Detection\t{c}\t{x}\t{y}")
        world.table(tmp_path / f"d/s_{i:02d}_annotations.txt", i, head, "Annotation\t{c}\t{x}\t{y}", world.cells(i)[:3])
    result = world.check(tmp_path / "d")
    assert world.right(result) and result.complains("not used", "hold no cells")


def test_annotations_and_detections_with_cells_are_a_question(world, tmp_path):
    world.save(tmp_path / "d")
    for i in range(world.n):
        world.table(tmp_path / f"d/detections/s_{i:02d}.csv", i)
        world.table(tmp_path / f"d/annotations/s_{i:02d}.csv", i, cells=world.cells(i)[:5])
    fault = world.check(tmp_path / "d").fault
    assert "annotations/s_00.csv and detections/s_00.csv fit the same image" in fault


def test_label_masks_are_read_beside_tables_without_places(world, tmp_path):
    """A table of classes by label does not keep the masks from being read, and is named."""
    world.save(tmp_path / "d/images")
    (tmp_path / "d/masks").mkdir()
    for i in range(world.n):
        mask = np.zeros(world.size, np.uint16)
        for j, (y, x) in enumerate(world.points(i)):
            mask[round(y) - 3 : round(y) + 4, round(x) - 3 : round(x) + 4] = j + 1
        Image.fromarray(mask).save(tmp_path / f"d/masks/s_{i:02d}.tif")
        world.table(tmp_path / f"d/types/s_{i:02d}.csv", i, "label,cell_type", "{k},{c}")
    result = world.check(tmp_path / "d")
    assert result.cells == world.total()
    assert result.complains("6 tables are not used", "no two numbers for y and x")


def four(world, folder):
    for name in "abcd":
        world.save(folder / name)
    return folder


def test_tables_that_fit_four_images_by_their_names_are_told_with_the_images(world, tmp_path):
    folder = four(world, tmp_path / "d")
    for i in range(world.n):
        world.table(folder / f"tables/s_{i:02d}.csv", i)
    fault = world.check(folder).fault
    assert "tables/s_00.csv belongs to 4 images by its name, a/s_00.png, b/s_00.png, c/s_00.png and 1 more" in fault
    assert (
        "5 more files of cells to several" in fault
        and "a/*.png and b/*.png and c/*.png and 1 more are" in fault
        and "--images 'a/*.png'" in fault
    )
    assert world.right(world.check(folder, "--images", "a/*.png"))


@pytest.mark.parametrize("others", [True, False])
def test_names_in_a_table_that_fit_four_images_are_told_with_the_images(world, tmp_path, others):
    folder = four(world, tmp_path / "d")
    rows = ["image,y,x,class", *(f"s_00.png,{y},{x},{c}" for y, x, c in world.cells(0))]
    rows += [f"{'a/' * others}s_01.png,{y},{x},{c}" for y, x, c in world.cells(1)]
    (folder / "cells.csv").write_text("\n".join(rows) + "\n")
    fault = world.check(folder).fault
    assert "'s_00.png' fits 4 images" in fault and "a/s_00.png, b/s_00.png, c/s_00.png and 1 more" in fault


def of_two_kinds(world, folder, feature, cells):
    """GeoJSON for images 0 to 2, tables for 2 to 5; image 2 has both, and its table these cells."""
    world.save(folder)
    for i in range(3):
        features = [feature(x, y, classification={"name": c}) for y, x, c in world.cells(i)]
        (folder / f"s_{i:02d}.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    for i in range(2, world.n):
        world.table(folder / f"s_{i:02d}.csv", i, cells=cells if i == 2 else None)
    return folder


def test_two_kinds_of_files_with_one_image_that_has_both(world, tmp_path, feature):
    found = world.check(of_two_kinds(world, tmp_path / "d", feature, world.cells(2)))
    assert world.right(found) and found.complains("1 ", "not used", "both hold the same cells")
    folder = of_two_kinds(world, tmp_path / "e", feature, world.cells(2)[:40])
    fault = world.check(folder).fault
    assert "1 image has two such files, and they differ; remove one of the two files of that image" in fault
    assert "--dots" not in fault
    (folder / "s_02.csv").unlink()
    assert world.right(world.check(folder))


def test_only_a_pattern_with_a_file_for_all_images_is_offered(world, tmp_path):
    world.plain(tmp_path / "d")
    for i in range(3):
        world.table(tmp_path / f"d/more/s_{i:02d}.csv", i, cells=world.cells(i)[:50])
    fault = world.check(tmp_path / "d").fault
    assert "3 images have two such files, and they differ; remove one of the two files of each of them" in fault
    assert "or name --dots '{stem}.csv'" in fault and "more/{stem}" not in fault
    assert world.right(world.check(tmp_path / "d", "--dots", "{stem}.csv"))


def test_a_file_of_dummies_gives_no_image_its_cells(world, tmp_path):
    folder = tmp_path / "d"
    world.save(folder)
    rows = [f"s_{i:02d},{x},{y},{c}" for i in range(world.n - 1) for y, x, c in world.cells(i)]
    (folder / "cells.csv").write_text("\n".join(["image,x,y,class", *rows]))
    dummies = [f"s_{i:02d},1,1,tumor" for i in range(world.n)]
    (folder / "sample_submission.csv").write_text("\n".join(["image,x,y,class", *dummies]))
    fault = world.check(folder).fault
    assert "1 image" in fault and "s_05.png" in fault


@pytest.mark.parametrize(
    ("other", "right"), [(lambda k, c: c, True), (lambda k, c: "cell", True), (lambda k, c: ("tumor", c)[k % 2], False)]
)
def test_two_files_with_the_same_places_agree_on_the_classes_or_are_a_question(world, tmp_path, other, right):
    folder = tmp_path / "d"
    world.save(folder)
    for i in range(world.n):
        world.table(folder / f"reader_a/s_{i:02d}.csv", i)
        cells = [(y, x, other(k, c)) for k, (y, x, c) in enumerate(world.cells(i))]
        world.table(folder / f"reader_b/s_{i:02d}.csv", i, cells=cells)
    result = world.check(folder)
    assert world.right(result) if right else "name one with --dots" in result.fault and "reader_b" in result.fault
