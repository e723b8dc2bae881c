from pathlib import Path

import numpy as np
import pytest

from cellscaper.datasets.record import SPLITS, Record, check, class_names, random_split, read_text
from cellscaper.errors import CellscaperError


def record(points: list[tuple[float, float]], height: int = 10, width: int = 20) -> Record:
    dots = np.array(points, np.float32).reshape(-1, 2)
    return Record("a", "train", dots, np.zeros(len(dots), np.uint8), np.zeros((height, width, 3), np.uint8))


def test_dots_on_the_first_and_last_pixel_are_inside() -> None:
    one = record([(0, 0), (9, 19), (9.99, 19.99)])
    assert check(one, str) is one


def test_an_image_without_dots_is_fine() -> None:
    check(record([]), str)


@pytest.mark.parametrize("dot", [(10, 5), (5, 20), (-0.5, 5), (5, -1), (np.nan, 5), (12, 19)])
def test_a_dot_outside_is_named_with_its_place_and_the_image_size(dot: tuple[float, float]) -> None:
    with pytest.raises(CellscaperError, match=rf"^f.txt:2: dot y={dot[0]:g} x={dot[1]:g} .*10×20 px.*1 of 2 dots"):
        check(record([(1, 1), dot]), lambda i: f"f.txt:{i + 1}")


@pytest.mark.parametrize("names", [[], ["a", "a"], [str(i) for i in range(257)]])
def test_impossible_class_lists_are_refused(names: list[str]) -> None:
    with pytest.raises(CellscaperError, match="different names"):
        class_names(names)


def test_random_split_has_the_asked_sizes_and_covers_every_image_once() -> None:
    ids = [f"{i}" for i in range(238)]
    split = random_split(ids, {"train": 0.7, "val": 0.1, "test": 0.2}, seed=1)
    assert set(split) == set(ids)
    assert [list(split.values()).count(name) for name in SPLITS] == [166, 24, 48]  # 23.8 and 47.6 rounded, rest


def test_random_split_depends_on_the_seed_and_not_on_the_order() -> None:
    ids = [f"{i}" for i in range(50)]
    shares = {"train": 0.5, "val": 0.0, "test": 0.5}
    assert random_split(ids, shares, 3) == random_split(ids[::-1], shares, 3)
    assert random_split(ids, shares, 3) != random_split(ids, shares, 4)


def test_every_image_is_in_test_about_equally_often() -> None:
    ids = [f"{i:02d}" for i in range(20)]
    shares = {"train": 0.8, "test": 0.2}
    often = np.array([[random_split(ids, shares, seed)[i] == "test" for i in ids] for seed in range(500)]).mean(axis=0)
    assert np.abs(often - 0.2).max() < 5 * np.sqrt(0.2 * 0.8 / 500)  # five binomial standard deviations


@pytest.mark.parametrize("shares", [{"train": 0.5}, {"train": 1.5, "test": -0.5}, {"train": 0.9, "test": 0.2}])
def test_fractions_that_do_not_add_up_are_refused(shares: dict[str, float]) -> None:
    with pytest.raises(CellscaperError, match="add up to 1"):
        random_split(["a", "b"], shares, 0)


def test_too_few_images_for_a_split_are_refused() -> None:
    with pytest.raises(CellscaperError, match=r"val = 0.1 of 3 images"):
        random_split(["a", "b", "c"], {"train": 0.6, "val": 0.1, "test": 0.3}, 0)


def test_text_comes_without_byte_order_mark_and_carriage_returns(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(b"\xef\xbb\xbfy,x\r\n1,2\r\n")
    assert read_text(file, "file") == "y,x\n1,2\n"


def test_unreadable_text_is_told_in_one_line(tmp_path: Path) -> None:
    latin = tmp_path / "latin.csv"
    latin.write_bytes(b"1,2,\xfcber\n")
    for path, message in ((latin, "not UTF-8"), (tmp_path / "none", "does not exist"), (tmp_path, "cannot be read")):
        with pytest.raises(CellscaperError, match=message):
            read_text(path, "file")
