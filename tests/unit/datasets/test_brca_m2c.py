from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from cellscaper.datasets import brca_m2c
from cellscaper.datasets.brca_m2c import Settings
from cellscaper.disk.files import checksum
from cellscaper.errors import CellscaperError

STEMS = {"train": "TCGA-A_1_2_3_0.9872000000000001", "val": "TCGA-B_1_2_3_0.93", "test": "TCGA-C_1_2_3_1.008"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three images of 30×40 px in the dataset's layout."""
    root = tmp_path / "brca"
    (root / "images").mkdir(parents=True)
    (root / "labels").mkdir()
    for split, stem in STEMS.items():
        Image.new("RGB", (40, 30), (200, 150, 190)).save(root / "images" / f"{stem}.png")
        (root / "labels" / f"{stem}_gt_class_coords.txt").write_text("3 39 1\n29 0 2\n10 20 3\n")
        (root / f"brca_ds_{split}.txt").write_text(f"{stem}.png\n")
    return root


def label(root: Path, split: str = "train") -> Path:
    return root / "labels" / f"{STEMS[split]}_gt_class_coords.txt"


def test_lines_are_y_x_class_and_names_may_contain_dots(folder: Path) -> None:
    records = list(brca_m2c.read(Settings(), folder))
    assert {r.split: r.image_id for r in records} == STEMS
    np.testing.assert_array_equal(records[0].points, np.array([[3, 39], [29, 0], [10, 20]], np.float32))
    assert [brca_m2c.CLASSES[i] for i in records[0].labels] == ["lymphocyte", "epithelial", "stromal"]
    assert records[0].image.shape == (30, 40, 3)
    assert brca_m2c.classes(Settings()) == brca_m2c.CLASSES
    assert brca_m2c.mpp(Settings()) == 0.5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("3 39 1\n3 39 4\n", r"coords.txt:2: class '4' is none of 1, 2, 3"),
        ("3 39 0\n", r"coords.txt:1: class '0'"),
        ("39 3 1\n", r"coords.txt:1: dot y=39 x=3 lies outside its image of 30×40 px"),
        ("3 39 1\nthree 39 1\n", r"coords.txt:2: y is 'three'"),
        ("y x class\n3 39 1\n", r"coords.txt:1: y is 'y'"),
        ("3 39 1\n3 39\n", r"coords.txt:2: 2 columns"),
        ("3,39,1\n", r"coords.txt:1: the table has 1 column "),
    ],
)
def test_a_bad_label_line_is_named(folder: Path, text: str, message: str) -> None:
    label(folder).write_text(text)
    with pytest.raises(CellscaperError, match=message):
        list(brca_m2c.read(Settings(), folder))


def test_missing_parts_are_named(folder: Path) -> None:
    label(folder, "val").unlink()
    with pytest.raises(CellscaperError, match=r"TCGA-B_1_2_3_0.93_gt_class_coords.txt does not exist"):
        list(brca_m2c.read(Settings(), folder))
    (folder / "images" / f"{STEMS['val']}.png").unlink()
    with pytest.raises(CellscaperError, match=r"brca_ds_val.txt:1: there is no image 'TCGA-B_1_2_3_0.93.png'"):
        list(brca_m2c.read(Settings(), folder))
    (folder / "brca_ds_val.txt").unlink()
    with pytest.raises(CellscaperError, match=r"brca_ds_val.txt does not exist"):
        list(brca_m2c.read(Settings(), folder))
    with pytest.raises(CellscaperError, match="no image matches"):
        list(brca_m2c.read(Settings(), folder / "none"))


def test_an_image_in_two_splits_is_refused(folder: Path) -> None:
    (folder / "brca_ds_test.txt").write_text(f"{STEMS['test']}.png\n{STEMS['train']}.png\n")
    with pytest.raises(CellscaperError, match=r"brca_ds_test.txt:2: .* also in .*brca_ds_train.txt:1"):
        list(brca_m2c.read(Settings(), folder))


def test_an_empty_split_is_refused(folder: Path) -> None:
    (folder / "brca_ds_val.txt").write_text("\n")
    with pytest.raises(CellscaperError, match=r"brca_ds_val.txt lists no image"):
        list(brca_m2c.read(Settings(), folder))


