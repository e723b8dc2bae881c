from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cellscaper.datasets import dots
from cellscaper.datasets.dot_file import DotFormat, parse_dots
from cellscaper.errors import CellscaperError
from cellscaper.run.settings import read

NAMES = {"tumour": 0, "t cell": 1}


def form(columns: Any = ("y", "x", "class"), **other: Any) -> DotFormat:
    return DotFormat(columns, {"1": 0, "2": 1, **NAMES}, **other)


def test_rescaled_dots_stay_on_the_same_place_of_the_image(tmp_path: Path) -> None:
    """A black square keeps its centre, by the image's own grey values; whole numbers are the centres of pixels."""
    for mpp, size in ((0.25, (24, 32)), (1.0, (96, 128))):
        image = np.full((48, 64, 3), 255, np.uint8)
        image[20:24, 30:38] = 0
        Image.fromarray(image).save(tmp_path / "a.png")
        (tmp_path / "a.csv").write_text("y,x,class\n21.5,33.5,1\n0,0,1\n47,63,1\n")
        block = {"path": str(tmp_path), "images": "*.png", "dots": "{stem}.csv", "columns": ["y", "x", "class"]}
        block |= {"classes": ["t"], "class_map": {"1": "t"}, "mpp": mpp, "rescale": True, "split": {"train": 1.0}}
        (one,) = dots.read(read(dots.Settings, block, "datasets a"), tmp_path)
        assert one.image.shape[:2] == size
        dark = 255.0 - one.image[..., 0]
        rows, columns = np.indices(size)
        centre = np.array([(dark * rows).sum(), (dark * columns).sum()]) / dark.sum()
        np.testing.assert_allclose(one.points[0], centre, atol=0.02)
        assert (one.points >= 0).all() and (one.points < size).all()


# -- lines ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "style"),
    [
        ("3 40 1\n5.5 6 2\n", form()),
        ("3 40 1\r\n5.5 6 2".replace("\r\n", "\n"), form(separator="blank", header=False)),
        ("\n  3   40\t1 \n\n5.5 6 2\n\n", form(separator="blank")),
        ("3,40,1\n5.5,6,2\n", form()),
        ("y,x,class\n3, 40 ,tumour\n5.5,6,t cell\n", form()),
        ("row,column,type\n3,40,1\n5.5,6,2\n", form(header=True)),
        ("40,3,1\n6,5.5,2\n", form(("x", "y", "class"))),
        ('a,1,0.9,40,3\n"b,c",2,1.0,6,5.5\n', form(("id", "class", "score", "x", "y"))),
        (
            "Class\tCentroid X µm\tCentroid Y µm\ntumour\t40\t3\nt cell\t6\t5.5\n",
            form({"y": "Centroid Y µm", "x": "Centroid X µm", "class": "Class"}),
        ),
        ("+3.0e0 4E1 1\n5.50 6. 2", form()),
        ("3 40 1.0\n5,5 6 2.0", form()),
        ("y;x;class\n3;40;tumour \n5,5;6;t  cell\n", form(separator="auto")),
        ("# a, b, c\ny,x,class\n3,40,1,\n,,\n5.5,6,2\n", form({"y": "y", "x": "X", "class": "class"})),
        ("y x class\n'1' 3 40 1\n'2' 5.5 6 2\n".replace("'", '"'), form({"y": "y", "x": "x", "class": "class"})),
        ("a,b,c,d,e\n2,38,4,42,1\n4.5,5,6.5,7,2\n", form(("y", "x", "y_end", "x_end", "class"))),
        ("a,b,c,d,e\n2,38,2,4,1\n4.5,5,2,2,2\n", form(("y", "x", "box_height", "box_width", "class"))),
    ],
)
def test_all_ways_of_writing_give_the_same_dots(text: str, style: DotFormat) -> None:
    found = parse_dots(text, style, "f")
    np.testing.assert_array_equal(found.points, np.array([[3, 40], [5.5, 6]], np.float32))
    np.testing.assert_array_equal(found.labels, [0, 1])
    assert found.points.dtype == np.float32
    assert found.labels.dtype == np.uint8
    assert [text.split("\n")[n - 1].strip() != "" for n in found.lines] == [True, True]


def test_lines_are_counted_with_header_and_blank_lines() -> None:
    np.testing.assert_array_equal(parse_dots("y,x,class\n\n1,2,1\n\n3,4,1\n", form(), "f").lines, [3, 5])


