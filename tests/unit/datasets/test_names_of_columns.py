"""Columns by the words of their names and by their values: places, units, classes, images."""

import pytest

from cellscaper.disk.formats import table_columns
from cellscaper.disk.formats.column_places import in_other_unit, places, unit_of

PLACES = {
    "CosMx": ["fov", "CenterX_local_px", "CenterY_local_px", "CenterX_global_px", "CenterY_global_px"],
    "CosMx, flat files": ["x_FOV_px", "y_FOV_px", "x_slide_mm", "y_slide_mm"],
    "inForm": ["Cell X Position", "Cell Y Position"],
    "CellProfiler": ["Nuclei_Location_Center_X", "Nuclei_Location_Center_Y"],
    "Imaris": ["Position X", "Position Y", "Position Z"],
    "ImageJ": ["Area", "X", "Y", "XM", "YM"],
    "QuPath": ["Centroid X px", "Centroid Y px"],
    "Steinbock": ["centroid-0", "centroid-1"],
}
WANTED = {
    "CosMx": ("CenterY_local_px", "CenterX_local_px"), "CosMx, flat files": ("y_FOV_px", "x_FOV_px"),
    "inForm": ("Cell Y Position", "Cell X Position"), "Imaris": ("Position Y", "Position X"), "ImageJ": ("Y", "X"),
    "CellProfiler": ("Nuclei_Location_Center_Y", "Nuclei_Location_Center_X"),
    "QuPath": ("Centroid Y px", "Centroid X px"), "Steinbock": ("centroid-0", "centroid-1"),
}  # fmt: skip


@pytest.mark.parametrize("name", PLACES)
def test_places_are_found_in_any_order_of_words(name):
    found = places(PLACES[name])
    assert (found["y"], found["x"]) == WANTED[name]


@pytest.mark.parametrize("name", ["Centroid X µm", "Centroid X Âµm", "Centroid X ?m", "Centroid X \ufffdm", "x_um"])
def test_micrometres_are_known_after_a_change_of_coding(name):
    assert unit_of(name) == "um"


def test_a_table_in_µm_that_was_read_in_another_coding(world, tmp_path):
    cells = {i: [(y / 2, x / 2, c) for y, x, c in world.cells(i)] for i in range(world.n)}
    world.save(tmp_path / "d")
    for i in range(world.n):
        world.table(tmp_path / f"d/s_{i:02d}.csv", i, "Class;Centroid X Âµm;Centroid Y Âµm", "{c};{x};{y}", cells[i])
    assert world.right(world.check(tmp_path / "d", "--mpp", "0.5"))


def test_other_units_are_refused(world, tmp_path):
    assert in_other_unit(["x_slide_mm", "y_slide_mm"]) == "y_slide_mm"
    assert in_other_unit(["X (mm)", "Y (mm)"]) == "Y (mm)" and in_other_unit(["a_mm", "y"]) is None
    folder = world.plain(tmp_path / "d", head="x_slide_mm,y_slide_mm,class", row="{x},{y},{c}")
    assert "is in mm, expected px or µm" in world.check(folder).fault
    assert "is in mm" in world.check(folder, "--columns", "y=y_slide_mm,x=x_slide_mm").fault


def test_lists_of_corners_are_no_places(world, tmp_path):
    """NuCLS: boxes, and the corners of outlines as lists in columns with better names."""
    world.save(tmp_path / "d")
    for i in range(world.n):
        rows = [
            f'{c},{x - 4},{y - 6},{x + 4},{y + 6},"{x:.0f},{x + 4:.0f},{x:.0f}","{y:.0f},{y + 4:.0f},{y:.0f}"'
            for y, x, c in world.cells(i)
        ]
        text = "\n".join(["main_classification,xmin,ymin,xmax,ymax,coords_x,coords_y", *rows])
        (tmp_path / f"d/s_{i:02d}.csv").write_text(text)
    assert world.right(world.check(tmp_path / "d"))


def test_the_only_pair_of_columns_is_taken_and_said(world, tmp_path):
    folder = world.plain(tmp_path / "d", head="Tumour nuclei X,Tumour nuclei Y,Type", row="{x},{y},{c}")
    found = world.check(folder)
    assert world.right(found) and found.complains("taken to be the columns", "Tumour nuclei Y")


@pytest.mark.parametrize("name", ["class_id", "cell_type_id", "pred_class", "marks", "Nucleus class", "final_type"])
def test_classes_by_number_under_usual_names(world, tmp_path, name):
    folder = world.plain(tmp_path / "d", head=f"y,x,{name},score", row="{y},{x},{c},0.{k}")
    assert world.right(world.check(folder))
    for path in folder.glob("*.csv"):
        path.write_text(path.read_text().replace("lymphocyte", "1").replace("tumor", "2"))
    assert set(world.check(folder).counts) == {"class_1", "class_2"}