def test_few_training_images_are_nested_and_leave_the_other_splits_alone(folder: Path) -> None:
    """20 images hold the 10 of the same seed; another seed keeps others."""
    for i in range(30):
        stem = f"TCGA-T{i:02}_1_1_1_1.0"
        Image.new("RGB", (40, 30), (200, 150, 190)).save(folder / "images" / f"{stem}.png")
        (folder / "labels" / f"{stem}_gt_class_coords.txt").write_text("3 39 1\n")
        with (folder / "brca_ds_train.txt").open("a") as file:
            file.write(f"{stem}.png\n")

    def read(n: int, seed: int = 0, others: bool = False) -> dict[str, set[str]]:
        settings = Settings.model_validate({"split": {"few": {"train_images": n, "seed": seed, "others": others}}})
        found: dict[str, set[str]] = {"train": set(), "val": set(), "test": set()}
        for one in brca_m2c.read(settings, folder):
            found[one.split].add(one.image_id)
        return found

    ten, twenty, other, every = read(10), read(20), read(10, 1), read(31)
    assert [len(one["train"]) for one in (ten, twenty, other, every)] == [10, 20, 10, 31]
    assert ten["train"] < twenty["train"] < every["train"] and ten["train"] != other["train"]
    assert ten["val"] == every["val"] == {STEMS["val"]} and ten["test"] == every["test"] == {STEMS["test"]}
    with pytest.raises(CellscaperError, match="split.few.train_images = 32: the folder has 31 training images"):
        read(32)
    rest = read(10, others=True)
    assert rest["train"] == every["train"] - ten["train"] and rest["test"] == ten["test"]
    with pytest.raises(CellscaperError, match="train_images = 31: the folder has 31 training images, and one must be"):
        read(31, others=True)


def test_files_are_all_inputs(folder: Path) -> None:
    assert brca_m2c.files(Settings(), folder) == sorted(path for path in folder.rglob("*") if path.is_file())
    assert brca_m2c.files(Settings(), folder / "none") == []


def test_the_packaged_list_has_every_file_of_the_dataset() -> None:
    files = brca_m2c.remote()
    paths = [file.path for file in files]
    assert len(paths) == len(set(paths)) == 120 + 120 + 3 + 1
    images = {Path(path).stem for path in paths if path.startswith("images/")}
    assert {f"labels/{stem}_gt_class_coords.txt" for stem in images} <= set(paths)
    assert {f"brca_ds_{split}.txt" for split in STEMS} | {"LICENSE"} <= set(paths)
    assert all(len(file.sha256) == 64 and int(file.sha256, 16) for file in files)
    assert brca_m2c.remote("http://mirror/b")[0].url == "http://mirror/b/LICENSE"
    assert files[0].url.endswith("/90e595410a9c5f0baa6b45aecf671bc87f576d1e/LICENSE")


@pytest.fixture
def mirror(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The folder behind a local web server, with its own packaged list."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    sums = folder.parent / "sums"
    sums.write_text("".join(f"{checksum(p)}  {p.relative_to(folder)}\n" for p in folder.rglob("*") if p.is_file()))
    monkeypatch.setattr(brca_m2c, "SUMS", sums)

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=folder)  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_fetch_downloads_the_dataset_from_the_url(folder: Path, mirror: str, tmp_path: Path) -> None:
    root = brca_m2c.fetch(Settings(path=None, url=mirror), tmp_path / "data")
    assert root == tmp_path / "data"
    same = zip(brca_m2c.read(Settings(), root), brca_m2c.read(Settings(), folder), strict=True)
    assert all(np.array_equal(a.points, b.points) and np.array_equal(a.image, b.image) for a, b in same)


def test_a_failed_download_names_the_url_and_the_manual_way(folder: Path, mirror: str, tmp_path: Path) -> None:
    missing = next((folder / "images").iterdir())
    missing.unlink()
    with pytest.raises(CellscaperError) as caught:
        brca_m2c.fetch(Settings(url=mirror), tmp_path / "data")
    url = urlsplit(mirror)
    for part in (f"{url.netloc}/images/{missing.name}", "HTTP 404", str(tmp_path / "data"), "datasets.brca_m2c.path"):
        assert part in str(caught.value)


def test_a_given_folder_is_used_and_a_wrong_one_told(folder: Path) -> None:
    assert brca_m2c.fetch(Settings(path=str(folder)), Path("elsewhere")) == folder
    with pytest.raises(CellscaperError, match=r"none is not a folder; download github.com/TopoXLab"):
        brca_m2c.fetch(Settings(path=str(folder / "none")), Path("elsewhere"))


def test_records_come_by_name_whatever_the_order_of_the_lists(folder: Path) -> None:
    for split, other in (("train", "test"), ("test", "train")):
        (folder / f"brca_ds_{split}.txt").write_text(f"{STEMS[other]}.png\n")
    records = list(brca_m2c.read(Settings(), folder))
    assert [r.image_id for r in records] == sorted(STEMS.values())
    assert [r.split for r in records] == ["test", "val", "train"]


def test_folds_share_out_the_training_and_validation_images_and_leave_out_the_test_images(folder: Path) -> None:
    def tested(of: int, fold: int) -> set[str]:
        folds = brca_m2c.Folds(folds=brca_m2c.Fold(of=of, fold=fold))
        records = list(brca_m2c.read(Settings(split=folds), folder))
        assert {r.image_id for r in records} == {STEMS["train"], STEMS["val"]}
        assert {r.split for r in records} <= {"train", "test"}
        return {r.image_id for r in records if r.split == "test"}

    parts = [tested(2, fold) for fold in range(2)]
    assert [len(part) for part in parts] == [1, 1] and parts[0] != parts[1]
    with pytest.raises(CellscaperError, match=r"split.folds.fold = 4: expected 0 to 3, one of 4 folds"):
        tested(4, 4)
