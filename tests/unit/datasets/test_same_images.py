"""The same picture under two names is told, also if it was saved anew; different pictures raise nothing."""

import numpy as np
import pytest
from PIL import Image

from cellscaper.datasets import same_images


def folder_with_copy(world, folder, name, **save):
    """Images with tables, and image 0 again under another name, in test."""
    world.plain(folder)
    world.image(0).save(folder / name, **save)
    world.table((folder / name).with_suffix(".csv"), 0)
    for split, names in (("train", "s_00 s_01 s_02"), ("val", "s_03"), ("test", f"s_04 s_05 {name[:-4]}")):
        (folder / f"{split}.txt").write_text("\n".join(names.split()))
    return folder


@pytest.mark.parametrize(("name", "save", "how"), [("t.png", {}, ""), ("t.jpg", {"quality": 70}, " (saved anew)"),
                                                   ("t.bmp", {}, " (saved anew)")])  # fmt: skip
def test_the_same_picture_in_train_and_test_is_told(world, tmp_path, name, save, how):
    result = world.check(folder_with_copy(world, tmp_path / "d", name, **save))
    assert not result.fault
    assert result.complains(
        "1 picture is there under two names in test and in another split", f"s_00.png and {name}{how}"
    )


def test_the_same_picture_in_one_split_is_told(world, tmp_path):
    folder = folder_with_copy(world, tmp_path / "d", "t.png")
    (folder / "train.txt").write_text("s_00\ns_01\ns_02\nt")
    (folder / "test.txt").write_text("s_04\ns_05")
    assert world.check(folder).complains("1 picture is there under two names: s_00.png and t.png; the cells count")


def test_different_and_plain_pictures_raise_nothing(world, tmp_path):
    assert not world.check(world.plain(tmp_path / "d")).complains("two names")
    white = np.full((200, 200, 3), 240, np.uint8)
    seen = {"a": same_images.thumbnail(white), "b": same_images.thumbnail(white + 1)}
    assert same_images.same({n: tmp_path / "d/s_00.png" for n in "a"} | {"b": tmp_path / "d/s_00.csv"}, seen,
                            dict.fromkeys("ab", (200, 200))) == []  # fmt: skip


def test_a_resized_picture_is_the_same(world, tmp_path):
    image = world.image(1)
    twice = np.asarray(image.resize((image.width * 2, image.height * 2), Image.Resampling.BICUBIC))
    one = np.asarray(image)
    paths = {"a": tmp_path / "a", "b": tmp_path / "b"}
    for k, path in enumerate(paths.values()):
        path.write_bytes(bytes(k + 1))
    seen = {"a": same_images.thumbnail(one), "b": same_images.thumbnail(twice)}
    sizes = {"a": one.shape[:2], "b": twice.shape[:2]}
    if float(seen["a"].std()) > 4:
        assert same_images.same(paths, seen, sizes) == [("a", "b", False)]
    turned = {"a": seen["a"], "b": same_images.thumbnail(np.rot90(one))}
    assert same_images.same(paths, turned, sizes) == []


def test_a_thumbnail_has_the_means_of_boxes():
    pixels = np.random.default_rng(3).integers(0, 256, (64, 48, 3)).astype(np.uint8)
    expected = pixels.reshape(16, 4, 16, 3, 3).astype(float).mean(axis=(1, 3))
    np.testing.assert_allclose(same_images.thumbnail(pixels), expected, rtol=1e-5)