def test_two_columns_that_may_be_the_class_are_both_named(world, tmp_path):
    folder = world.plain(tmp_path / "d", head="y,x,cluster,cell_type", row="{y},{x},{k},{c}")
    for path in folder.glob("*.csv"):
        head, *rows = path.read_text().splitlines()
        rows = [f"{y},{x},{int(k) % 3},{c}" for y, x, k, c in (row.split(",") for row in rows)]
        path.write_text("\n".join([head, *rows]))
    found = world.check(folder)
    assert world.right(found) and found.complains("the class is column 'cell_type'", "'cluster'")


def test_two_columns_of_the_same_groups_raise_no_doubt(world, tmp_path):
    folder = world.plain(tmp_path / "d", head="y,x,label,cell_type", row="{y},{x},a {c},{c}")
    assert not world.check(folder).complains("could be")


def test_lines_without_a_place_are_counted(world, tmp_path):
    folder = world.plain(tmp_path / "d")
    path = folder / "s_00.csv"
    path.write_text(path.read_text() + "NA,NA,tumor\n,,tumor\n")
    found = world.check(folder)
    assert world.right(found) and found.complains("2 lines without a place are left out")
    (tmp_path / "d.yaml").unlink()
    path.write_text(path.read_text() + "NA,3,tumor\n")
    assert world.check(folder).complains("3 lines without a place are left out")
    (tmp_path / "d.yaml").unlink()
    path.write_text(path.read_text() + "four,3,tumor\n")
    assert "y is 'four'" in world.check(folder).fault


def test_the_unicode_text_of_spreadsheets_is_read(world, tmp_path):
    folder = world.plain(tmp_path / "d", head="y\tx\tclass", row="{y}\t{x}\t{c}")
    for path in folder.glob("*.csv"):
        path.write_bytes(path.read_text().encode("utf-16"))
    assert world.right(world.check(folder))


def test_words_beside_a_class_do_not_make_one():
    for name in ("cell_id", "nucleus_id", "class_probability", "type_score", "main"):
        assert table_columns._class_rank(name) is None


def test_a_column_that_may_be_the_class_under_any_name_is_a_hint(world, tmp_path):
    folder = world.plain(tmp_path / "d", head="X,Y,Slice,Counter", row="{x},{y},1,{k}")
    for path in folder.glob("*.csv"):
        head, *rows = path.read_text().splitlines()
        path.write_text("\n".join([head, *(row.rpartition(",")[0] + f",{k % 3}" for k, row in enumerate(rows))]))
    assert world.check(folder).complains("no column is taken for the class", "'Counter'")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("data.yaml", "nc: 2\nnames: [lymphocyte, tumor]\n"),
        ("labels/classes.txt", "lymphocyte\ntumor\n"),
        ("type_info.json", '{"0": ["lymphocyte", [0, 0, 0]], "1": ["tumor", [255, 0, 0]]}'),
    ],
)
def test_names_of_numbered_classes_in_a_file_are_a_hint_to_paste(world, tmp_path, name, text):
    folder = world.plain(tmp_path / "d", head="y,x,class", row="{y},{x},{c}")
    for path in folder.glob("*.csv"):
        path.write_text(path.read_text().replace("lymphocyte", "0").replace("tumor", "1"))
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    found = world.check(folder)
    assert found.complains(name, "--classes 0=lymphocyte,1=tumor")
    assert world.right(world.check(folder, "--classes", "0=lymphocyte,1=tumor"))


@pytest.mark.parametrize("label", ["s_{:02d}.png:0001-0{:03d}", "s_{:02d}.png"])
def test_the_results_of_imagej_for_all_images(world, tmp_path, label):
    """The column Label names images, with the number of a ROI or without; it is no class."""
    world.save(tmp_path / "d")
    rows = [
        f"{k + 1},{label.format(i, k)},30.5,{x},{y}"
        for i in range(world.n)
        for k, (y, x, _) in enumerate(world.cells(i))
    ]
    (tmp_path / "d/Results.csv").write_text("\n".join([" ,Label,Area,X,Y", *rows]))
    found = world.check(tmp_path / "d")
    assert not found.fault and found.counts == {"unclassified": world.total()} and len(found.records) == world.n
    assert not found.complains("Label")


def test_lines_before_a_table_are_no_part_of_it(world, tmp_path):
    """Imaris writes a title and a line before the header."""
    head = "Position\n====================\n\nPosition X,Position Y,Position Z,Category"
    folder = world.plain(tmp_path / "d", head=head, row="{x},{y},0,{c}")
    assert world.right(world.check(folder))