@pytest.mark.parametrize("text", ["", "\n \n", "y,x,class\n"])
def test_a_file_without_dots_is_an_image_without_cells(text: str) -> None:
    found = parse_dots(text, form(), "f")
    assert found.points.shape == (0, 2)
    assert found.labels.shape == (0,)


@pytest.mark.parametrize(
    ("text", "style", "message"),
    [
        ("1 2 1\n3 4\n", form(), r"^f:2: 2 columns in '3 4', expected 3"),
        ("1 2 1 9\n", form(), r"^f:1: the table has 4 columns"),
        ("1,2,1\n3 4 1\n", form(), r"^f:2: 1 columns"),
        ("1 2 1\n3 x4 1\n", form(), r"^f:2: x is 'x4', expected a number of px"),
        ("1 2 1\ninf 4 1\n", form(), r"^f:2: y is 'inf'"),
        ("1 2 1\n1_0 4 1\n", form(), r"^f:2: y is '1_0'"),
        ("1 2 1\n٣ 4 1\n", form(), r"^f:2: y is '٣'"),
        ("1 2 1\n1e999 4 1\n", form(), r"^f:2: y is '1e999'"),
        ("one 2 1\n", form(header=False), r"^f:1: y is 'one'"),
        ("one 2 1\n", form(), r"^f:1: y is 'one'"),
        ("1 2 3\n", form(), r"^f:1: class '3' is none of 1, 2, tumour, t cell"),
        ("1 2 1.5\n", form(), r"^f:1: class '1.5'"),
        ("1,2,\n", form(), r"^f:1: class 'unclassified'"),
        ("x,y,class\n1,2,1\n", form(), r"^f:1: the header has x, y, class, columns say y, x, class"),
        ("a,b,c\n1,2,1\n", form({"y": "Y", "x": "a", "class": "c"}), r"^f:1: the header has no single column 'Y'"),
        ("a,a,c\n1,2,1\n", form({"y": "a", "x": "b", "class": "c"}), r"no single column 'a'"),
        ("1 2 1\n", form({"y": "a", "x": "b", "class": "c"}, header=False), r"header is false"),
        ("1 2 1\n", form(("x", "class")), r"lack y"),
        ("1 2 1\n", form({"y": "a", "class": "b"}), r"lack x"),
        ("1 2 1\n", form(separator=";"), r"separator ';'"),
        ("1 2 1\n", form(header="yes"), r"header 'yes'"),
    ],
)
def test_bad_lines_are_named_in_one_line(text: str, style: DotFormat, message: str) -> None:
    with pytest.raises(CellscaperError, match=message) as caught:
        parse_dots(text, style, "f")
    assert "\n" not in str(caught.value)


def test_a_very_long_field_does_not_flood_the_message() -> None:
    with pytest.raises(CellscaperError) as caught:
        parse_dots("1 2 " + "a" * 10_000, form(), "f")
    assert len(str(caught.value)) < 250


STYLES = st.builds(
    form,
    st.sampled_from([("y", "x", "class"), ("id", "class", "x", "y"), {"y": "y", "x": "x", "class": "c"}]),
    separator=st.sampled_from(["auto", "comma", "tab", "blank"]),
    header=st.sampled_from([True, False, "auto"]),
)


@pytest.mark.slow
@given(st.one_of(st.text(), st.text(alphabet="0123456789 ,.\t\n-+eyxcnaif\"'\0")), STYLES)
def test_any_text_gives_dots_or_one_line(text: str, style: DotFormat) -> None:
    try:
        found = parse_dots(text, style, "f")
    except CellscaperError as error:
        assert "\n" not in str(error)
    else:
        assert len(found.points) == len(found.labels) == len(found.lines)
        assert np.isfinite(found.points).all()


NUMBERS = st.floats(-999, 99_999, width=32)


@given(st.lists(st.tuples(NUMBERS, NUMBERS, st.sampled_from(list(NAMES)))), st.sampled_from([",", "\t"]), st.booleans())
def test_what_is_written_is_read_back(rows: list[tuple[float, float, str]], separator: str, header: bool) -> None:
    lines = [separator.join(["y", "x", "class"])] * header + [separator.join(map(str, row)) for row in rows]
    found = parse_dots("\n".join(lines), form(), "f")
    np.testing.assert_array_equal(found.points, np.array([row[:2] for row in rows], np.float32).reshape(-1, 2))
    assert [list(NAMES)[label] for label in found.labels] == [row[2] for row in rows]


