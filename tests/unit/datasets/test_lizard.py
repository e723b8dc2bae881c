"""Lizard's reader on files written in its format (the dataset itself may not be passed on)."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from scipy.ndimage import center_of_mass

from cellscaper.datasets import lizard
from cellscaper.datasets.lizard import Settings
from cellscaper.errors import CellscaperError
from cellscaper.run.settings import read

SIZE = (40, 60)
INFO = Settings(split="info")
SPLIT = {"consep_1": "3", "crag_1": "1", "dpath_1": "1", "glas_1": "2", "pannuke_1": "3"}
OUTER = ("lizard_images1/", "lizard_images2/", "lizard_labels/")
DEEPER = ("archive/lizard_images1/", "archive/lizard_images2/", "archive/lizard_labels/")


def content(ids: list[int], seed: int = 0) -> dict[str, Any]:
    """A label file: 3×5 px nuclei with these ids at different places, classes in turn, rows not in id order."""
    rng = np.random.default_rng(seed)
    inst_map = np.zeros(SIZE, np.int32)
    places = rng.permutation(SIZE[0] // 4 * (SIZE[1] // 6))[: len(ids)]
    for value, place in zip(ids, places, strict=True):
        y, x = divmod(int(place), SIZE[1] // 6)
        inst_map[4 * y : 4 * y + 3, 6 * x : 6 * x + 5] = value
    centres = np.array(center_of_mass(inst_map > 0, inst_map, ids)).reshape(-1, 2)
    order = rng.permutation(len(ids))
    return {
        "inst_map": inst_map,
        "id": np.array(ids)[order][:, None],
        "class": (np.arange(len(ids)) % 6 + 1)[:, None],
        "bbox": np.zeros((len(ids), 4), np.int32),
        "centroid": centres[order][:, ::-1],
    }


def write(root: Path, outer: tuple[str, str, str] = OUTER) -> Path:
    """The dataset's tree with five images."""
    for stem in SPLIT:
        second = stem.split("_")[0] in ("dpath", "glas", "pannuke")
        pictures = root / f"{outer[second]}Lizard_Images{1 + second}"
        labels = root / f"{outer[2]}Lizard_Labels" / "Labels"
        for folder in (pictures, labels):
            folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", SIZE[::-1], (200, 150, 190)).save(pictures / f"{stem}.png")
        savemat(labels / f"{stem}.mat", content([1, 2, 5, 9, 20, 21, 300], seed=len(stem)), do_compression=True)
    rows = "".join(f"{stem},{'None' if 'pannuke' in stem else 'a b.c'},{split}\n" for stem, split in SPLIT.items())
    (labels.parent / "info.csv").write_text("Filename,Source,Split\n" + rows)
    return root


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "lizard")


def mat(root: Path, stem: str = "crag_1") -> Path:
    return root / "lizard_labels" / "Lizard_Labels" / "Labels" / f"{stem}.mat"


@pytest.mark.parametrize("outer", [OUTER, DEEPER, ("", "", "")])
def test_the_tree_is_read_with_and_without_outer_folders(tmp_path: Path, outer: tuple[str, str, str]) -> None:
    root = write(tmp_path, outer)
    records = list(lizard.read(INFO, root))
    assert [r.image_id for r in records] == sorted(SPLIT)
    assert {r.image_id: r.split for r in records} == {
        stem: {"1": "train", "2": "val", "3": "test"}[split] for stem, split in SPLIT.items()
    }
    assert all(r.image.shape == (*SIZE, 3) for r in records)
    assert lizard.files(INFO, root) == sorted(p for p in root.rglob("*") if p.is_file())
    assert len(lizard.files(Settings(), root)) == 10


def test_each_row_gives_its_own_place_and_class(folder: Path) -> None:
    raw = content([1, 2, 5, 9, 20, 21, 300], seed=len("crag_1"))
    one = next(r for r in lizard.read(INFO, folder) if r.image_id == "crag_1")
    assert one.points.dtype == np.float32
    for point, label, value, kind in zip(one.points, one.labels, raw["id"][:, 0], raw["class"][:, 0], strict=True):
        rows, columns = np.nonzero(raw["inst_map"] == value)
        np.testing.assert_allclose(point, [rows.mean(), columns.mean()], rtol=1e-6)
        assert label == kind - 1
    assert lizard.classes(INFO)[one.labels[0]] == "neutrophil"
    assert lizard.classes(INFO)[4:] == ("eosinophil", "connective")
    assert lizard.mpp(INFO) == 0.5


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float64])
def test_one_nucleus_and_any_integer_width(folder: Path, dtype: type) -> None:
    one = content([7])
    savemat(mat(folder), {**one, "id": one["id"].astype(dtype), "class": one["class"].astype(dtype)})
    ids, points, labels = lizard.read_label(mat(folder), SIZE)
    assert (ids.tolist(), labels.tolist()) == ([7], [0])
    np.testing.assert_allclose(points, one["centroid"][:, ::-1])


