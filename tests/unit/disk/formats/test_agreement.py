"""Options that contradict a file stop; classes are applied or refused; the same for every format and command."""

import json
import shlex

import h5py
import numpy as np
import pytest

from cellscaper import cli
from cellscaper.disk import export
from cellscaper.disk.formats.facts import Given
from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet

POINTS = np.array([[1, 2], [30, 4], [5, 60], [7.5, 8]], np.float32)
OWN = ("x.h5", "x.csv", "x.geojson", "x.json", "x.h5ad", "x.napari.csv")
FOREIGN = {
    "coco.json": {"images": [{"id": 1, "file_name": "a.png", "height": 40, "width": 70}],
                  "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}],
                  "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "keypoints": [3, 4, 2]},
                                  {"id": 2, "image_id": 1, "category_id": 2, "keypoints": [3, 9, 2]}]},
    "labelme.json": {"imagePath": "a.png", "imageHeight": 40, "imageWidth": 70,
                     "shapes": [{"label": k, "shape_type": "point", "points": [[3, 4]]} for k in "ab"]},
}  # fmt: skip


def example(**columns):
    layout = Layout(POINTS, np.array([0, 1, 2, 0], np.uint8), (40, 70), "s")
    return LayoutSet.build([layout], ("a", "b", "c"), 0.25, columns)


@pytest.fixture(params=OWN)
def own(request, tmp_path):
    export.write(tmp_path / request.param, example(), {})
    return tmp_path / request.param


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (Given(mpp=0.5), "says 0.25 µm a pixel, --mpp says 0.5"),
        (Given(mpp=0.250001), "says 0.25 µm a pixel, --mpp says 0.250001"),
        (Given(size=(70, 40)), r"says 40 × 70 px \(height × width\), --size says 70 × 40"),
        (Given(classes=("a", "b")), "class 'c' of 1 cell is none of --classes a, b"),
        (Given(classes={"a": "t", "b": None}), "class 'c' of 1 cell is none of --classes a, b; add c=NAME, or c= "),
    ],
)
def test_options_that_contradict_a_file_of_cellscaper_stop(own, given, message):
    with pytest.raises(CellscaperError, match=message) as caught:
        export.read(own, given)
    assert "\n" not in str(caught.value)


def test_options_that_agree_change_nothing(own):
    assert export.read(own, Given((40, 70), 0.25 * (1 + 1e-8), ("a", "b", "c"))) == example()


def test_classes_are_put_in_order_renamed_merged_and_left_out(own):
    turned = export.read(own, Given(classes=("c", "a", "b", "none")))
    assert turned.classes == ("c", "a", "b", "none") and turned.labels.tolist() == [1, 2, 0, 1]
    said = []
    merged = export.read(own, Given(classes={"a": "t", "b": None, "c": "t"}), say=said.append)
    assert (merged.classes, merged.labels.tolist(), said) == (
        ("t",), [0, 0, 0], ["1 cell of class b is left out, as --classes says"],
    )  # fmt: skip
    assert np.array_equal(merged.points, POINTS[[0, 2, 3]]) and merged.offsets.tolist() == [0, 3]


def test_a_column_in_the_order_of_the_classes_is_not_torn_from_them(tmp_path):
    export.write(tmp_path / "x.h5", example(requested=np.array([[2, 1, 1]])), {})
    with pytest.raises(CellscaperError, match="column 'requested' is in their order"):
        export.read(tmp_path / "x.h5", Given(classes=("c", "b", "a")))


@pytest.mark.parametrize("name", FOREIGN)
def test_sizes_of_other_programs_stop_and_their_classes_are_renamed(tmp_path, name):
    (tmp_path / name).write_text(json.dumps(FOREIGN[name]))
    with pytest.raises(CellscaperError, match="says 40 × 70 px .* --size says 9 × 9"):
        export.read(tmp_path / name, Given((9, 9), 0.5))
    found = export.read(tmp_path / name, Given(None, 0.5, {"a": "t", "b": "t"}))
    assert (found.classes, found.labels.tolist(), found.common_size()) == (("t",), [0, 0], (40, 70))