# -- folders -------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten images of 12×20 px, image k with k dots on its diagonal, and three lists."""
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    for k in range(10):
        stem = f"slide_{k}_0.98"
        Image.fromarray(np.full((12, 20, 3), k, np.uint8)).save(tmp_path / "images" / f"{stem}.png")
        (tmp_path / "labels" / f"{stem}.csv").write_text("".join(f"{i},{i + 1},B\n" for i in range(k)))
    (tmp_path / "train.txt").write_text("".join(f"slide_{k}_0.98.png\n" for k in range(7)))
    (tmp_path / "val.txt").write_text("slide_7_0.98\n\n")
    (tmp_path / "test.txt").write_text("slide_8_0.98.png\r\nslide_9_0.98.png")
    return tmp_path


def block(**other: Any) -> dict[str, Any]:
    return {
        "path": "data",
        "images": "images/*.png",
        "dots": "labels/{stem}.csv",
        "columns": ["y", "x", "class"],
        "classes": ["a", "b"],
        "class_map": {"A": "a", "B": "b"},
        "mpp": 0.5,
        "split": {"train": "train.txt", "val": "val.txt", "test": "test.txt"},
        **other,
    }


def settings(**other: Any) -> dots.Settings:
    return read(dots.Settings, block(**other), "datasets dots")


def test_a_folder_is_read_in_order_with_its_splits(folder: Path) -> None:
    records = list(dots.read(settings(), folder))
    assert [r.image_id for r in records] == [f"slide_{k}_0.98" for k in range(10)]
    assert [r.split for r in records] == ["train"] * 7 + ["val"] + ["test"] * 2
    for k, one in enumerate(records):
        assert one.image.shape == (12, 20, 3)
        assert (one.image == k).all()
        np.testing.assert_array_equal(one.points, [[i, i + 1] for i in range(k)] or np.zeros((0, 2)))
        assert (one.labels == 1).all()
    assert dots.classes(settings()) == ("a", "b")
    assert dots.mpp(settings()) == 0.5


def test_reading_is_lazy(folder: Path) -> None:
    (folder / "images" / "slide_9_0.98.png").write_text("broken")
    records = dots.read(settings(), folder)
    for _ in range(9):
        next(records)
    with pytest.raises(CellscaperError, match=r"slide_9_0.98.png is not an image"):
        next(records)


def test_images_in_no_list_are_not_read(folder: Path) -> None:
    (folder / "train.txt").write_text("slide_0_0.98\n")
    assert [r.split for r in dots.read(settings(), folder)] == ["train", "val", "test", "test"]
    assert len(dots.files(settings(), folder)) == 4 * 2 + 3


def test_fractions_split_all_images(folder: Path) -> None:
    chosen = settings(split={"train": 0.6, "val": 0.1, "test": 0.3, "seed": 5})
    splits = [r.split for r in dots.read(chosen, folder)]
    assert [splits.count(name) for name in ("train", "val", "test")] == [6, 1, 3]
    assert splits == [r.split for r in dots.read(chosen, folder)]
    assert len(dots.files(chosen, folder)) == 20


def test_files_are_those_that_are_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    plain_text, plain_bytes, plain_image = Path.read_text, Path.read_bytes, dots.read_rgb
    monkeypatch.setattr(Path, "read_text", lambda self, **k: (opened.append(self), plain_text(self, **k))[1])
    monkeypatch.setattr(Path, "read_bytes", lambda self: (opened.append(self), plain_bytes(self))[1])
    monkeypatch.setattr(dots, "read_rgb", lambda path: (opened.append(path), plain_image(path))[1])
    list(dots.read(settings(), folder))
    assert sorted(opened) == dots.files(settings(), folder)


def test_files_of_an_incomplete_or_missing_folder_are_those_there(folder: Path) -> None:
    (folder / "val.txt").unlink()
    (folder / "labels" / "slide_3_0.98.csv").unlink()
    assert len(dots.files(settings(), folder)) == 10 + 9 + 2
    assert dots.files(settings(), folder / "none") == []