def test_an_image_without_nuclei_is_read(folder: Path) -> None:
    empty = {"inst_map": np.zeros(SIZE, np.int32), "id": np.zeros((0, 1)), "class": [], "centroid": np.zeros((0, 2))}
    savemat(mat(folder), empty)
    assert [len(part) for part in lizard.read_label(mat(folder), SIZE)] == [0, 0, 0]


def test_swapped_axes_are_refused(folder: Path) -> None:
    one = content([1, 2, 3, 4, 5, 6])
    savemat(mat(folder), {**one, "centroid": one["centroid"][:, ::-1]})
    with pytest.raises(CellscaperError, match=r"crag_1.mat: [01] of 6 centroids .* 6 with x and y swapped"):
        lizard.read_label(mat(folder), SIZE)


def test_a_centroid_between_pixels_lies_on_the_second(folder: Path) -> None:
    """(y 2.5, x 4.5) is pixel (3, 5). Rounded to even numbers it would miss its nucleus and hit (4, 2), swapped."""
    inst_map = np.zeros(SIZE, np.int32)
    inst_map[3, 5] = inst_map[4, 2] = 1
    savemat(mat(folder), {"inst_map": inst_map, "id": [[1]], "class": [[1]], "centroid": [[4.5, 2.5]]})
    assert lizard.read_label(mat(folder), SIZE)[1].tolist() == [[2.5, 4.5]]


@pytest.mark.parametrize("concave", [4, 10])
def test_concave_nuclei_are_no_swapped_axes(folder: Path, concave: int) -> None:
    one = content(list(range(1, 11)))
    for x, y in one["centroid"][:concave].astype(int):
        one["inst_map"][y, x] = 0  # its centroid lies beside it
    value, (x, y) = one["id"][0, 0], one["centroid"][0].astype(int)
    one["inst_map"][x, y] = value  # and one lies on it with its axes swapped, by chance
    savemat(mat(folder), one)
    assert len(lizard.read_label(mat(folder), SIZE)[1]) == 10


@pytest.mark.parametrize(
    ("x", "y", "expected"), [(60.0, 5, (5, 60)), (3, 40.3, (40, 3)), (-0.2, 5, (5, 0)), (59.99, -0.9, (0, 59.99))]
)
def test_a_centroid_rounded_over_the_border_is_moved_inside(
    folder: Path, x: float, y: float, expected: tuple[float, float]
) -> None:
    one = content([1, 2, 3])
    one["centroid"][0] = (x, y)
    savemat(mat(folder), one)
    record = next(r for r in lizard.read(INFO, folder) if r.image_id == "crag_1")
    np.testing.assert_allclose(record.points[0], expected, atol=1e-5)
    assert (record.points < SIZE).all()
    assert (record.points >= 0).all()


