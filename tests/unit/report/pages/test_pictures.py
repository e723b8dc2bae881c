import base64
import io

import numpy as np
import pytest
from PIL import Image

from cellscaper.errors import CellscaperError
from cellscaper.report.pages.pictures import load_captions, picture


def test_a_picture_carries_its_pixels(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    shown = picture(tmp_path / "a.png", "counts", "windows tc")
    head, data = shown.uri.split(",")
    assert head == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        assert np.array_equal(np.asarray(image), pixels)
    assert (shown.width, shown.height) == (30, 20)
    assert shown.title == "Cells in a layout: windows tc" and shown.alt.endswith("windows tc")


def test_tissue_is_compressed_and_looks_the_same(tmp_path):
    coarse = np.random.default_rng(0).integers(120, 250, (20, 20, 3), np.uint8)
    smooth = Image.fromarray(coarse).resize((400, 400), Image.Resampling.BICUBIC)
    grain = np.random.default_rng(1).normal(0, 3, (400, 400, 3))
    pixels = np.clip(np.asarray(smooth) + grain, 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    head, data = picture(tmp_path / "a.png", "counts").uri.split(",")
    assert head == "data:image/jpeg;base64"
    assert len(data) < (tmp_path / "a.png").stat().st_size / 2
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        assert np.abs(np.asarray(image, float) - pixels).mean() < 3


def test_a_figure_of_an_unknown_kind_still_has_words_and_a_broken_one_is_refused(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    assert picture(tmp_path / "a.png", "new_kind").alt == "Figure: new kind."
    (tmp_path / "b.png").write_bytes(b"no png")
    with pytest.raises(CellscaperError, match=r"b\.png is not a readable PNG"):
        picture(tmp_path / "b.png", "counts")


def test_a_damaged_figure_is_told_in_one_line_or_shown_whole(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    for at in range(0, len(whole), 37):
        (tmp_path / "a.png").write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        try:
            picture(tmp_path / "a.png", "counts")
        except CellscaperError as error:
            assert "\n" not in str(error)


def test_every_caption_has_its_three_texts():
    for kind, words in load_captions().items():
        assert set(words) == {"title", "caption", "alt"} and all(words.values()), kind