def test_hidden_files_are_no_images(folder: Path) -> None:
    (folder / "images" / "._slide_0_0.98.png").write_bytes(b"resource fork")
    assert len(list(dots.read(settings(split={"train": 0.5, "test": 0.5}), folder))) == 10


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("labels/slide_5_0.98.csv", "1,2,B\n12,3,B\n", r"slide_5_0.98.csv:2: dot y=12 x=3 .* 12×20 px"),
        ("labels/slide_5_0.98.csv", "y,x,class\n1,2,B\n\n3,20.5,B\n", r"slide_5_0.98.csv:4: dot y=3 x=20.5"),
        ("labels/slide_5_0.98.csv", "1,2,C\n", r"slide_5_0.98.csv:1: class 'C' is none of A, B"),
        ("labels/slide_5_0.98.csv", None, r"dot file of slide_5_0.98.png, .*slide_5_0.98.csv does not exist"),
        ("images/slide_5_0.98.png", None, r"train.txt:6: there is no image 'slide_5_0.98.png'"),
        ("val.txt", "", r"val.txt lists no image"),
        ("val.txt", None, r"val split .*val.txt does not exist"),
        ("val.txt", "slide_7_0.98\nslide_7_0.98.png\n", r"val.txt:2: .* also in .*val.txt:1"),
        ("test.txt", "slide_2_0.98.png\n", r"test.txt:1: image 'images/slide_2_0.98.png' is also in .*train.txt:3"),
    ],
)
def test_a_fault_names_its_file_and_line(folder: Path, file: str, text: str | None, message: str) -> None:
    if text is None:
        (folder / file).unlink()
    else:
        (folder / file).write_text(text)
    with pytest.raises(CellscaperError, match=message):
        list(dots.read(settings(), folder))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": "pictures/*.png"}, "no image matches .*pictures"),
        ({"images": "/images/*.png"}, "glob below the dataset's folder"),
        ({"images": "**/*.*"}, "have the same name"),
        ({"dots": "labels/dots.csv"}, r"labels/dots.csv does not exist; correct the dataset's settings"),
        ({"dots": "labels/slide_5_0.98.csv"}, r"slide_5_0.98.csv names no images, and there are 10"),
        ({"classes": ["a"]}, "class_map: 'B' → 'b'"),
        ({"classes": ["a", "a"]}, "different names"),
        ({"split": {"train": "train.txt"}}, r"^datasets dots\.split\S* = "),
        ({"split": {"train": 0.5, "rest": 0.5}}, r"^datasets dots\.split\S* = "),
        ({"split": {"train": 0.99, "val": 0.01}}, "val = 0.01 of 10 images"),
    ],
)
def test_a_wrong_setting_is_told(folder: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(CellscaperError, match=message):
        list(dots.read(settings(**change), folder))


def test_a_wrong_split_is_told_what_it_may_be() -> None:
    expected = dots.Settings.model_json_schema()["properties"]["split"]["expected"]
    assert expected == "a list file each, or fractions, of train, val, test"


@pytest.mark.parametrize("key", ["path", "images", "dots", "classes", "mpp", "split"])
def test_a_missing_setting_is_told(key: str) -> None:
    chosen = block()
    del chosen[key]
    with pytest.raises(CellscaperError, match=rf"^datasets dots\.{key}.* required"):
        read(dots.Settings, chosen, "datasets dots")


def test_text_tables_need_columns_and_other_formats_do_not(folder: Path) -> None:
    chosen = block()
    del chosen["columns"]
    with pytest.raises(CellscaperError, match="lack 'columns'"):
        list(dots.read(read(dots.Settings, chosen, "datasets dots"), folder))
    other = read(dots.Settings, {**chosen, "format": "geojson"}, "datasets dots")
    assert dots.dot_format(other, ("a", "b")).columns == ("y", "x", "class")


@pytest.mark.parametrize(
    ("value", "words"),
    [(0, r"dots\.mpp = 0: .*greater than 0"), (-1, r"dots\.mpp = -1: .*greater than 0"), (1000, "µm a pixel")],
)
def test_an_absurd_pixel_size_is_told(value: float, words: str) -> None:
    with pytest.raises(CellscaperError, match=words):
        dots.mpp(settings(mpp=value))


def test_fetch_gives_the_folder_and_never_downloads(folder: Path) -> None:
    assert dots.fetch(settings(path=str(folder)), Path("elsewhere")) == folder
    with pytest.raises(CellscaperError, match="is not a folder; set the dataset's path"):
        dots.fetch(settings(path=str(folder / "none")), folder)
    with pytest.raises(CellscaperError, match=r"^datasets dots\.path = ''"):
        settings(path="")