def anndata(path, scales, hires=None):
    with h5py.File(path, "w") as file:
        file["obs/cell_type"] = np.array(["a", "b"] * len(scales), object)
        file["obs/image"] = np.repeat(np.array(list(scales), object), 2)
        file["obsm/spatial"] = np.arange(4.0 * len(scales)).reshape(-1, 2)
        for name, scale in scales.items():
            file[f"uns/spatial/{name}/scalefactors/microns_per_pixel"] = scale
            if hires is not None:
                file[f"uns/spatial/{name}/scalefactors/tissue_hires_scalef"] = 0.3
                file[f"uns/spatial/{name}/images/hires"] = np.zeros((*hires, 3), np.uint8)
    return path


def test_scale_and_size_of_an_anndata_file_are_those_of_the_file(tmp_path):
    path = anndata(tmp_path / "x.h5ad", {"s": 0.5}, (30, 60))
    with pytest.raises(CellscaperError, match=r"says 0.5 µm a pixel, --mpp says 0.25"):
        export.read(path, Given(mpp=0.25))
    with pytest.raises(CellscaperError, match=r"says 100 × 200 px .* --size says 110 × 200"):
        export.read(path, Given((110, 200)))
    assert export.read(path, Given((101, 198))).common_size() == (101, 198)  # the picture in the file is smaller
    other = anndata(tmp_path / "y.h5ad", {"s": 0.5, "t": 0.25})
    with pytest.raises(CellscaperError, match=r"0.25 µm a pixel of image 't' and 0.5 of 's'"):
        export.read(other, Given((9, 9), 0.5))


def test_columns_are_refused_where_there_are_none(own, tmp_path):
    for name, content in FOREIGN.items():
        (tmp_path / name).write_text(json.dumps(content))
    for path in (own, *(tmp_path / name for name in FOREIGN)):
        with pytest.raises(CellscaperError, match="no text table .*--columns"):
            export.read(path, Given((40, 70), 0.25, None, ["y", "x", "class"]))


def test_all_commands_give_the_same_answer(tmp_path, capsys):
    export.write(tmp_path / "x.h5", example(), {})
    source, out = str(tmp_path / "x.h5"), str(tmp_path / "o")
    commands = {
        "convert": ["convert", source, f"{out}.csv"],
        "envelope": ["envelope", source, "--null", "csr", "-n", "19", "-o", f"{out}.html"],
    }
    for option, value, message in (
        ("--mpp", "0.5", "--mpp says 0.5"), ("--size", "9,9", "--size says 9 × 9"),
        ("--classes", "a=x,b=y", "add c=NAME"),
    ):  # fmt: skip
        told = set()
        for words in commands.values():
            with pytest.raises(CellscaperError, match=message) as caught:
                cli.call([*words, option, value])
            told.add(str(caught.value))
        assert len(told) == 1
    (tmp_path / "f").mkdir()
    with pytest.raises(CellscaperError, match="--size says 9 × 9"):
        cli.call(["paint", source, "--from", str(tmp_path / "f"), "-o", out, "--size", "9,9"])
    with pytest.raises(CellscaperError, match=r"has 0.25 µm a pixel, the model 0.5"):
        cli.call(["generate", "--counts", "epithelial=1", "--around", source, "-o", f"{out}.csv"])
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("o")] == []


# -- scales that files say ------------------------------------------------------------------------------------

CELLS = [{"centroid": [3, 4], "type": 1}, {"centroid": [9, 4], "type": 2}]


def cellvit(**said):
    return {"wsi_metadata": said, "type_map": {"1": "a", "2": "b"}, "cells": CELLS}


def test_the_scale_of_the_slide_is_taken_from_cellvit(tmp_path):
    path = tmp_path / "cells.json"
    path.write_text(json.dumps(cellvit(base_mpp=0.2527, target_patch_mpp=0.5, base_magnification=40)))
    said = []
    assert export.read(path, Given((40, 70)), say=said.append).mpp == 0.2527
    assert said == ["0.2527 µm a pixel by base_mpp 0.2527 of wsi_metadata in the file"]
    said.clear()
    assert export.read(path, Given((40, 70), 0.5), say=said.append).mpp == 0.5
    assert said == [
        "0.5 µm a pixel is taken, as --mpp says; 0.2527 µm a pixel by base_mpp 0.2527 of wsi_metadata in the file"
    ]
    assert export.read(path, Given((40, 70), 0.5, stands_in=True)).mpp == 0.2527