@pytest.mark.parametrize("place", [(61.5, 5), (5, -1.5)])
def test_a_centroid_further_out_is_refused(folder: Path, place: tuple[float, float]) -> None:
    one = content([1, 2, 30])
    row = int(np.flatnonzero(one["id"][:, 0] == 30)[0])
    one["centroid"][row] = place
    savemat(mat(folder), one)
    with pytest.raises(CellscaperError, match=r"crag_1.mat: nucleus 30: dot .* lies outside its image of 40×60 px"):
        list(lizard.read(INFO, folder))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inst_map": np.zeros((60, 40), np.int32)}, r"inst_map is 60×40, its image 40×60 px"),
        ({"id": np.arange(4)[:, None]}, r"4 ids, 3 classes and centroids of shape 3×2 must agree"),
        ({"class": np.ones((2, 1))}, r"3 ids, 2 classes"),
        ({"centroid": np.zeros((2, 3))}, r"shape 2×3 must agree"),
        ({"class": np.array([[1], [7], [2]])}, r"nucleus \d has class 7, expected 1 to 6"),
        ({"class": np.array([[1], [0], [2]])}, r"has class 0"),
        ({"class": np.array([[1], [1.5], [2]])}, r"has class 1.5"),
        ({"centroid": np.full((3, 2), np.nan)}, r"must all be finite numbers"),
        ({"class": np.array(["a", "b", "c"], object)}, r"class is no array of real numbers"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(folder: Path, change: dict[str, Any], message: str) -> None:
    savemat(mat(folder), {**content([1, 2, 3]), **change})
    with pytest.raises(CellscaperError, match=r"crag_1.mat.*" + message):
        lizard.read_label(mat(folder), SIZE)


def test_missing_variables_are_named(folder: Path) -> None:
    savemat(mat(folder), {"inst_map": np.zeros(SIZE)})
    with pytest.raises(CellscaperError, match="has no centroid, class, id"):
        lizard.read_label(mat(folder), SIZE)


def test_damaged_label_files_give_one_line(folder: Path) -> None:
    whole = mat(folder).read_bytes()
    rng, refused = np.random.default_rng(2), 0
    for cut in range(0, len(whole), 31):
        flipped = bytearray(whole)
        flipped[int(rng.integers(128, len(whole)))] ^= 1 << int(rng.integers(8))
        for damaged in (whole[:cut], bytes(flipped)):
            mat(folder).write_bytes(damaged)
            try:
                lizard.read_label(mat(folder), SIZE)
            except CellscaperError as error:
                assert "\n" not in str(error)
                assert "crag_1.mat" in str(error)
                refused += 1
    assert refused >= len(whole) // 31


def test_a_tree_with_gaps_is_told(folder: Path) -> None:
    (folder / "lizard_images1" / "Lizard_Images1" / "consep_1.png").unlink()
    with pytest.raises(CellscaperError, match=r"consep_1.mat has no image"):
        list(lizard.read(INFO, folder))
    mat(folder, "consep_1").unlink()
    with pytest.raises(CellscaperError, match=r"info.csv: 'consep_1' has no image"):
        list(lizard.read(INFO, folder))
    mat(folder, "glas_1").unlink()
    with pytest.raises(CellscaperError, match=r"glas_1.png has no label"):
        list(lizard.read(INFO, folder))


def test_a_folder_that_is_not_lizard_is_told_with_the_manual_way(tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "none"):
        with pytest.raises(CellscaperError, match=r"has 0 Lizard images and 0 labels; download lizard_images1.zip"):
            list(lizard.read(INFO, root))
        assert lizard.files(INFO, root) == []


def test_the_same_image_twice_is_refused(folder: Path) -> None:
    twin = folder / "Lizard_Images1" / "crag_1.png"
    twin.parent.mkdir()
    twin.write_bytes((folder / "lizard_images1" / "Lizard_Images1" / "crag_1.png").read_bytes())
    with pytest.raises(CellscaperError, match="same file twice"):
        list(lizard.read(INFO, folder))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Filename,Source,Split\ncrag_1,a,4\n", r"info.csv:2: split '4', expected 1, 2 or 3"),
        ("Filename,Source,Split\ncrag_1\n", r"info.csv:2: split None"),
        ("Name,Split\ncrag_1,1\n", r"info.csv:1: expected the columns"),
        ("", r"info.csv:1: expected the columns"),
        ("Filename,Source,Split\ncrag_1,a,1\n", r"info.csv: 'consep_1' is not in the table, as 4 names"),
    ],
)
def test_a_wrong_split_table_is_told(folder: Path, text: str, message: str) -> None:
    (mat(folder).parent.parent / "info.csv").write_text(text)
    with pytest.raises(CellscaperError, match=message):
        list(lizard.read(INFO, folder))


def test_the_random_split_needs_no_table(folder: Path) -> None:
    (mat(folder).parent.parent / "info.csv").unlink()
    split = {"random": {"test_fraction": 0.2, "val_fraction": 0.2, "seed": 1}}
    settings = read(Settings, {"split": split}, "datasets lizard")
    splits = [r.split for r in lizard.read(settings, folder)]
    assert [splits.count(name) for name in ("train", "val", "test")] == [3, 1, 1]
    assert splits == [r.split for r in lizard.read(settings, folder)]
    with pytest.raises(CellscaperError, match=r"has 0 Lizard_Labels/info.csv, expected one"):
        list(lizard.read(INFO, folder))


@pytest.mark.parametrize("split", ["random", {"test": 0.2}, None])
def test_an_unknown_split_is_told(split: Any) -> None:
    with pytest.raises(CellscaperError, match=r"^datasets lizard\.split\S* = "):
        read(Settings, {"split": split}, "datasets lizard")
    assert Settings.model_json_schema()["properties"]["split"]["expected"].startswith("info or {random")


def test_lizard_is_never_downloaded(folder: Path) -> None:
    assert lizard.fetch(Settings(path=str(folder)), Path("elsewhere")) == folder
    with pytest.raises(CellscaperError, match=r"cannot be downloaded .*datasets.lizard.path"):
        lizard.fetch(Settings(), folder)
    with pytest.raises(CellscaperError, match=r"none is not a folder; download lizard_images1"):
        lizard.fetch(Settings(path=str(folder / "none")), folder)


def test_the_downloaded_zip_files_are_unpacked(tmp_path: Path, folder: Path) -> None:
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    for name in ("lizard_images1", "lizard_images2", "lizard_labels"):
        shutil.make_archive(str(downloads / name), "zip", folder / name)
    settings = Settings(path=str(downloads), split="info")
    for _ in range(2):  # a second call finds everything unpacked
        root = lizard.fetch(settings, tmp_path / "unpacked")
        assert [one.image_id for one in lizard.read(settings, root)] == sorted(SPLIT)