@pytest.mark.parametrize(
    "content",
    [
        cellvit(base_magnification="40"), cellvit(magnification=40, downsampling=1),
        {"mag": 40, "nuc": {str(i): one for i, one in enumerate(CELLS)}},
    ],
)  # fmt: skip
def test_a_magnification_is_named_and_not_taken_for_exact(tmp_path, content):
    path = tmp_path / "x.json"
    path.write_text(json.dumps(content))
    with pytest.raises(CellscaperError, match=r"only 0.25 µm a pixel by .*40.*give --mpp 0.25"):
        export.read(path, Given((40, 70)))
    said = []
    assert export.read(path, Given((40, 70), 0.23), say=said.append).mpp == 0.23 and not said
    export.read(path, Given((40, 70), 0.5), say=said.append)
    assert len(said) == 1 and said[0].startswith("0.5 µm a pixel is taken, as --mpp says; 0.25 µm a pixel by")


@pytest.mark.parametrize(
    "said", [{"magnification": 20, "downsampling": 2}, {"base_mpp": None}, {"base_mpp": 250}, {"base_mpp": True}, {}]
)
def test_what_is_no_scale_of_the_slide_is_none(tmp_path, said):
    (tmp_path / "x.json").write_text(json.dumps(cellvit(**said)))
    with pytest.raises(CellscaperError, match="does not say how large a pixel is"):
        export.read(tmp_path / "x.json", Given((40, 70)))


XML = ('<Annotations MicronsPerPixel="0,2520"><Annotation Name="a"><Region><Vertex X="1" Y="2"/></Region></Annotation>'
       "</Annotations>",
       "<CellCounter_Marker_File><Image_Properties><X_Calibration>0.252</X_Calibration><Calibration_Unit>micron"
       "</Calibration_Unit></Image_Properties><Marker_Type><Type>1</Type><Marker><MarkerX>2</MarkerX><MarkerY>2</MarkerY>"
       "</Marker></Marker_Type></CellCounter_Marker_File>")  # fmt: skip


@pytest.mark.parametrize("text", XML)
def test_the_scale_of_annotation_programs_is_taken(tmp_path, text):
    (tmp_path / "x.xml").write_text(text)
    assert export.read(tmp_path / "x.xml", Given((40, 70))).mpp == 0.252


# -- cells without a class ------------------------------------------------------------------------------------


def test_cells_without_a_class_are_left_out_alike_in_every_format(tmp_path):
    (tmp_path / "x.csv").write_text("y,x,class\n4,3,T cell\n6,5,\n8,9,b\n")
    (tmp_path / "n.csv").write_text("index,axis-0,axis-1,class\n0,4,3,T cell\n1,6,5,\n2,8,9,b\n")
    (tmp_path / "x.json").write_text(json.dumps({"nuc": {str(i): {"centroid": [i, 4], "type": k}
                                                        for i, k in enumerate(["T cell", None, "b"])}}))  # fmt: skip
    with h5py.File(tmp_path / "x.h5ad", "w") as file:
        file["obs/class"] = np.array(["T cell", "nan", "b"], object)
        file["obsm/spatial"] = np.arange(6.0).reshape(3, 2)
    for name in ("x.csv", "n.csv", "x.json", "x.h5ad"):
        said = []
        found = export.read(tmp_path / name, Given((40, 70), 0.5), say=said.append)
        assert found.classes == ("T cell", "b") and len(found.points) == 2
        assert said[-1].startswith("1 cell without a class is left out; --classes '")
        option = shlex.split(said[-1].split("--classes ")[1])[0]
        kept = export.read(tmp_path / name, Given((40, 70), 0.5, tuple(option.split(","))))
        assert kept.classes == ("T cell", "b", "unclassified") and len(kept.points) == 3
        said.clear()
        export.read(tmp_path / name, Given((40, 70), 0.5, {"T cell": "t", "b": "t"}), say=said.append)
        assert said[-1] == "1 cell without a class is left out"
